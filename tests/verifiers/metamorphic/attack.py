"""What an attack is, and how attacks are registered. Each writes a response that is wrong by construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.verifiers.metamorphic.wording import inline


@dataclass(frozen=True, slots=True)
class Target:
    """What an attack knows: the reference, a wrong answer that looks like it, and whole numbers that it is not."""

    gold: str
    wrong: str
    others: list[int]


Attack = Callable[[Target, Random], str]


@dataclass(frozen=True, slots=True)
class Registered:
    name: str
    attack: Attack
    needs: frozenset[str]
    is_marked: bool
    """The attack writes the marks itself; otherwise what it writes is put into one."""


ATTACKS: list[Registered] = []
MARKS = (
    "So \\boxed{{{}}}.",
    "$$\\boxed{{{}}}$$",
    "<answer>{}</answer>",
    "We add them up.\n#### {}",
    "The answer is {}.",
)


def content(needs: str = "scalar") -> Callable[[Attack], Attack]:
    """Registers what stands within one mark."""
    return _register(needs, is_marked=False)


def response(needs: str = "scalar") -> Callable[[Attack], Attack]:
    """Registers a whole response."""
    return _register(needs, is_marked=True)


def _register(needs: str, is_marked: bool) -> Callable[[Attack], Attack]:
    def register(attack: Attack) -> Attack:
        name = attack.__name__.replace("_", " ")
        ATTACKS.append(Registered(name, attack, frozenset(needs.split()), is_marked))
        return attack

    return register


def marked(text: str, rng: Random) -> str:
    mark = rng.choice(MARKS)
    return mark.format(inline(text) if mark.startswith("The answer") else text)
