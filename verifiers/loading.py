"""Loads a verifier by the name in a recipe: a built-in name, or "package.module:Class" of the user's own."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from typing import Any

from verifiers.errors import BadOption, UnknownVerifier
from verifiers.types import Verifier

BUILT_IN = {
    "math": "verifiers.math.verifier:MathVerifier",
    "math_verify": "verifiers.math.peer:MathVerify",
    "code": "verifiers.code.verifier:CodeVerifier",
    "lean": "verifiers.lean.verifier:LeanVerifier",
    "lean_statement": "verifiers.lean.formalisation:LeanStatementVerifier",
    "reasoning_gym": "verifiers.reasoning_gym:ReasoningGymVerifier",
    "format": "verifiers.format:FormatVerifier",
}
METHODS = ("verify", "gold_response")


def load_verifier(spec: str, **options: Any) -> Verifier:
    """Makes a verifier.

    Args:
        spec: a built-in name, or "package.module:Class" (a class, a function that returns a verifier, or a finished
            verifier). Modules of the current folder are found.
        options: for the constructor.

    Raises:
        UnknownVerifier (a ValueError): the name, module or class does not exist, or is not a verifier.
        BadOption (a ValueError): an option that it does not have, or one missing that it needs.
        Whatever the constructor raises.
    """
    target = _find(spec)
    if not callable(target):
        if options:
            raise BadOption(
                f"the verifier {spec!r} is a finished object and takes no options, but got: {', '.join(options)}"
            )
        verifier = target
    else:
        _check_options(spec, target, options)
        verifier = target(**options)
    missing = [name for name in METHODS if not callable(getattr(verifier, name, None))]
    if missing:
        raise UnknownVerifier(
            f"{spec!r} is not a verifier: a {type(verifier).__name__} has no method {' and no '.join(missing)}"
        )
    return verifier


def command_options(spec: str) -> dict[str, Any]:
    """The options that commands give a verifier where the user gives none (see `Verifier`). Raises UnknownVerifier."""
    return dict(getattr(_find(spec), "command_options", {}))


def option_names(spec: str) -> list[str]:
    """The options that a verifier names in its constructor; none for a finished one. Raises UnknownVerifier."""
    target = _find(spec)
    if not callable(target):
        return []
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # a class of an extension module does not say
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _find(spec: str) -> Any:
    if not isinstance(spec, str) or ":" not in spec:
        if spec in BUILT_IN:
            spec = BUILT_IN[spec]
        else:
            near = difflib.get_close_matches(str(spec), BUILT_IN, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnknownVerifier(
                f"there is no verifier {spec!r}{hint} Write {', '.join(BUILT_IN)} or package.module:Class"
            )
    module_name, _, path = spec.partition(":")
    if not module_name or not path:
        raise UnknownVerifier(f"the verifier {spec!r} is not of the form package.module:Class")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden; kept, since worker processes look there too
        importlib.invalidate_caches()
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only the module that was asked for: one that it imports itself in vain is another mistake, and keeps its own
        # message.
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise
        raise UnknownVerifier(f"the verifier {spec!r}: there is no module {error.name!r} here or installed") from error
    walked = module_name
    for part in path.split("."):
        if not hasattr(target, part):
            near = difflib.get_close_matches(part, [name for name in dir(target) if not name.startswith("_")], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UnknownVerifier(f"the verifier {spec!r}: {walked} has no {part!r}{hint}")
        target = getattr(target, part)
        walked += f".{part}"
    return target


def _check_options(spec: str, factory: Any, options: dict[str, Any]) -> None:
    """Names every option that does not fit, and those that do."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (
        TypeError,
        ValueError,
    ):
        # a class of an extension module does not declare its arguments; its own message must suffice
        return
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    names = [p.name for p in named]
    mistakes = []
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for name in options:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                mistakes.append(f"it has no option {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    mistakes += [f"it needs the option {p.name!r}" for p in named if p.default is p.empty and p.name not in options]
    mistakes += [
        f"its argument {p.name!r} cannot be given by name"
        for p in parameters
        if p.kind is p.POSITIONAL_ONLY and p.default is p.empty
    ]
    if mistakes:
        raise BadOption(f"the verifier {spec!r}: {'; '.join(mistakes)}. Its options: {', '.join(names) or 'none'}")
