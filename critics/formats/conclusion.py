r"""A free critique with one word of conclusion: Critique-Coder (arXiv:2509.22824) and GC-RL (arXiv:2602.22765).

`\conclusion{T}` / `\conclusion{F}` (`style: command`), or `**Conclusion: right [END]**` (`style: sentence`); both are
read in either style.

Different from the official reader of Critique-Coder, which calls everything with a capital T in it true, "INCORRECT"
included, and cannot read "true": whole words in any case are read, and two different conclusions are a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from critics.formats.base import A_JUDGEMENT, CritiqueFormat, after_thinking, judgement_word, settle, truth
from critics.types import Critique, Judgement, Solution

_COMMAND = re.compile(r"\\conclusion\s*\{([^{}]*)\}?")
_SENTENCE = re.compile(r"^[ \t*#]*conclusion:(.*)$", re.MULTILINE | re.IGNORECASE)
_END = "[END]"


@dataclass(frozen=True, kw_only=True)
class Conclusion(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "conclusion"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(
        rf"\\(?=conclusion\b)|conclusion:(?={A_JUDGEMENT})", re.IGNORECASE
    )
    style: Literal["command", "sentence"] = "command"
    instruction: str = (
        "Examine the solution, then conclude with \\conclusion{T} if it is correct or \\conclusion{F} if it is not."
    )

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        commands = [match.group(1) for match in _COMMAND.finditer(reply)]
        sentences = [_without_end(match.group(1)) for match in _SENTENCE.finditer(reply)]
        judgement, status = settle(map(judgement_word, [*commands, *sentences]))
        return Critique(
            text, judgement, feedback=_COMMAND.sub("", _SENTENCE.sub("", reply)).strip(), parse_status=status
        )

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        right = truth(solution) is Judgement.CORRECT
        end = (
            f"\\conclusion{{{'T' if right else 'F'}}}"
            if self.style == "command"
            else f"**Conclusion: {'right' if right else 'wrong'} [END]**"
        )
        return "\n".join([*(comment for comment in comments if comment), end])


def _without_end(sentence: str) -> str:
    bare = sentence.rstrip(" \t*.")
    return bare[: -len(_END)] if bare.upper().endswith(_END) else bare
