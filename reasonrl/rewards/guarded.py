"""A verifier of the user's own, whose failures are one message instead of a traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from reasonrl.environments.episode_checks import sound_verdict
from reasonrl.errors import ReasonRLError, RecipeError, TrainingError
from reasonrl.user_code.guards import call_user_code, detached, kind_of
from verifiers.types import Verdict, Verifier

OPTIONAL_METHODS = {"reference_of": (ValueError,), "wrap_answer": (ValueError,), "verify_answers": (), "explain": ()}
"""What each of them may raise by its contract (`verifiers.types.Verifier`)."""


class GuardedVerifier:
    """Calls a verifier, awaits what is async in it, and checks what it returns. It gets copies of the references.
    Everything else is the verifier's: its optional attributes are read through, and `isinstance` sees its class.

    Args:
        verifier: of the user's own.
        key: the recipe's key that names it, for messages.
        error_class: of what `verify` does wrong.
    """

    def __init__(self, verifier: Verifier, key: str, error_class: type[ReasonRLError] = TrainingError) -> None:
        self._verifier, self._key, self._error_class = verifier, key, error_class

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._verifier)

    def __reduce__(self) -> tuple[Any, ...]:  # pickle would take the verifier's class for this one
        return GuardedVerifier, (self._verifier, self._key, self._error_class)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._verifier, name)
        if name not in OPTIONAL_METHODS or not callable(value):
            return value
        return functools.partial(self._call, name, value)

    def _call(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        """An optional method; what it returns is checked where it is one verdict for each answer."""
        subject = f"{self._key}: {type(self._verifier).__name__}.{name}"
        result = call_user_code(
            subject, method, *detached(list(arguments)), error_class=self._error_class, passes=OPTIONAL_METHODS[name]
        )
        return self._checked(result, len(arguments[0]), subject) if name == "verify_answers" else result

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """Raises TrainingError where the verifier raises, or returns anything but a list of verdicts."""
        subject = f"{self._key}: {type(self._verifier).__name__}.verify"
        verdicts = call_user_code(
            subject,
            self._verifier.verify,
            list(responses),
            [detached(reference) for reference in references],
            error_class=self._error_class,
        )
        return self._checked(verdicts, len(responses), subject)

    def _checked(self, verdicts: Any, count: int, subject: str) -> list[Verdict]:
        if not isinstance(verdicts, list | tuple):
            raise self._error_class(
                f"{subject}: returned {kind_of(verdicts)}; return a list with one Verdict for each response"
            )
        if len(verdicts) != count:
            raise self._error_class(
                f"{subject}: returned {len(verdicts)} verdicts for {count} responses; return one for each"
            )
        try:
            return [sound_verdict(verdict, subject) for verdict in verdicts]
        except TrainingError as error:
            raise self._error_class(str(error)) from error

    def gold_response(self, reference: dict[str, Any]) -> str:
        """Raises RecipeError where the verifier raises anything but a ValueError, or does not return a text."""
        subject = f"{self._key}: {type(self._verifier).__name__}.gold_response"
        response = call_user_code(
            subject,
            self._verifier.gold_response,
            detached(reference),
            error_class=RecipeError,
            passes=(ValueError,),
        )
        if not isinstance(response, str):
            raise RecipeError(f"{subject}: returned {kind_of(response)}; return the text of a right response")
        return response
