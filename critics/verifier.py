"""Critiques as responses: whether the judgement is right, with the interface that every verifier has.

So a critic is trained, evaluated, inspected and compared by whatever takes a verifier. The reference is that of a
problem of kind "critique": {"answer", "solution", "steps", "correct", "first_error"}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from critics.formats import CritiqueFormat, load_format
from critics.rewards import Target
from critics.types import Critique, Judgement, Solution
from verifiers.types import Status, Verdict

_WHY = {
    "missing": "no judgement was given",
    "conflict": "two different judgements were given",
    "malformed": "the judgement cannot be read",
}


def solution_of(reference: dict[str, Any], problem_id: str = "-") -> Solution:
    """The solution in a reference. Raises ValueError that names the field."""
    steps = reference.get("steps") or ()
    if isinstance(steps, str) or not all(isinstance(step, str) for step in steps):
        raise ValueError(f"steps of a critique's reference must be a list of strings, not {steps!r:.60}")
    text = reference.get("solution") or "\n".join(steps)
    if not isinstance(text, str) or not text.strip():
        raise ValueError("a critique's reference needs 'solution' (a string) or 'steps' (a list of strings)")
    answer = reference.get("solution_answer")
    try:
        return Solution(problem_id, text, tuple(steps), answer, reference.get("correct"), reference.get("first_error"))
    except TypeError as error:
        raise ValueError(str(error)) from error


class CritiqueVerifier:
    """`target`: what is compared.

    answer: the judgement with `correct`. last_step: the judgement with whether the last step is right (not known, and
    not judged, after a wrong step). index: the index of the first wrong step with `first_error`.
    """

    thread_safe = True

    def __init__(
        self, format: str | dict[str, Any] | CritiqueFormat = "step_sentence", target: Target | str = "answer"
    ) -> None:
        if target not in (*get_args(Target), "index"):
            raise ValueError(f"target is {target!r}; write {', '.join(get_args(Target))} or index")
        if isinstance(format, str):
            format = load_format(format)
        elif isinstance(format, dict):
            format = load_format(**format)
        self.format, self.target = format, target

    def read(self, response: str, reference: dict[str, Any]) -> Critique:
        return self.format.parse(response, len(reference.get("steps") or ()) or None)

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        return [self._judged(response, reference) for response, reference in zip(responses, references, strict=True)]

    def gold_response(self, reference: dict[str, Any]) -> str:
        """The demonstration that the reference holds, or the shortest right critique. Raises ValueError for a reference
        without labels.
        """
        demonstration = reference.get("demonstration")
        return demonstration if isinstance(demonstration, str) else self.format.write(solution_of(reference))

    def _judged(self, response: str, reference: dict[str, Any]) -> Verdict:
        try:
            solution = solution_of(reference)
        except ValueError as error:
            return Verdict(None, None, Status.ERROR, None, "critique", f"the reference cannot be read: {error}", 0.0)
        label = self._label(solution)
        if label is None:
            return Verdict(None, None, Status.ERROR, None, "critique", "the solution is not labelled", 0.0)
        critique = self.read(response, reference)
        if self.target == "index" and critique.parse_status == "ok":
            if critique.first_error is None:
                return Verdict(False, 0.0, Status.UNPARSED, None, "critique.index", "no step is named", 0.0)
            right = critique.first_error == label
            return _verdict(
                right,
                str(critique.first_error),
                "critique.index",
                f"names {critique.first_error}; the first wrong step is {label}",
            )
        if critique.judgement is None:
            return Verdict(False, 0.0, Status.UNPARSED, None, "critique", _WHY[critique.parse_status], 0.0)
        judgement = critique.judgement
        right = judgement == label
        return _verdict(
            right, judgement.value, "critique", f"says {judgement.value}; {'so it is' if right else f'it is {label}'}"
        )

    def _label(self, solution: Solution) -> Judgement | int | None:
        if self.target == "index":
            return solution.first_error
        if self.target == "last_step":
            return _as_judgement(solution.last_step_correct)
        return _as_judgement(solution.correct)


def _as_judgement(label: bool | None) -> Judgement | None:
    return None if label is None else (Judgement.CORRECT if label else Judgement.INCORRECT)


def _verdict(right: bool, extracted: str, method: str, reason: str) -> Verdict:
    return Verdict(right, float(right), Status.JUDGED, extracted, method, reason, 0.0)
