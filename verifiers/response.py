"""Reading a response, whatever it answers: thinking is stripped, boxes are found with their braces matched.

Shared by the verifiers of math, code and proofs, the format verifier, and the formats of critiques. Every scan is
linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Mode = Literal["strict", "lenient", "whole"]

THINKING_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis", "<|channel|>final"),
)
"""What stands before and after a thought: DeepSeek and Qwen, then others; the last pair is that of gpt-oss."""

_SIGNS_OF_TAGS = ("<", "THINK]", "\u25c1")
"""One of these stands in each tag, and in each token that ends the turn. Most responses have none."""
_END_OF_TURN = re.compile(
    r"<\|(?:im_start|im_end|eot_id|end_of_text|endoftext|start_header_id|return)\|>|</s>|<eos>|<end_of_turn>"
)
_BOX = re.compile(r"\\(?:boxed|fbox)\b[ ]*")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_WORD = re.compile(r"[A-Za-z`'\"]{2,}")
"""\\boxed that is only spoken of, as in "I use \\boxed as asked"."""
_BARE_TOKEN = re.compile(r"[^\s{}$\\.,;]+")


@dataclass(frozen=True, slots=True)
class Extraction:
    """`answer` is None when there is nothing to credit; `reason` then says why, and otherwise where it was read."""

    answer: str | None
    reason: str


def check_mode(mode: str) -> None:
    if mode not in get_args(Mode):
        raise ValueError(f"mode is {mode!r}; write one of {', '.join(get_args(Mode))}")


def strip_thinking(text: str) -> str:
    """What follows the last </think>; what stands before a <think> that is never closed; the same of the other
    THINKING_TAGS. A prompt may have opened the first one.

    Nothing after a token that ends the turn belongs to the response.
    """
    if not any(sign in text for sign in _SIGNS_OF_TAGS):
        return text
    text = _END_OF_TURN.split(text, maxsplit=1)[0]
    for _, closing in THINKING_TAGS:
        if closing in text:
            text = text.rpartition(closing)[2]
    for opening, _ in THINKING_TAGS:
        if opening in text:
            text = text.partition(opening)[0]
    return text


def is_unfinished_thought(text: str) -> bool:
    """Whether a response ends within a thought: a tag that opens one stands after the last that closes one."""
    for _, closing in THINKING_TAGS:
        text = text.rpartition(closing)[2]
    return any(opening in text for opening, _ in THINKING_TAGS)


def wrap_answer(answer: str, mode: Mode) -> str:
    """An answer as a response in the format of the mode."""
    return answer if mode == "whole" else f"\\boxed{{{answer}}}"


def bare_answer(answer: str) -> Extraction:
    """An answer that needs no looking for."""
    return Extraction(answer, "the answer") if answer.strip() else Extraction(None, "the answer is empty")


def boxes(text: str) -> tuple[list[str], bool]:
    """The contents of the outermost boxes in order, and whether the last one is left open.

    One pass over the text whatever the nesting. A box that only holds a box is opened.
    """
    contents: list[str] = []
    is_open = untouched = False  # untouched: nothing but boxes so far in the current box
    start = end = 0
    first = _BOX.search(text)
    if first is None:
        return contents, is_open
    closers = _closing_braces(text, first.start())
    for match in _BOX.finditer(text, first.start()):
        brace = match.end()
        if match.start() < end:  # inside the box before it
            untouched = (
                untouched
                and not text[start : match.start()].strip()
                and not text[closers.get(brace, end) + 1 : end].strip()
            )
            if untouched and brace in closers:
                start, end = brace + 1, closers[brace]
                contents[-1] = text[start:end].strip()
        elif text.startswith("{", brace):
            is_open = brace not in closers
            if not is_open:
                start, end, untouched = brace + 1, closers[brace], True
                contents.append(text[start:end].strip())
        elif (token := _BARE_TOKEN.match(text, brace)) and not _WORD.fullmatch(token.group()):  # "\\boxed 5"
            is_open = False
            contents.append(token.group())
    return contents, is_open


def _closing_braces(text: str, start: int) -> dict[int, int]:
    """Where each opening brace from `start` on is closed. Escaped braces are text."""
    closed: dict[int, int] = {}
    stack: list[int] = []
    for match in _BRACE.finditer(text, start):
        brace = match.group()
        if brace == "{":
            stack.append(match.start())
        elif brace == "}" and stack:
            closed[stack.pop()] = match.start()
    return closed
