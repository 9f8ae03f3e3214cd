"""A verifier of the user's own, whose failures are one message instead of a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.errors import RecipeError, TrainingError
from reasonrl.user_code import call_user_code
from verifiers.types import Verdict, Verifier


class GuardedVerifier:
    """Calls a verifier, awaits what is async in it, and checks what it returns. Everything else is the verifier's:
    its optional attributes are read through, and `isinstance` sees its class.

    Args:
        verifier: of the user's own.
        key: the recipe's key that names it, for messages.
    """

    def __init__(self, verifier: Verifier, key: str) -> None:
        self._verifier, self._key = verifier, key

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._verifier)

    def __reduce__(self) -> tuple[Any, ...]:  # pickle would take the verifier's class for this one
        return GuardedVerifier, (self._verifier, self._key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._verifier, name)

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """Raises TrainingError where the verifier raises, or returns anything but a list of verdicts."""
        subject = f"{self._key}: {type(self._verifier).__name__}.verify"
        verdicts = call_user_code(subject, self._verifier.verify, responses, references)
        if not isinstance(verdicts, list | tuple):
            raise TrainingError(
                f"{subject}: returned {_kind(verdicts)}; return a list with one Verdict for each response"
            )
        if len(verdicts) != len(responses):
            raise TrainingError(
                f"{subject}: returned {len(verdicts)} verdicts for {len(responses)} responses; return one for each"
            )
        for verdict in verdicts:
            if not isinstance(verdict, Verdict):
                raise TrainingError(
                    f"{subject}: returned {_kind(verdict)} for a response; return a Verdict for each (verifiers.types)"
                )
        return list(verdicts)

    def gold_response(self, reference: dict[str, Any]) -> str:
        """Raises RecipeError where the verifier raises anything but a ValueError, or does not return a text."""
        subject = f"{self._key}: {type(self._verifier).__name__}.gold_response"
        response = call_user_code(
            subject, self._verifier.gold_response, reference, error_class=RecipeError, passes=(ValueError,)
        )
        if not isinstance(response, str):
            raise RecipeError(f"{subject}: returned {_kind(response)}; return the text of a right response")
        return response


def _kind(value: Any) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
