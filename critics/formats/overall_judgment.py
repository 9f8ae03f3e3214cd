"""Analysis, suggestions, and one line of judgement: CTRL (arXiv:2502.03492).

    Analysis:
    ...
    Improvement suggestions:
    ...
    Overall judgment: Correct

The second version of the official reward wants all three headings in order; `has_all_parts` is that test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, judgement_word, settle, truth
from critics.types import Critique, Judgement, Solution

_JUDGMENT = re.compile(r"^[ \t*#]*overall judge?ment:[ \t*]*(.*)$", re.MULTILINE | re.IGNORECASE)
_PARTS = re.compile(r"\banalysis:.*?\bimprovement suggestions:.*?\boverall judge?ment:", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class OverallJudgment(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "overall_judgment"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(r"overall judge?ment:", re.IGNORECASE)
    instruction: str = (
        "Write three parts. 'Analysis:' says what the solution does well and badly. 'Improvement suggestions:' says"
        " what to change, without giving a whole solution. The last line is 'Overall judgment: Correct' or 'Overall"
        " judgment: Incorrect'."
    )
    refine_instruction: str = "Finalize your answer with the help of this critique."

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        judgement, status = settle(judgement_word(match.group(1)) for match in _JUDGMENT.finditer(reply))
        return Critique(text, judgement, feedback=reply, parse_status=status)

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        word = "Correct" if truth(solution) is Judgement.CORRECT else "Incorrect"
        analysis = "\n".join(comment for comment in comments if comment) or "-"
        return f"Analysis:\n{analysis}\nImprovement suggestions:\n-\nOverall judgment: {word}"

    @staticmethod
    def has_all_parts(text: str) -> bool:
        return _PARTS.search(after_thinking(text)) is not None
