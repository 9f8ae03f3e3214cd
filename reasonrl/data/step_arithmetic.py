"""Sums worked out one step after the other, with errors that can be found exactly: the ground on which critics are trained on a CPU.

    12 + 7 - 5
    12 + 7 = 19
    19 - 5 = 14

A step is right when it takes over the result of the step before (right or wrong, as it stands there), uses the next operation and number of
the question, and calculates rightly. So the first wrong step is a fact, a later one that follows from it is not wrong, and the shape is
that of BIG-Bench-Mistake's multistep arithmetic without its brackets.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from critics.formats import load_format
from critics.types import Solution
from reasonrl.data.expressions import side
from reasonrl.data.mistakes import nearest, refuse_unknown
from reasonrl.errors import DataError
from verifiers.types import Problem

TASKS = ("solve", "refine", "critique")
_STEP = re.compile(r"\s*(-?\d{1,9}) ([-+]) (\d{1,9}) = (-?\d{1,9})\s*")
_QUESTION = re.compile(r"\s*\d{1,9}(?: [-+] \d{1,9})+\s*")
_MISSES = 200_000
OPTIONS = ("size", "seed", "split", "test_share", "terms", "low", "high", "most", "tasks", "format", "error_rate")


def terms_of(question: str) -> tuple[int, list[tuple[str, int]]]:
    """The first number and the operations of "12 + 7 - 5". Raises ValueError for anything else."""
    if not _QUESTION.fullmatch(question):
        raise ValueError(f"{question!r:.60} is no sum such as '12 + 7 - 5'")
    pieces = question.split()
    return int(pieces[0]), [(sign, int(number)) for sign, number in zip(pieces[1::2], pieces[2::2], strict=True)]


def step(before: int, sign: str, number: int) -> tuple[str, int]:
    """A right step and its result."""
    after = before + number if sign == "+" else before - number
    return f"{before} {sign} {number} = {after}", after


def worked(question: str) -> tuple[str, ...]:
    """All steps, right."""
    value, operations = terms_of(question)
    steps = []
    for sign, number in operations:
        text, value = step(value, sign, number)
        steps.append(text)
    return tuple(steps)


def first_error(question: str, steps: Sequence[str]) -> int:
    """Index of the first wrong step from 0, -1 for none. Steps that are missing make the last one wrong. Raises ValueError for no steps."""
    if not steps:
        raise ValueError(f"the solution of {question!r} has no steps")
    value, operations = terms_of(question)
    for index, text in enumerate(steps):
        made = _STEP.fullmatch(text)
        if index >= len(operations) or made is None:
            return index
        right, after = step(value, *operations[index])
        if text.strip() != right:
            return index
        value = after
    return -1 if len(steps) == len(operations) else len(steps) - 1


def correction(question: str, steps: Sequence[str], index: int) -> str:
    """What step `index` should say, given those before it; empty where the question has no such step."""
    value, operations = terms_of(question)
    for made in map(_STEP.fullmatch, steps[:index]):
        value = int(made.group(4)) if made else value
    return step(value, *operations[index])[0] if index < len(operations) else ""


def comments(question: str, solution: Solution, *, every_step: bool = False) -> list[str]:
    """For each step what it should say: of the first wrong one, and nothing for the others, or (`every_step`) of each."""
    wrong = solution.first_error
    return [correction(question, solution.steps, i) if every_step or i == wrong else "" for i in range(len(solution.steps))]


def label(problem: Problem, solution: Solution) -> int | None:
    """The labeller of the `collect` stage: the index of the first wrong step."""
    return first_error(str(problem.meta["question"]), solution.steps)


def demonstration(problem: Problem, solution: Solution, format_options: dict[str, Any]) -> str:
    """A critique of a labelled solution that names the first wrong step and corrects it."""
    options = dict(format_options)
    form = load_format(options.pop("name"), **options)
    every_step = getattr(form, "explain_first", False)  # then the right steps are worked out too, before they are called right
    return form.write(solution, comments(str(problem.meta["question"]), solution, every_step=every_step))


def spoilt(question: str, rng: random.Random) -> tuple[str, ...]:
    """The steps with one error, and what follows from it."""
    value, operations = terms_of(question)
    where = rng.randrange(len(operations))
    steps = []
    for index, (sign, number) in enumerate(operations):
        text, after = step(value, sign, number)
        if index == where:
            after += rng.choice((-10, -2, -1, 1, 2, 10))
            text = f"{value} {sign} {number} = {after}"
        steps.append(text)
        value = after
    return tuple(steps)


def step_arithmetic(options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
    """Problems of kind "math": the answer is the result.

    Options:
        size: how many problems; terms: how many numbers a sum has; low, high: of the numbers; most: largest result on the way (least: 0);
        split, test_share: as in `arithmetic`, by a hash of the sum up to the order of its terms;
        tasks: shares of solve (work it out), refine (a solution with an error and a critique are given) and critique (judge a solution),
        with a demonstration in reference["demonstration"]; error_rate: of refine and critique, the share with an error;
        format: of the critiques, as in `critic.format`.

    Raises DataError.
    """
    refuse_unknown(options, OPTIONS, "step_arithmetic")
    if "size" not in options:
        raise DataError("step_arithmetic: needs the option size, the number of problems")
    tasks = options.get("tasks") or {"solve": 1.0}
    for name, weight in tasks.items():
        if name not in TASKS or not isinstance(weight, int | float) or weight < 0:
            raise DataError(
                f"step_arithmetic: tasks gives {name!r} the share {weight!r}.{nearest(name, TASKS)} Tasks are {', '.join(TASKS)}"
            )
    seed = options.get("seed", seed)
    rng = random.Random(f"step arithmetic {seed} {options.get('split', 'train')}")
    style = dict(options.get("format") or {"name": "step_sentence"})
    problems = []
    for number, question in enumerate(_questions(options, rng)):
        task = rng.choices(list(tasks), list(tasks.values()))[0]
        problem = Problem(
            id=f"steps/{options.get('split', 'train')}-{seed}-{number}",
            prompt=[{"role": "user", "content": question}],
            kind="math",
            reference={"answer": worked(question)[-1].rpartition(" ")[2], "demonstration": "\n".join(worked(question))},
            source="step_arithmetic",
            meta={"question": question, "task": task},
        )
        problems.append(problem if task == "solve" else _with_critique(problem, question, task, style, rng, options.get("error_rate", 0.8)))
    return problems


def _with_critique(problem: Problem, question: str, task: str, style: dict[str, Any], rng: random.Random, error_rate: float) -> Problem:
    steps = spoilt(question, rng) if rng.random() < error_rate else worked(question)
    wrong = first_error(question, steps)
    solution = Solution(problem.id, "\n".join(steps), steps, steps[-1].rpartition(" ")[2], wrong == -1, wrong)
    critique = demonstration(problem, solution, style)
    options = dict(style)
    form = load_format(options.pop("name"), **options)
    if task == "refine":
        messages = form.refine_messages(problem, solution, form.parse(critique, len(steps)))
        return Problem(problem.id, messages, "math", problem.reference, problem.source, problem.meta)
    reference = {**problem.reference, "demonstration": critique}
    return Problem(problem.id, form.render(problem, solution), "math", reference, problem.source, problem.meta)


def _questions(options: dict[str, Any], rng: random.Random) -> Iterator[str]:
    """Different sums of one side of the split whose results on the way stay within bounds."""
    low, high, most = options.get("low", 1), options.get("high", 30), options.get("most", 99)
    terms, split, test_share = options.get("terms", 4), options.get("split", "train"), options.get("test_share", 0.2)
    if split not in ("train", "test"):
        raise DataError(f"step_arithmetic: split is train or test, not {split!r}")
    if not (isinstance(terms, int) and terms >= 2 and 0 <= low <= high):
        raise DataError(f"step_arithmetic: needs terms from 2 and 0 <= low <= high, not terms={terms!r}, low={low!r}, high={high!r}")
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
                    f"step_arithmetic: only {len(seen):,} different sums were found of {options['size']:,}; widen low, high or terms"
                )
            continue
        seen.add(question)
        yield question
