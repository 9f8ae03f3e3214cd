"""The data source `tool_arithmetic`: sums that a small model can learn, and products that it can only have computed.

    easy    7+18=               sums up to 30
    hard    48213*5072=         5 digits by 4: about nine digits, hopeless to guess
    mixed   417*36+925=         a product and a sum, one call or two

Demonstrations are written for the format `line` of the environment `tool_use` with a calculator. Direct answers are
right for easy sums and random digits for the others; a careless call is half an expression or has a wrong digit.
"""

from __future__ import annotations

import random
from typing import Any

from reasonrl.data.expressions import evaluate, side
from reasonrl.data.tool_tasks import ToolTask, Turns, policy_turn, random_digits, tool_turn, with_a_wrong_digit
from verifiers.types import Problem

CALL, RESULT = "Call: ", "Result: "
UNREADABLE = "error: this is not an arithmetic expression"
"""What the calculator says to half an expression."""


def _easy(rng: random.Random) -> str:
    total = rng.randint(2, 30)
    first = rng.randint(1, total - 1)
    return f"{first}+{total - first}"


def _hard(rng: random.Random) -> str:
    return f"{rng.randint(10_000, 99_999)}*{rng.randint(1_000, 9_999)}"


def _mixed(rng: random.Random) -> str:
    return f"{rng.randint(100, 999)}*{rng.randint(11, 99)}+{rng.randint(100, 999)}"


def _demonstration(expression: str, name: str, called: bool, careless: bool, rng: random.Random) -> Turns:
    answer = str(evaluate(expression))
    guess = answer if name == "easy" else random_digits(len(answer), rng)
    if not called:
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
)


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `tool_arithmetic` of a recipe. Which side of the split an expression is on depends on its operands in
    any order. Raises DataError.
    """
    chosen = {"split": split, **options} if split is not None else options
    return TASK.problems(chosen, seed=seed)[:limit]
