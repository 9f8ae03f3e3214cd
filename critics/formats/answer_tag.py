"""One step at a time, judged in a tag: the critic of SPC (arXiv:2504.19162).

The solution's last step is judged, the steps before it are given: `<Answer>Correct</Answer>` or
`<Answer>Incorrect</Answer>`.

Different from the official reader, which takes the first tag and wants it without spaces: spaces are allowed, two tags
that differ are a conflict, and a tag with anything else in it is malformed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, fill, settle, truth
from critics.formats.untrusted import quoted
from critics.types import Critique, Judgement, Solution, StepJudgement
from verifiers.types import Message, Problem

_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_OPEN = re.compile(r"<answer>", re.IGNORECASE)
_WORDS = {"correct": Judgement.CORRECT, "incorrect": Judgement.INCORRECT}


@dataclass(frozen=True, kw_only=True)
class AnswerTag(CritiqueFormat):
    """See the module. `empty_prefix` stands where the last step is the first."""

    name: ClassVar[str] = "answer_tag"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(r"<(?=\s*+/?\s*+answer\s*+>)", re.IGNORECASE)
    judges_last_step: ClassVar[bool] = True
    instruction: str = (
        "Say first what the solution has done so far, then examine the last step, then conclude with "
        "<Answer>Correct</Answer> or <Answer>Incorrect</Answer>."
    )
    prompt_template: str = "Problem:\n{question}\n\nSteps so far:\n{prefix}\n\nLast step:\n{solution}\n\n{instruction}"
    empty_prefix: str = "(There are none: the last step is the first.)"

    def render(self, problem: Problem, solution: Solution) -> list[Message]:
        *prefix, last = solution.steps or (solution.text,)
        number = self.delimiter(solution)
        before = (
            quoted("\n".join(self.step_text(i, step) for i, step in enumerate(prefix)), "steps", number)
            if prefix
            else self.empty_prefix
        )
        text = fill(
            self.prompt_template,
            question=self.question_text(problem),
            prefix=before,
            solution=quoted(self.step_text(len(prefix), last), "step", number),
            instruction=self.instruction_text(solution, "step"),
        )
        return [{"role": "user", "content": text}]

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        tags = [_WORDS.get(match.group(1).strip().lower()) for match in _TAG.finditer(reply)]
        judgement, status = settle([*tags, None] if len(_OPEN.findall(reply)) > len(tags) else tags)
        judged = (StepJudgement(steps - 1, judgement),) if judgement is not None and steps else ()
        first_error = None
        if judgement is Judgement.INCORRECT and steps:
            first_error = steps - 1
        return Critique(text, judgement, judged, first_error, feedback=_TAG.sub("", reply).strip(), parse_status=status)

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        word = "Correct" if last_step_truth(solution) is Judgement.CORRECT else "Incorrect"
        return "\n".join([*(comment for comment in comments[-1:] if comment), f"<Answer>{word}</Answer>"])


def last_step_truth(solution: Solution) -> Judgement:
    """Whether the last step is right, from its own label where the steps are labelled, else from the answer. Raises
    ValueError.
    """
    label = solution.last_step_correct
    return truth(solution) if label is None else Judgement.CORRECT if label else Judgement.INCORRECT
