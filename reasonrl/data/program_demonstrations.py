"""Demonstrations on the functions of the source `programs` for a small model: to criticise a program, to refine one.

A critique works out the shown values of the program, up to the first one that the question does not have:

    f(0, 0) == 3, f(1, 0) == 4
    \\conclusion{F}
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

from critics.formats import load_format
from critics.types import Solution
from reasonrl.data.program_source import values_of
from reasonrl.data.task_options import format_style
from verifiers.types import Problem

TASKS = ("solve", "refine", "critique")
FORMAT = "conclusion"
NO_PROGRAM = "This is no program."
NO_VALUE = "error"
_SHOWN = re.compile(r"f\((-?\d+(?:, -?\d+)*)\) == (-?\d+)")


def shown_values(question: str) -> list[tuple[tuple[int, ...], int]]:
    """The inputs of a question, with their values."""
    return [(tuple(map(int, given.split(", "))), int(number)) for given, number in _SHOWN.findall(question)]


def worked_values(question: str, source: str) -> str:
    """What the program gives for the shown inputs, up to the first value that the question does not have."""
    shown = shown_values(question)
    try:
        values = values_of(source, [given for given, _ in shown])
    except ValueError:
        return NO_PROGRAM
    lines = []
    for (given, expected), value in zip(shown, values, strict=True):
        lines.append(f"f({', '.join(map(str, given))}) == {NO_VALUE if value is None else value}")
        if value != expected:
            break
    return ", ".join(lines)


def demonstration(problem: Problem, solution: Solution, format_options: dict[str, Any]) -> str:
    """The demonstrator of the `collect` stage: a critique of a program that the tests have judged. One that is wrong in
    hidden values alone is called incorrect after all shown values were found right.
    """
    options = dict(format_options)
    form = load_format(options.pop("name"), **options)
    return form.write(solution, [worked_values(str(problem.meta["question"]), solution.text)])


def demonstrated(
    problem: Problem, task: str, options: dict[str, Any], draw_wrong: Callable[[], str], rng: random.Random
) -> Problem:
    """A function as another task than to write it, with reference["demonstration"].

    Args:
        problem: with `meta.question`, and a right program as its demonstration.
        task: refine or critique.
        options: of the source: `format`, `error_rate`, `false_critiques`.
        draw_wrong: a program that is wrong in a shown value, one mistake away from the demonstration.
        rng: draws errors and false critiques.
    """
    right = str(problem.reference["demonstration"])
    is_right = rng.random() >= options["error_rate"]
    program = right if is_right else draw_wrong()
    style = format_style(options, FORMAT)
    form = load_format(style.pop("name"), **style)
    solution = _labelled(problem, program, is_right)
    style["name"] = form.name
    if task == "critique":
        reference = {**problem.reference, "demonstration": demonstration(problem, solution, style)}
        return Problem(
            problem.id, form.render(problem, solution), "code", reference, problem.source, dict(problem.meta)
        )
    is_false = rng.random() < options["false_critiques"]
    accepted = is_right != is_false
    # Of a false alarm, the values are those of another program; a false acceptance gives those of the question.
    criticised = (right if accepted else draw_wrong()) if is_false else program
    critique = demonstration(problem, _labelled(problem, criticised, accepted), style)
    refined = program if accepted else draw_wrong() if is_false else right
    messages = form.refine_messages(problem, solution, form.parse(critique, len(solution.steps)))
    reference = {**problem.reference, "demonstration": refined}
    return Problem(problem.id, messages, "code", reference, problem.source, dict(problem.meta))


def _labelled(problem: Problem, program: str, is_right: bool) -> Solution:
    return Solution(problem.id, program, (program,), program, is_right, -1 if is_right else 0)
