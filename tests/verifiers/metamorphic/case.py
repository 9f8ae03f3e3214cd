"""What a case is, and how families of answers and transformations are registered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

Rewrite = Callable[[Any, Random], str | None]
"""Parts of an answer to another text, or None where the rewrite does not apply."""

FAMILIES: list[Family] = []


class Response(str):
    """A whole response, where a bare answer cannot say it: one box a part."""

    __slots__ = ()


class Bare(str):
    """A bare answer that is judged as it stands: a sentence, that no LaTeX fits around."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Case:
    """An answer with the verdict that it must get."""

    gold: str
    answer: str
    """A bare answer, or a whole response, as `mode` says."""
    equal: bool
    mode: str
    """"bare", "lenient" or "strict"."""
    trail: tuple[str, ...]
    """The family and then the transformations, in the order of their application."""

    @property
    def length(self) -> tuple[int, int]:
        """The shorter, the easier to read: steps first, then characters."""
        return len(self.trail), len(self.gold) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Transformation:
    name: str
    rewrite: Rewrite
    keeps: bool


@dataclass
class Family:
    """Answers of one shape: `draw` makes the parts, `write` the reference as a data set would write it.

    `traits` say which wordings fit: "math" (LaTeX), "scalar" (one number, so that a unit or `n =` may be added),
    "count" (a whole number), "prose" (words), "choice" (a letter), "one" (a single value, not a list).
    """

    name: str
    draw: Callable[[Random], Any]
    write: Callable[[Any], str]
    traits: frozenset[str]
    transformations: list[Transformation] = field(default_factory=list)

    def keeps(self, rewrite: Rewrite) -> Rewrite:
        self.transformations.append(Transformation(f"{self.name}: {_words(rewrite)}", rewrite, True))
        return rewrite

    def changes(self, rewrite: Rewrite) -> Rewrite:
        self.transformations.append(Transformation(f"{self.name}: {_words(rewrite)}", rewrite, False))
        return rewrite


def family(name: str, draw: Callable[[Random], Any], write: Callable[[Any], str], traits: str) -> Family:
    """A registered family. `traits` are words in one text."""
    registered = Family(name, draw, write, frozenset(traits.split()))
    FAMILIES.append(registered)
    return registered


def _words(rewrite: Rewrite) -> str:
    return rewrite.__name__.strip("_").replace("_", " ")


def other_digit(text: str, rng: Random) -> str | None:
    """The text with one digit changed, but no leading digit to 0. None if it has no digit."""
    places = [place for place, sign in enumerate(text) if sign.isdigit()]
    if not places:
        return None
    place = rng.choice(places)
    return text[:place] + rng.choice([d for d in "123456789" if d != text[place]]) + text[place + 1 :]


def distinct(rng: Random, count: int, low: int, high: int) -> list[int]:
    """Different whole numbers, in a random order."""
    return rng.sample(range(low, high + 1), count)


def comma(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def reordered(numbers: list[int], rng: Random) -> list[int]:
    """The same numbers, which must differ, in another order."""
    other = numbers
    while other == numbers:
        other = rng.sample(numbers, len(numbers))
    return other


def one_changed(numbers: list[int], rng: Random) -> list[int]:
    """The numbers with the sign of one changed, or 50 added to it."""
    place = rng.randrange(len(numbers))
    new = rng.choice([-numbers[place], numbers[place] + 50])
    return [*numbers[:place], new, *numbers[place + 1 :]]
