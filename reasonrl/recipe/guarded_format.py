"""A critique format of the user's own, whose failures are one message instead of a traceback."""

from __future__ import annotations

import functools
from typing import Any

from critics.formats import CritiqueFormat
from critics.types import Critique
from reasonrl.errors import TrainingError
from reasonrl.user_code.guards import call_user_code, detached_problem, kind_of
from verifiers.types import Problem

RETURNS: dict[str, type] = {
    "render": list,
    "prompt_text": str,
    "solution_text": str,
    "step_text": str,
    "parse": Critique,
    "write": str,
    "refine_messages": list,
}
"""The methods of a format that are called from outside, and what each returns."""


class GuardedFormat:
    """Calls the methods of a format with copies of the problems, and checks what they return. `isinstance` sees the
    format's class, and its other attributes are read through.
    """

    def __init__(self, format: CritiqueFormat, key: str) -> None:
        self._format, self._key = format, key

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._format)

    def __reduce__(self) -> tuple[Any, ...]:  # pickle would take the format's class for this one
        return GuardedFormat, (self._format, self._key)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._format, name)
        return functools.partial(self._call, name) if name in RETURNS else value

    def for_request(self, seed: int) -> GuardedFormat:
        return GuardedFormat(self._format.for_request(seed), self._key)

    def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Raises TrainingError where the method raises or returns something else; `write` may raise ValueError."""
        subject = f"{self._key}: {type(self._format).__name__}.{name}"
        copies = [detached_problem(value) if isinstance(value, Problem) else value for value in arguments]
        method = functools.partial(getattr(self._format, name), *copies, **options)
        result = call_user_code(subject, method, passes=(ValueError,) if name == "write" else ())
        if not isinstance(result, RETURNS[name]):
            raise TrainingError(
                f"{subject}: returned {kind_of(result)}; return a value of type {RETURNS[name].__name__}"
            )
        return result
