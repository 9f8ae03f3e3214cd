"""Loads users' own code by dotted path, `package.module:name`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from reasonrl.errors import ReasonRLError, RecipeError, UsageError
from reasonrl.user_code.guards import describe_error, prints_to_stderr, user_place
from reasonrl.user_code.process_state import process_as_before
from reasonrl.words import did_you_mean


def import_dotted(path: str, subject: str, error_class: type[UsageError] = RecipeError) -> Any:
    """The object at `package.module:name`. The current folder is importable.

    Args:
        path: `package.module:name`.
        subject: the beginning of a message: the recipe's field, or whatever else names the path.
        error_class: the error to raise.

    Raises:
        UsageError: of `error_class`, when the path is malformed, the module or the name does not exist, or the module
        cannot be imported: the message has the line of its code that fails, and the cause is chained.
    """
    module_name, colon, attribute = path.partition(":")
    if not colon or not module_name or not attribute:
        raise error_class(f"{subject}: '{path}' is not of the form package.module:name")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise error_class(f"{subject}: '{path}' names a file; write the module, {dotted}:{attribute}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        with prints_to_stderr(), process_as_before():
            module = importlib.import_module(module_name)
            exists = hasattr(module, attribute)  # a module may have a __getattr__
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise error_class(
                f"{subject}: there is no module '{error.name}' in the current folder or the environment"
            ) from error
        place = user_place(error)
        raise error_class(
            f"{subject}: the module {module_name} needs '{error.name}', which is not installed"
            + (f" ({place})" if place else "")
        ) from error
    except (ReasonRLError, KeyboardInterrupt):
        raise
    except BaseException as error:  # the module is foreign code, which may raise anything
        raise error_class(f"{subject}: the module {module_name} cannot be imported: {describe_error(error)}") from error
    if not exists:
        names = [name for name in dir(module) if not name.startswith("_")]
        hint = did_you_mean(attribute, names)
        raise error_class(f"{subject}: {module_name} has no '{attribute}'" + (f"; {hint}" if hint else ""))
    return getattr(module, attribute)
