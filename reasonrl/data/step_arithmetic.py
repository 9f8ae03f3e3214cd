"""The data source `step_arithmetic`: sums in steps (see `step_sums`), on which critics are trained on a CPU."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from reasonrl.data.expressions import side
from reasonrl.data.step_demonstrations import demonstrated
from reasonrl.data.step_options import check_options
from reasonrl.data.step_sums import worked
from reasonrl.errors import DataError
from verifiers.types import Problem

_MISSES = 200_000


def step_arithmetic(options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
    """Problems of kind "math": the answer is the result.

    Options:
        size: how many sums.
        repeat: how many problems are generated from each sum, with tasks and errors drawn again (1).
        terms: how many numbers a sum has.
        low, high: bounds of the numbers.
        most: largest result on the way (the smallest is 0).
        split, test_share: as in `arithmetic`, by a hash of the sum up to the order of its terms.
        tasks: shares of solve (work it out), refine (a solution and a critique of it are given), critique (judge a
            solution) and spoil (SPC's generator), with a demonstration in reference["demonstration"].
        error_rate: of refine and critique, the share with an error.
        false_critiques: of refine, the share whose critique is false. The demonstration follows it all the same, so
            that whoever refines does what the critique says, and refinements measure the critic.
        format: of the critiques, as in `critic.format`.
        sneaky_prompt: texts of the generator's prompt.

    Raises DataError.
    """
    check_options(options)
    tasks = options.get("tasks") or {"solve": 1.0}
    seed = options.get("seed", seed)
    rng = random.Random(f"step arithmetic {seed} {options.get('split', 'train')}")
    problems = []
    sums = (question for question in _questions(options, rng) for _ in range(options.get("repeat", 1)))
    for number, question in enumerate(sums):
        task = rng.choices(list(tasks), list(tasks.values()))[0]
        problem = Problem(
            id=f"steps/{options.get('split', 'train')}-{seed}-{number}",
            prompt=[{"role": "user", "content": question}],
            kind="math",
            reference={"answer": worked(question)[-1].rpartition(" ")[2], "demonstration": "\n".join(worked(question))},
            source="step_arithmetic",
            meta={"question": question, "task": task},
        )
        problems.append(problem if task == "solve" else demonstrated(problem, task, options, rng))
    return problems


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `step_arithmetic` of a recipe. Raises DataError."""
    chosen = {"split": split, **options} if split is not None else options
    return step_arithmetic(chosen, seed=seed)[:limit]


def _questions(options: dict[str, Any], rng: random.Random) -> Iterator[str]:
    """Different sums of one side of the split whose partial results stay within bounds."""
    low, high, most = options.get("low", 1), options.get("high", 30), options.get("most", 99)
    terms, split, test_share = options.get("terms", 4), options.get("split", "train"), options.get("test_share", 0.2)
    seen: set[str] = set()
    misses = 0
    while len(seen) < options["size"]:
        value = rng.randint(low, high)
        pieces = [str(value)]
        for _ in range(terms - 1):
            number = rng.randint(low, high)
            signs = [sign for sign in "+-" if 0 <= (value + number if sign == "+" else value - number) <= most]
            if not signs:
                break
            sign = rng.choice(signs)
            value = value + number if sign == "+" else value - number
            pieces += [sign, str(number)]
        question = " ".join(pieces)
        if len(pieces) != 2 * terms - 1 or question in seen or side(question, test_share) != split:
            misses += 1
            if misses > _MISSES:
                raise DataError(
                    f"step_arithmetic: found only {len(seen):,} different sums of {options['size']:,}; widen low,"
                    " high or terms"
                )
            continue
        seen.add(question)
        yield question
