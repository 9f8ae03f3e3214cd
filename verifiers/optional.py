"""The optional methods of a verifier beside `verify` and `gold_response`; `verifiers.types.Verifier` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verifiers.errors import BadReference, MissingMethod, VerifierError
from verifiers.types import Layer, Status, Verdict, Verifier


def reads_reference(verifier: Verifier) -> bool:
    """Whether the verdict depends on the reference."""
    return bool(getattr(verifier, "reads_reference", True))


def row_fields(verifier: Verifier) -> tuple[str, ...]:
    """Fields of a reference that may stand in a row by themselves. Raises VerifierError."""
    return _names(verifier, "row_fields")


def detail_fields(verifier: Verifier) -> tuple[str, ...]:
    """Names of details that are columns of `reasonrl verify`. Raises VerifierError."""
    return _names(verifier, "detail_fields")


def answer_field(verifier: Verifier) -> str:
    """What a row calls a bare answer, if not "answer". Raises VerifierError."""
    name = getattr(verifier, "answer_field", "answer")
    if not isinstance(name, str) or not name:
        raise VerifierError(f"{verifier.__class__.__name__}.answer_field is {name!r}; write the name of a field")
    return name


def _names(verifier: Verifier, attribute: str) -> tuple[str, ...]:
    names = getattr(verifier, attribute, ())
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise VerifierError(f"{verifier.__class__.__name__}.{attribute} is {names!r:.60}; write a tuple of names")
    return tuple(names)


def reference_of(verifier: Verifier, gold: Any) -> dict[str, Any]:
    """The reference that a bare gold answer stands for.

    Raises:
        MissingMethod: the verifier does not say.
        ValueError: the gold answer has the wrong form; the message is the verifier's own.
    """
    method = getattr(verifier, "reference_of", None)
    if method is None:
        raise MissingMethod(
            f'the verifier {verifier.__class__.__name__} cannot turn a bare "gold" into a reference: it has no method'
            ' reference_of. Write "reference": {...} in its place, or add the method reference_of(gold) -> dict'
        )
    reference = method(gold)
    if not isinstance(reference, dict):
        raise BadReference(
            f"{verifier.__class__.__name__}.reference_of returned a {type(reference).__name__}, not a dict"
        )
    return reference


def verify_answers(verifier: Verifier, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
    """One verdict for each bare answer, in order: by `verify_answers` of the verifier, or else by its `wrap_answer` and
    `verify`. An answer that cannot be wrapped gets an ERROR.

    Raises:
        MissingMethod: the verifier has neither method.
        VerifierError: `verify` returned another number of verdicts.
        Whatever `verify` raises.
    """
    method = getattr(verifier, "verify_answers", None)
    if method is not None:
        verdicts: list[Verdict] = method(answers, references)
        return verdicts
    wrap = getattr(verifier, "wrap_answer", None)
    if wrap is None:
        name = verifier.__class__.__name__  # of a guarded verifier, the user's
        raise MissingMethod(
            f'the verifier {name} cannot judge a bare "answer": it has no method wrap_answer. Write'
            ' "response": a complete response in its place, or add the method wrap_answer(answer) -> str'
        )
    wrapped: dict[int, str] = {}
    failures: dict[int, Verdict] = {}
    for row, answer in enumerate(answers):
        try:
            wrapped[row] = wrap(answer)
        except ValueError as error:
            failures[row] = Verdict(None, None, Status.ERROR, None, "wrap_answer", str(error), 0.0)
    verdicts = verifier.verify(list(wrapped.values()), [references[row] for row in wrapped])
    if len(verdicts) != len(wrapped):
        name = verifier.__class__.__name__
        raise VerifierError(f"the verifier {name} returned {len(verdicts)} verdicts for {len(wrapped)} responses")
    judged = dict(zip(wrapped, verdicts, strict=True))
    return [failures[row] if row in failures else judged[row] for row in range(len(answers))]


def explain(verifier: Verifier, answer: str, reference: dict[str, Any], verdict: Verdict) -> list[Layer]:
    """How the verdict of an answer came about. Raises MissingMethod."""
    method = getattr(verifier, "explain", None)
    if method is None:
        raise MissingMethod(f"the verifier {verifier.__class__.__name__} has no method explain: leave out --explain")
    layers: list[Layer] = method(answer, reference, verdict)
    return layers


def close(verifier: Verifier) -> None:
    """Ends the worker processes of a verifier that has any."""
    method = getattr(verifier, "close", None)
    if method is not None:
        method()
