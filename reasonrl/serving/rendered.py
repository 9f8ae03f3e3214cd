"""Problem and solution out of one text: a chat that a template has rendered, as trainers send it to a reward model.

The chat template is rendered with marks in place of both texts, which gives what it writes before, between and after
them. The cut is made at the first place that fits: what stands before it comes from the data, and what follows it is
the solution, whatever the solution holds. So a solution that imitates the end of its turn cannot move its words into
the problem. A chat of several turns cannot be told from such a solution: it is one question and its answer here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reasonrl.errors import DataError, ModelError
from reasonrl.models.chat_template import apply_template, name_of
from verifiers.types import Message

_SYSTEM, _PROBLEM, _SOLUTION, _THOUGHT = (f"reasonrl-{name}" for name in ("system", "problem", "solution", "thought"))
_OPENED = "<think>"


class BadTemplate(ValueError):
    """Problem and solution cannot be found again in what this template writes. The message says why."""


class Renderer(Protocol):
    """Reads what it, or its like, has written."""

    def read(self, text: str) -> tuple[str, str] | None:
        """Problem and solution; None where the text is not of this form."""
        ...


def read_rendered(renderers: Sequence[Renderer], text: str) -> tuple[str, str] | None:
    """Problem and solution by the first renderer that can read the text."""
    return next((pair for renderer in renderers if (pair := renderer.read(text)) is not None), None)


@dataclass(frozen=True)
class TextTemplate:
    """A text with `{problem}` and, behind it, `{solution}`. White space around the whole text does not count."""

    before: str
    between: str
    after: str

    @classmethod
    def parse(cls, text: str) -> TextTemplate:
        """Raises BadTemplate."""
        before, problem, behind = text.strip().partition("{problem}")
        between, solution, after = behind.partition("{solution}")
        if not (problem and solution) or "{problem}" in between + after or "{solution}" in before + after:
            raise BadTemplate("write {problem} and, behind it, {solution} into the template, each once")
        if not between.strip():
            raise BadTemplate("write some words between {problem} and {solution}, which say where the problem ends")
        return cls(before, between, after)

    def read(self, text: str) -> tuple[str, str] | None:
        text = text.strip()
        if not text.startswith(self.before):
            return None
        return _cut(text, len(self.before), self.between, "", self.after)


@dataclass(frozen=True)
class ChatTemplate:
    """What a tokenizer's chat template writes around a user's message and the assistant's answer to it."""

    before: str
    """Of a chat without a system message."""
    header: str
    """What stands directly before the user's text, with a system message or without."""
    between: str
    no_thought: str
    """What the template writes before an answer that has no thought; it is no part of the answer."""
    after: str
    begin_token: str

    @classmethod
    def of_tokenizer(cls, tokenizer: Any) -> ChatTemplate:
        """Raises BadTemplate: it has no chat template, or one in which both texts are not found again."""
        plain = _rendered(tokenizer, _SOLUTION)
        before, between, after = _parts(plain, _PROBLEM, _SOLUTION, name_of(tokenizer))
        begin_token = str(getattr(tokenizer, "bos_token", None) or "")
        marked = _optional(tokenizer, f"{_OPENED}\n{_THOUGHT}\n</think>\n\n{_SOLUTION}")
        common = between
        if _PROBLEM in marked and _THOUGHT in marked.partition(_PROBLEM)[2]:
            opening = marked.partition(_PROBLEM)[2].partition(_THOUGHT)[0].rstrip().removesuffix(_OPENED)
            common = _common_beginning(between, opening)
        if not common.strip():
            raise BadTemplate(
                f"the chat template of {name_of(tokenizer)} writes nothing between a user's text and the answer, so"
                " nobody can say where the problem ends"
            )
        with_system = _optional(tokenizer, _SOLUTION, _SYSTEM).partition(_PROBLEM)[0]
        header = _common_end(before, with_system) if _SYSTEM in with_system else ""
        return cls(before, header if header.strip() else "", common, between[len(common) :], after, begin_token)

    def read(self, text: str) -> tuple[str, str] | None:
        start = self._start(text)
        return None if start is None else _cut(text, start, self.between, self.no_thought, self.after)

    def _start(self, text: str) -> int | None:
        """Where the problem begins. verl takes the token that begins a text away."""
        without = self.before.removeprefix(self.begin_token)
        for before in (self.before, without):
            if text.startswith(before):
                return len(before)
        place = text.find(self.header) if self.header else -1
        return None if place < 0 else place + len(self.header)


def _cut(text: str, start: int, between: str, dropped: str, after: str) -> tuple[str, str] | None:
    end = text.find(between, start)
    if end < 0 or not text.endswith(after):
        return None
    solution = end + len(between)
    if dropped and text.startswith(dropped, solution):
        solution += len(dropped)
    if len(text) - len(after) < solution:
        return None
    return text[start:end], text[solution : len(text) - len(after)]


def _parts(text: str, first: str, second: str, owner: str) -> tuple[str, str, str]:
    before, _, behind = text.partition(first)
    between, mark, after = behind.partition(second)
    if not mark or first in between + after or second in before + after:
        raise BadTemplate(f"the chat template of {owner} does not write a question and its answer as they are")
    return before, between, after


def _rendered(tokenizer: Any, answer: str, system: str | None = None) -> str:
    chat: list[Message] = [{"role": "user", "content": _PROBLEM}, {"role": "assistant", "content": answer}]
    if system is not None:
        chat.insert(0, {"role": "system", "content": system})
    try:
        return apply_template(tokenizer, chat, "a test")
    except (DataError, ModelError) as error:
        raise BadTemplate(str(error)) from error


def _optional(tokenizer: Any, answer: str, system: str | None = None) -> str:
    """Empty where the template refuses such a chat."""
    try:
        return _rendered(tokenizer, answer, system)
    except BadTemplate:
        return ""


def _common_beginning(first: str, second: str) -> str:
    pairs = zip(first, second, strict=False)
    return first[: sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))]


def _common_end(first: str, second: str) -> str:
    return _common_beginning(first[::-1], second[::-1])[::-1]
