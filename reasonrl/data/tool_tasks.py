"""Problems made for policies that call tools: slices of questions, each with a demonstration of one or more turns.

A task says what its questions are and how they are demonstrated. What all tasks share stands here: options, the split,
slices that take turns. Demonstrations of a task are of three kinds, and the options say how many there are of each: a
direct answer, a call and the copy of its result, and a careless call. A policy that was taught by them can call and can
copy a result, and does neither when it should: that is left to reinforcement learning.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.values import LARGEST_SIZE
from reasonrl.errors import DataError
from verifiers.types import Problem

Turns = list[dict[str, str]]
_MISSES = 20_000


@dataclass(frozen=True)
class ToolTask:
    """A source of problems.

    Attributes:
        name: of the source.
        slices: name -> draws a question.
        side: (question, share of test) -> train or test.
        prompt: question -> what the policy reads.
        answer: question -> the right answer.
        demonstrate: (question, slice, whether it calls, whether that call is careless, rng) -> turns.
        answerable: slices that the policy is to learn to answer by itself; calls on these are never careless, so that a
            mistake of a call is no reason against calling.
    """

    name: str
    slices: Mapping[str, Callable[[random.Random], str]]
    side: Callable[[str, float], str]
    prompt: Callable[[str], str]
    answer: Callable[[str], str]
    demonstrate: Callable[[str, str, bool, bool, random.Random], Turns]
    answerable: tuple[str, ...] = ()

    def problems(self, options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
        """Problems of kind "math", the slices taking turns, each with `demonstration` in its reference.

        Options:
            size: how many problems.
            slices: which of the task's (all).
            split, test_share: train or test, by the question.
            repeats: a question may occur again, with a demonstration of its own.
            called: share of the demonstrations that make a call (0.2).
            careless: share of these whose call has a mistake (0.25); none on `answerable` slices.

        Raises DataError.
        """
        checked = self._checked(options, seed)
        stem = f"{checked.split}-{checked.seed}"
        rng = random.Random(f"{self.name} {stem} {' '.join(checked.slices)}")
        problems: list[Problem] = []
        seen: set[str] = set()
        misses = 0
        while len(problems) < checked.size:
            name = checked.slices[len(problems) % len(checked.slices)]
            question = self.slices[name](rng)
            if self.side(question, checked.test_share) != checked.split or (question in seen and not checked.repeats):
                misses += 1
                if misses > _MISSES:
                    raise DataError(
                        f"{self.name}: there are only about {len(problems):,} different problems of {checked.size:,};"
                        " ask for fewer, or write repeats: true"
                    )
                continue
            misses = 0
            seen.add(question)
            called = rng.random() < checked.called
            careless = called and rng.random() < checked.careless and name not in self.answerable
            turns = self.demonstrate(question, name, called, careless, rng)
            reference = {"answer": self.answer(question), "demonstration": turns}
            meta = {"slice": name, "called": called, "careless": careless}
            problem_id = f"{self.name}/{stem}-{len(problems)}"
            problems.append(Problem(problem_id, self.prompt(question), "math", reference, self.name, meta))
        return problems

    def _checked(self, options: dict[str, Any], seed: int) -> _Options:
        """All options with their defaults. Raises DataError with all that is wrong."""
        refuse_unknown(options, [field.name for field in fields(_Options)], self.name)
        if "size" not in options:
            raise DataError(f"{self.name}: the option size is missing; write the number of problems")
        given: dict[str, Any] = {"seed": seed, "slices": tuple(self.slices)} | options
        wrong = []
        if not _is_whole(given["size"]) or not 1 <= given["size"] <= LARGEST_SIZE:
            wrong.append(f"size must be a whole number from 1 to {LARGEST_SIZE:,}, not {given['size']!r}")
        if not _is_whole(given["seed"]):
            wrong.append(f"seed must be a whole number, not {given['seed']!r}")
        if given.get("split", "train") not in ("train", "test"):
            wrong.append(f"split must be train or test, not {given['split']!r}")
        if not isinstance(given.get("repeats", False), bool):
            wrong.append(f"repeats must be true or false, not {given['repeats']!r}")
        for name in ("test_share", "called", "careless"):
            share = given.get(name, 0.0)
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
                wrong.append(f"{name} must be in [0, 1], not {share!r}")
        slices = given["slices"]
        if not isinstance(slices, list | tuple) or not slices or any(name not in self.slices for name in slices):
            wrong.append(f"slices must be a list of {', '.join(self.slices)}, not {slices!r}")
        if wrong:
            raise DataError(f"{self.name}: {'; '.join(wrong)}")
        return _Options(**given | {"slices": tuple(slices)})


@dataclass(frozen=True, slots=True)
class _Options:
    """The options, checked, with their defaults."""

    size: int
    seed: int
    slices: tuple[str, ...]
    split: str = "train"
    test_share: float = 0.2
    repeats: bool = False
    called: float = 0.2
    careless: float = 0.25


def policy_turn(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def tool_turn(text: str) -> dict[str, str]:
    return {"role": "tool", "content": text}


def random_digits(count: int, rng: random.Random) -> str:
    """A number of so many digits."""
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def with_a_wrong_digit(text: str, rng: random.Random) -> str:
    """The text with one of its digits changed to another that is not 0."""
    place = rng.choice([i for i, character in enumerate(text) if character.isdigit()])
    other = rng.choice([digit for digit in "123456789" if digit != text[place]])
    return text[:place] + other + text[place + 1 :]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
