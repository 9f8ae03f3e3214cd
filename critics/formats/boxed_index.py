r"""The index of the first wrong step in a box: ProcessBench (arXiv:2412.06559) and DeepCritic (arXiv:2505.00662).

Steps are tagged `<paragraph_i>`; the critic ends with the index of the earliest wrong one in `\boxed{}`, or -1.
ProcessBench counts from 0, DeepCritic from 1 (`first_index`); here everything after the reader counts from 0.

Different from the official pattern `\\boxed\{([^}]*)\}`: braces are matched, a step that does not exist is malformed,
and an unfinished last box is malformed instead of the box before it. As there, the last box counts: critics box
intermediate results. So two indices are no conflict here, and a critic that ends with a box copied from the solution
has named that index. Boxes of a solution stay in the prompt, since most hold its answer; only one of -1, which would
accept it, does not stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from critics.formats.base import CritiqueFormat, after_thinking
from critics.types import Critique, Judgement, Solution, StepJudgement
from verifiers.response import boxes

_INDEX = re.compile(r"(?:\\text\{)?\s*(?:<?paragraph_)?(-?[0-9]{1,4})>?\s*\}?")
_NO_ERROR = r"(?:boxed|fbox)\b[ ]*+\{?[\s$]*+(?:\\text\{)?\s*+(?:<?paragraph_)?-0{0,3}1(?![0-9])"


@dataclass(frozen=True, kw_only=True)
class BoxedIndex(CritiqueFormat):
    """See the module. `first_index` is what the critic calls the first step: 0 (ProcessBench) or 1 (DeepCritic)."""

    name: ClassVar[str] = "boxed_index"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(rf"<(?=\s*+/?\s*+paragraph_)|\\(?={_NO_ERROR})", re.IGNORECASE)
    instruction: str = (
        "Examine the solution paragraph by paragraph. Put the index of the earliest paragraph with an error into"
        " \\boxed{}, or -1 if there is none."
    )
    steps_template: str = "<paragraph_{index}>\n{step}\n</paragraph_{index}>"
    first_index: int = 0

    def __post_init__(self) -> None:
        if self.first_index not in (0, 1):
            raise ValueError(f"first_index must be 0 or 1, not {self.first_index}")

    def step_text(self, index: int, step: str) -> str:
        return super().step_text(index + self.first_index, step)

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        contents, is_open = boxes(reply)
        if not contents and not is_open:
            return Critique(text, None, feedback=reply, parse_status="missing")
        match = None if is_open else _INDEX.fullmatch(contents[-1].strip().strip("$ "))
        index = None if match is None else int(match.group(1))
        if index is not None and index != -1:
            index -= self.first_index
            if index < 0 or (steps is not None and index >= steps):
                index = None
        if index is None:
            return Critique(text, None, feedback=reply, parse_status="malformed")
        if index == -1:
            return Critique(text, Judgement.CORRECT, first_error=-1, feedback=reply)
        before = tuple(StepJudgement(i, Judgement.CORRECT) for i in range(index))
        return Critique(
            text, Judgement.INCORRECT, (*before, StepJudgement(index, Judgement.INCORRECT)), index, feedback=reply
        )

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        if solution.first_error is None:
            raise ValueError(f"the solution of problem {solution.problem_id} has no label: set `first_error`")
        wrong = solution.first_error
        # what follows a wrong step is neither right nor wrong
        relevant_comments = comments if wrong == -1 else comments[: wrong + 1]
        index = wrong if wrong == -1 else wrong + self.first_index
        return "\n".join([*(comment for comment in relevant_comments if comment), f"\\boxed{{{index}}}"])
