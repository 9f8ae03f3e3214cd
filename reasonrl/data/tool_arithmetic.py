"""The data source `tool_arithmetic`: sums that a small model can learn, and products that it can only have computed.

    easy    7+18=               sums up to 30
    hard    48213*5072=         5 digits by 4: about nine digits, hopeless to guess
    mixed   417*36+925=         a product and a sum, one call or two

Demonstrations are written for the format `line` of the environment `tool_use` with a calculator. Most of them answer
directly, which is right for easy sums and random digits for the others; some make a call, and some of those calls have
a mistake. So a policy that was taught by them can call and can copy a result, and does neither when it should: that is
left to reinforcement learning.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from reasonrl.data.expressions import evaluate, side
from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.values import LARGEST_SIZE
from reasonrl.errors import DataError
from verifiers.types import Problem

CALL, RESULT = "Call: ", "Result: "
UNREADABLE = "error: this is not an arithmetic expression"
"""What the calculator says to half an expression."""
_MISSES = 20_000


def _easy(rng: random.Random) -> str:
    total = rng.randint(2, 30)
    first = rng.randint(1, total - 1)
    return f"{first}+{total - first}"


def _hard(rng: random.Random) -> str:
    return f"{rng.randint(10_000, 99_999)}*{rng.randint(1_000, 9_999)}"


def _mixed(rng: random.Random) -> str:
    return f"{rng.randint(100, 999)}*{rng.randint(11, 99)}+{rng.randint(100, 999)}"


SLICES: dict[str, Callable[[random.Random], str]] = {"easy": _easy, "hard": _hard, "mixed": _mixed}


@dataclass(frozen=True, slots=True)
class _Options:
    """The options, checked, with their defaults."""

    size: int
    seed: int
    slices: tuple[str, ...] = ("easy", "hard", "mixed")
    split: str = "train"
    test_share: float = 0.2
    repeats: bool = False
    called: float = 0.2
    careless: float = 0.25


def tool_arithmetic(options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
    """Problems of kind "math", the slices taking turns, each with a demonstration of one or more turns.

    Options:
        size: how many problems.
        slices: which of easy, hard and mixed (all).
        split, test_share: train or test, by a hash of the expression; a commuted one is on the same side.
        repeats: an expression may occur again, with a demonstration of its own: there are only some 350 easy sums.
        called: share of the demonstrations that make a call (0.2).
        careless: share of these whose call is half an expression or has a wrong digit (0.25).

    Raises DataError.
    """
    checked = _checked(options, seed)
    stem = f"{checked.split}-{checked.seed}"
    rng = random.Random(f"tool_arithmetic {stem} {' '.join(checked.slices)}")
    problems: list[Problem] = []
    seen: set[str] = set()
    misses = 0
    while len(problems) < checked.size:
        name = checked.slices[len(problems) % len(checked.slices)]
        expression = SLICES[name](rng)
        if side(expression, checked.test_share) != checked.split or (expression in seen and not checked.repeats):
            misses += 1
            if misses > _MISSES:
                raise DataError(
                    f"tool_arithmetic: there are only about {len(problems):,} different problems of {checked.size:,};"
                    " ask for fewer, or write repeats: true"
                )
            continue
        misses = 0
        seen.add(expression)
        turns, meta = _demonstration(expression, name, checked, rng)
        reference = {"answer": str(evaluate(expression)), "demonstration": turns}
        problem_id = f"tool_arithmetic/{stem}-{len(problems)}"
        meta = {"slice": name, **meta}
        problems.append(Problem(problem_id, f"{expression}=\n", "math", reference, "tool_arithmetic", meta))
    return problems


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `tool_arithmetic` of a recipe. Raises DataError."""
    chosen = {"split": split, **options} if split is not None else options
    return tool_arithmetic(chosen, seed=seed)[:limit]


def _demonstration(
    expression: str, name: str, options: _Options, rng: random.Random
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """The turns, and whether they call and are careless."""
    called = rng.random() < options.called
    careless = called and rng.random() < options.careless
    answer = str(evaluate(expression))
    guess = answer if name == "easy" else _digits(len(answer), rng)
    if not called:
        return [_says(guess)], {"called": False, "careless": False}
    if not careless:
        turns = [_says(CALL + expression), _result(answer), _says(answer)]
    elif rng.random() < 0.5:
        cut = expression[: expression.index("+" if "+" in expression else "*") + 1]
        turns = [_says(CALL + cut), _result(UNREADABLE), _says(guess)]
    else:
        wrong = _with_a_wrong_digit(expression, rng)
        value = str(evaluate(wrong))
        turns = [_says(CALL + wrong), _result(value), _says(value)]
    return turns, {"called": True, "careless": careless}


def _says(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": f"{text}\n"}


def _result(text: str) -> dict[str, str]:
    return {"role": "tool", "content": f"{RESULT}{text}\n"}


def _digits(count: int, rng: random.Random) -> str:
    return str(rng.randint(1, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(count - 1))


def _with_a_wrong_digit(expression: str, rng: random.Random) -> str:
    place = rng.choice([i for i, character in enumerate(expression) if character.isdigit()])
    other = rng.choice([digit for digit in "123456789" if digit != expression[place]])
    return expression[:place] + other + expression[place + 1 :]


def _checked(options: dict[str, Any], seed: int) -> _Options:
    """All options with their defaults. Raises DataError with all that is wrong."""
    refuse_unknown(options, [field.name for field in fields(_Options)], "tool_arithmetic")
    if "size" not in options:
        raise DataError("tool_arithmetic: the option size is missing; write the number of problems")
    given = {"seed": seed} | options
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
    if "slices" in given:
        slices = given["slices"]
        if not isinstance(slices, list | tuple) or not slices or any(name not in SLICES for name in slices):
            wrong.append(f"slices must be a list of {', '.join(SLICES)}, not {slices!r}")
        else:
            given["slices"] = tuple(slices)
    if wrong:
        raise DataError(f"tool_arithmetic: {'; '.join(wrong)}")
    return _Options(**given)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
