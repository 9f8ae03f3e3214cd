"""A long chain of thought, then a short critique: RefCritic (arXiv:2507.15024).

    <think> ... </think>
    Judgement: Incorrect
    Suggestions: ...

The paper does not print its format; this one is ours. Only what follows the thinking is judged and handed on. With
`needs_thinking`, for chat templates that open <think> in the prompt, a response that never closes it has said nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, judgement_word, settle, truth
from critics.types import Critique, Judgement, Solution

_JUDGEMENT = re.compile(r"^[ \t*#]*judge?ment:[ \t*]*(.*)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LongCoT(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "long_cot"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(r"judge?ment:", re.IGNORECASE)
    instruction: str = (
        "Think about whether the solution is correct. Then write 'Judgement: Correct' or 'Judgement: Incorrect' on a"
        " line of its own, and behind 'Suggestions:' what to change."
    )
    needs_thinking: bool = False

    def parse(self, text: str, steps: int | None = None) -> Critique:
        if self.needs_thinking and "</think>" not in text:
            return Critique(text, None, parse_status="missing")
        reply = after_thinking(text)
        judgement, status = settle(judgement_word(match.group(1)) for match in _JUDGEMENT.finditer(reply))
        return Critique(text, judgement, feedback=reply, parse_status=status)

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        given = [comment for comment in comments if comment]
        thought = "\n".join(given) + "\n" if self.explain_first and given else ""
        if self.needs_thinking:
            thought += "</think>\n"
        elif thought:
            thought = f"<think>\n{thought}</think>\n"
        word = "Correct" if truth(solution) is Judgement.CORRECT else "Incorrect"
        wrong = solution.first_error
        if self.explain_first:  # the thinking is not handed on, so what is wrong is said again
            given = [comments[wrong]] if wrong is not None and 0 <= wrong < len(comments) and comments[wrong] else []
        suggestions = " ".join(given)
        return f"{thought}Judgement: {word}" + (f"\nSuggestions: {suggestions}" if suggestions else "")
