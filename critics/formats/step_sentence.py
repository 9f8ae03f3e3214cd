"""Every step on its own, then the final answer: the format of Critique-RL (arXiv:2510.24320) and AutoMathCritique
(arXiv:2411.16579).

    Step sentence: 3 + 5 = 9
    Correctness of the step: Wrong
    Explanation: 3 + 5 = 8
    ...
    Correctness of the final answer: Wrong
    Explanation: ...

Different from the official reader, which looks for "Correctness of the final answer: Correct" anywhere in the text and
for the other verdict only where the label is "wrong", so that a critique with both verdicts is rewarded whatever the
label: here marks must begin a line, and two different verdicts are a conflict. As there, what stands before the first
"Step sentence:" does not reach the one who refines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, judgement_word, settle, truth
from critics.types import Critique, Judgement, Solution, StepJudgement

FINAL = "Correctness of the final answer:"
STEP, VERDICT, WHY = "Step sentence:", "Correctness of the step:", "Explanation:"

_FINAL = re.compile(rf"^[ \t*]*{re.escape(FINAL)}[ \t*]*(.*)$", re.MULTILINE | re.IGNORECASE)
_STEP = re.compile(rf"^[ \t*]*{re.escape(STEP)}", re.MULTILINE | re.IGNORECASE)
_VERDICT = re.compile(rf"^[ \t*]*{re.escape(VERDICT)}[ \t*]*(.*)$", re.MULTILINE | re.IGNORECASE)
_WHY = re.compile(rf"^[ \t*]*{re.escape(WHY)}[ \t*]*(.*)$", re.MULTILINE | re.IGNORECASE)
_WORDS = {Judgement.CORRECT: "Correct", Judgement.INCORRECT: "Wrong"}


@dataclass(frozen=True, kw_only=True)
class StepSentence(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "step_sentence"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(
        "|".join(map(re.escape, (STEP, VERDICT, FINAL))), re.IGNORECASE
    )
    instruction: str = (
        "Check the solution one step after the other. For each step write three lines:\n"
        f"{STEP} (the step)\n{VERDICT} Correct, or Wrong\n{WHY} (why)\n"
        f"At the end write two lines:\n{FINAL} Correct, or Wrong\n{WHY} (why)"
    )

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        judgement, status = settle(judgement_word(match.group(1)) for match in _FINAL.finditer(reply))
        judged, readable = _steps(reply, steps)
        wrong = [step.index for step in judged if step.judgement is Judgement.INCORRECT]
        complete = (
            readable and all(step.judgement is not None for step in judged) and (steps is None or len(judged) == steps)
        )
        first_error = wrong[0] if wrong else (-1 if judged and complete else None)
        start = _STEP.search(reply)
        return Critique(
            text,
            judgement,
            judged,
            first_error if readable else None,
            feedback=reply[start.start() :] if start else reply,
            parse_status=status,
        )

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        lines = []
        if solution.steps and solution.first_error is None:
            raise ValueError(
                f"the solution of problem {solution.problem_id} has steps but no step label: set `first_error`"
            )
        for i, step in enumerate(solution.steps):
            wrong = i == solution.first_error
            comment = comments[i] if i < len(comments) else ""
            judged = [f"{VERDICT} {'Wrong' if wrong else 'Correct'}", *([f"{WHY} {comment}"] if comment else [])]
            lines += [f"{STEP} {' '.join(step.split())}", *(reversed(judged) if self.explain_first else judged)]
            if wrong:
                break  # what follows a wrong step is neither right nor wrong
        return "\n".join([*lines, f"{FINAL} {_WORDS[truth(solution)]}"])


def _steps(reply: str, step_count: int | None) -> tuple[tuple[StepJudgement, ...], bool]:
    """The judged steps in the order of the text, and whether all of them fit the solution."""
    starts = [match.start() for match in _STEP.finditer(reply)]
    end = _FINAL.search(reply)
    limit = end.start() if end else len(reply)
    judged: list[StepJudgement] = []
    for index, (start, stop) in enumerate(pairwise([*starts, len(reply)])):
        if start > limit:
            break
        block = reply[start : min(stop, limit)]
        verdict, _ = settle(judgement_word(match.group(1)) for match in _VERDICT.finditer(block))
        why = _WHY.search(block)
        judged.append(StepJudgement(index, verdict, why.group(1).strip() if why else ""))
    fits = step_count is None or len(judged) <= step_count
    return (tuple(judged) if fits else ()), fits
