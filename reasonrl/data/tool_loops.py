"""The data source `tool_loops`: questions that a short program with a loop answers, and a small model does not.

    digits       digits of 7382918              the sum of its digits
    primes       primes below 57                how many there are
    multiples    multiples of 3 or 5 below 118  their sum

Demonstrations are written for the format `fenced` of the environment `tool_use` with the tool python: a program of two
to four lines, what it prints, and the answer. There are several right programs for each question. A careless one has
one mistake: a wrong digit, a bound or a test that is off, a colon or an int() that is left out, nothing printed. Direct
answers are random numbers of a likely size.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import re
from collections.abc import Callable
from typing import Any

from reasonrl.data.tool_tasks import ToolTask, Turns, policy_turn, tool_turn, with_a_wrong_digit
from verifiers.types import Problem

_OPEN, _CLOSE = "```python\n", "\n```\n```output"
SILENT = "(no output)"
"""What the tool says to a program that prints nothing."""


def _digits(rng: random.Random) -> str:
    length = rng.randint(5, 9)
    return f"digits of {rng.randint(10 ** (length - 1), 10**length - 1)}"


def _primes(rng: random.Random) -> str:
    return f"primes below {rng.randint(20, 400)}"


def _multiples(rng: random.Random) -> str:
    first, second = rng.sample(range(2, 10), 2)
    return f"multiples of {first} or {second} below {rng.randint(30, 400)}"


def _answer(question: str) -> str:
    numbers = [int(word) for word in question.split() if word.isdigit()]
    if question.startswith("digits"):
        return str(sum(map(int, str(numbers[0]))))
    if question.startswith("primes"):
        return str(sum(all(n % d for d in range(2, n)) for n in range(2, numbers[0])))
    first, second, bound = numbers
    return str(sum(n for n in range(bound) if n % first == 0 or n % second == 0))


_PROGRAMS: dict[str, tuple[str, ...]] = {
    "digits": (
        's=0\nfor d in "{0}":\n s+=int(d)\nprint(s)',
        'print(sum(int(d) for d in "{0}"))',
        "s=0\nn={0}\nwhile n:\n s+=n%10\n n//=10\nprint(s)",
    ),
    "primes": (
        "c=0\nfor n in range(2,{0}):\n c+=all(n%d for d in range(2,n))\nprint(c)",
        "print(sum(all(n%d for d in range(2,n)) for n in range(2,{0})))",
    ),
    "multiples": (
        "s=0\nfor n in range({2}):\n if n%{0}==0 or n%{1}==0:\n  s+=n\nprint(s)",
        "print(sum(n for n in range({2}) if n%{0}==0 or n%{1}==0))",
    ),
}
_MISTAKES: tuple[tuple[str, str], ...] = (
    (":\n", "\n"),
    ("int(d)", "d"),
    ("range(2,n)", "range(1,n)"),
    (" or ", " and "),
    ("==0", "==1"),
    ("s=0\n", ""),
    ("c=0\n", ""),
    ("\nprint(s)", ""),
    ("\nprint(c)", ""),
    ("n%10", "n//10"),
)
"""What is written, and what a careless program has in its place."""


def _program(question: str, name: str, careless: bool, rng: random.Random) -> str:
    numbers = re.findall(r"\d+", question)
    program = rng.choice(_PROGRAMS[name]).format(*numbers)
    if not careless:
        return program
    mistakes: list[Callable[[], str]] = [lambda: with_a_wrong_digit(program, rng)]
    for right, wrong in _MISTAKES:
        if right in program:
            mistakes.append(lambda right=right, wrong=wrong: program.replace(right, wrong, 1))  # type: ignore[misc]
    return rng.choice(mistakes)()


def _printed(program: str) -> str:
    """What the tool answers. Only programs that were made here are run, and they are bounded."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(program, "cell.py", "exec"), {})
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return printed.getvalue().strip() or SILENT


def _demonstration(question: str, name: str, called: bool, careless: bool, rng: random.Random) -> Turns:
    answer = _answer(question)
    guess = str(max(1, round(int(answer) * rng.uniform(0.5, 1.5))))
    if not called:
        return [policy_turn(guess)]
    program = _program(question, name, careless, rng)
    printed = _printed(program)
    copied = printed if printed.isdigit() else guess
    return [policy_turn(f"{_OPEN}{program}{_CLOSE}"), tool_turn(f"\n{printed}\n```\n"), policy_turn(copied)]


def _side(question: str, test_share: float) -> str:
    numbers = re.findall(r"\d+", question)
    text = " ".join([question.split()[0], *sorted(numbers)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest) < test_share * 2**64 else "train"


TASK = ToolTask(
    name="tool_loops",
    slices={"digits": _digits, "primes": _primes, "multiples": _multiples},
    side=_side,
    prompt=lambda question: f"{question}\n",
    answer=_answer,
    demonstrate=_demonstration,
)


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `tool_loops` of a recipe. Raises DataError."""
    chosen = {"split": split, **options} if split is not None else options
    return TASK.problems(chosen, seed=seed)[:limit]
