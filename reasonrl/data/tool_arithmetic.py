"""The data source `tool_arithmetic`: sums that a small model can answer, and products that it can only have computed.

    easy    480+5=              a round number and a digit, which are copied
    hard    4821*507=           4 digits by 3 whose product has seven digits, hopeless to guess
    mixed   417*36+925=         a product and a sum of five digits, one call or two

Demonstrations are written for the format `line` of the environment `tool_use` with a calculator. Direct answers to
products are random digits; one in ten to easy sums has a wrong digit. A careless call is half an expression or has a
wrong digit; calls on easy sums never are. So on easy sums a call is a little better than an answer, unless calls have a
price.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from reasonrl.data.expressions import evaluate, side
from reasonrl.data.tool_tasks import ToolTask, Turns, policy_turn, random_digits, tool_turn, with_a_wrong_digit
from verifiers.types import Problem

CALL, RESULT = "Call: ", "Result: "
UNREADABLE = "error: this is not an arithmetic expression"
"""What the calculator says to half an expression."""
WRONG_DIRECT = 0.1
"""The share of direct answers to easy sums that have a wrong digit."""


def _easy(rng: random.Random) -> str:
    return f"{rng.randint(10, 99)}0+{rng.randint(1, 9)}"


def _hard(rng: random.Random) -> str:
    return _with_digits(7, lambda: f"{rng.randint(1_000, 9_999)}*{rng.randint(100, 999)}")


def _mixed(rng: random.Random) -> str:
    return _with_digits(5, lambda: f"{rng.randint(100, 999)}*{rng.randint(11, 99)}+{rng.randint(100, 999)}")


def _with_digits(digits: int, draw: Callable[[], str]) -> str:
    """An expression whose value has so many digits. A small model learns to copy numbers of each length by itself; a
    length that is rare, such as that of one product in six that has a digit less, it learns late or never.
    """
    while len(str(evaluate(expression := draw()))) != digits:
        pass
    return expression


def _demonstration(expression: str, name: str, called: bool, careless: bool, rng: random.Random) -> Turns:
    answer = str(evaluate(expression))
    guess = answer if name == "easy" else random_digits(len(answer), rng)
    if not called:
        if name == "easy" and rng.random() < WRONG_DIRECT:
            guess = with_a_wrong_digit(guess, rng)
        return [policy_turn(f"{guess}\n")]
    written, result, copied = expression, answer, answer
    if careless and rng.random() < 0.5:
        written = expression[: expression.index("+" if "+" in expression else "*") + 1]
        result, copied = UNREADABLE, guess
    elif careless:
        written = with_a_wrong_digit(expression, rng)
        result = copied = str(evaluate(written))
    return [policy_turn(f"{CALL}{written}\n"), tool_turn(f"{RESULT}{result}\n"), policy_turn(f"{copied}\n")]


TASK = ToolTask(
    name="tool_arithmetic",
    slices={"easy": _easy, "hard": _hard, "mixed": _mixed},
    side=side,
    prompt=lambda expression: f"{expression}=\n",
    answer=lambda expression: str(evaluate(expression)),
    demonstrate=_demonstration,
    answerable=("easy",),
)


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `tool_arithmetic` of a recipe. Which side of the split an expression is on depends on its operands in
    any order. Raises DataError.
    """
    chosen = {"split": split, **options} if split is not None else options
    return TASK.problems(chosen, seed=seed)[:limit]
