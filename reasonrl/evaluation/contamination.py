"""Which problems of a benchmark stand in the data that a model was trained on.

Two signs, both on words alone (letters and digits, lower case): the whole question is the same, or 13 words in a row
are (the length that GPT-3's report took, arXiv:2005.14165, appendix C). Questions of fewer words can only be the same.
It finds copies, not paraphrases; and it sees the data of this training alone, not that of the model it began with.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from verifiers.types import Problem

WORDS = 13
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Problems of a benchmark that training problems repeat. Ids are in the order of the benchmark."""

    problems: int
    same: tuple[str, ...]
    """The whole question."""
    shared: tuple[str, ...]
    """At least `WORDS` words in a row, and not the whole question."""

    @property
    def share(self) -> float:
        return (len(self.same) + len(self.shared)) / self.problems if self.problems else 0.0

    def text(self, name: str) -> str:
        """One line for a person."""
        if not self.share:
            return f"{name}: no question repeats one of the training data"
        first = (*self.same, *self.shared)[0]
        return (
            f"{name}: {self.share:.1%} of the questions are in the training data ({len(self.same):,} the same,"
            f" {len(self.shared):,} share {WORDS} words in a row; first {first}): the score measures memory too"
        )


def overlap(benchmark: Sequence[Problem], training: Iterable[Problem]) -> Overlap:
    """Questions of the benchmark that stand in the training problems. Memory grows with the benchmark alone."""
    whole: dict[tuple[str, ...], list[str]] = {}
    parts: dict[tuple[str, ...], list[str]] = {}
    for problem in benchmark:
        words = words_of(problem)
        whole.setdefault(words, []).append(problem.id)
        for part in _parts(words):
            parts.setdefault(part, []).append(problem.id)
    same: set[str] = set()
    shared: set[str] = set()
    for problem in training:
        words = words_of(problem)
        same.update(whole.get(words, ()))
        for part in _parts(words):
            if part in parts:
                shared.update(parts[part])
    ids = [problem.id for problem in benchmark]
    return Overlap(
        len(ids),
        tuple(name for name in ids if name in same),
        tuple(name for name in ids if name in shared - same),
    )


def words_of(problem: Problem) -> tuple[str, ...]:
    """Of the question; of messages, those of the user."""
    prompt = problem.prompt
    if not isinstance(prompt, str):
        prompt = "\n".join(message["content"] for message in prompt if message["role"] == "user")
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", prompt).lower()))


def _parts(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for start in range(len(words) - WORDS + 1):
        yield words[start : start + WORDS]
