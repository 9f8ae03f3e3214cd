"""Two answers on their way through the layers, and what a layer says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verifiers.math.layers.preparation import tidy
from verifiers.math.policy import MathPolicy

MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Comparison:
    equal: bool
    method: str
    reason: str = ""
    """What decided, for a person; empty where the method says it all."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both as `preparation` leaves them."""

    answer: str
    gold: str
    policy: MathPolicy
    decide: Callable[[Pair], Comparison | None]
    """All layers, for the parts of an answer."""
    depth: int = 0
    words: tuple[str, str] | None = None
    """Both with the words and units that `answer` and `gold` lack; None: they lack none."""

    @property
    def answer_words(self) -> str:
        return self.answer if self.words is None else self.words[0]

    @property
    def gold_words(self) -> str:
        return self.gold if self.words is None else self.words[1]

    def inner(self, answer: str, gold: str) -> Comparison | None:
        """What all layers say of a part of the answer and a part of the reference; None also when parts are nested too
        deeply.
        """
        if self.depth >= MAX_DEPTH:
            return None
        return self.decide(Pair(tidy(answer), tidy(gold), self.policy, self.decide, self.depth + 1))


Layer = Callable[[Pair], Comparison | None]


def all_equal(pair: Pair, members: list[tuple[str, str]], method: str) -> Comparison | None:
    """Equal when all members are; unknown when one is unknown and none differs."""
    unknown = False
    for a, g in members:
        comparison = pair.inner(a, g)
        if comparison is not None and not comparison.equal:
            return Comparison(False, method, f"{short(a)} is not {short(g)}")
        unknown = unknown or comparison is None
    return None if unknown else Comparison(True, method)


def short(text: str) -> str:
    """The text cut to 40 characters, for a message."""
    return text if len(text) <= 40 else text[:37] + "..."
