"""Demonstrations on sums in steps for a small model: to refine, to criticise, to corrupt a step. Labels and critiques
of real solutions.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from critics.formats import load_format
from critics.sneaky import SneakyPrompt
from critics.types import Solution
from reasonrl.data.step_options import format_style
from reasonrl.data.step_sums import correction, first_error, parse_sum, step, worked
from reasonrl.errors import DataError
from verifiers.types import Problem

ERROR_RATE = 0.8
OFFSETS = (-10, -2, -1, 1, 2, 10)
"""By how much a corrupted result is off."""
ERRORS = ("result", "number", "start", "form")
"""Kinds of error that a step can be corrupted with: it is calculated incorrectly, it does not use the number and sign
of the question, it does not start from the result before it, or it is not a step at all.
"""


def comments(question: str, solution: Solution, *, every_step: bool = False) -> list[str]:
    """For each step what it should say: of the first wrong one, and nothing for the others, or (`every_step`) of
    each.
    """
    wrong = solution.first_error
    return [
        correction(question, solution.steps, i) if every_step or i == wrong else "" for i in range(len(solution.steps))
    ]


def label(problem: Problem, solution: Solution) -> int | None:
    """The labeller of the `collect` stage: the index of the first wrong step."""
    return first_error(str(problem.meta["question"]), solution.steps)


def demonstration(problem: Problem, solution: Solution, format_options: dict[str, Any]) -> str:
    """A critique of a labelled solution that names the first wrong step and corrects it."""
    options = dict(format_options)
    form = load_format(options.pop("name"), **options)
    every_step = form.explain_first  # then the right steps are worked out too, before they are called right
    return form.write(solution, comments(str(problem.meta["question"]), solution, every_step=every_step))


def spoilt(question: str, rng: random.Random) -> tuple[str, ...]:
    """The steps with one error, and what follows from it."""
    value, operations = parse_sum(question)
    error_index = rng.randrange(len(operations))
    steps = []
    for index, (sign, number) in enumerate(operations):
        text, result = step(value, sign, number)
        if index == error_index:
            result += rng.choice(OFFSETS)
            text = f"{value} {sign} {number} = {result}"
        steps.append(text)
        value = result
    return tuple(steps)


def demonstrated(problem: Problem, task: str, options: dict[str, Any], rng: random.Random) -> Problem:
    """A sum as a task of another kind than solving it, with reference["demonstration"]; `options` are those of
    `step_arithmetic`.
    """
    question = str(problem.meta["question"])
    if task == "spoil":
        return _spoil_problem(problem, question, options, rng)
    style = format_style(options)
    steps = spoilt(question, rng) if rng.random() < options.get("error_rate", ERROR_RATE) else worked(question)
    wrong = first_error(question, steps)
    if style["name"] == "answer_tag":  # the last step is judged: the first wrong one, or any of a right solution
        steps = steps[: (wrong if wrong >= 0 else rng.randrange(len(steps))) + 1]
    answer = steps[-1].rpartition(" ")[2]
    solution = Solution(
        problem.id, "\n".join(steps), steps, answer, None if style["name"] == "answer_tag" else wrong == -1, wrong
    )
    if task == "refine":
        return _refine_problem(problem, question, solution, style, options.get("false_critiques", 0.0), rng)
    critique = demonstration(problem, solution, style)
    form = load_format(style.pop("name"), **style)
    reference = {**problem.reference, "demonstration": critique}
    return Problem(problem.id, form.render(problem, solution), "math", reference, problem.source, problem.meta)


def _refine_problem(
    problem: Problem, question: str, solution: Solution, style: dict[str, Any], false_share: float, rng: random.Random
) -> Problem:
    """A solution, a critique of it, and a refinement that follows the critique, whether it is true or false."""
    steps, blamed = solution.steps, solution.first_error
    assert blamed is not None
    claim = correction(question, steps, blamed) if blamed >= 0 else ""
    if rng.random() < false_share:
        blamed = rng.choice([i for i in range(-1, len(steps)) if i != blamed])
        left_side, _, result = correction(question, steps, blamed).rpartition(" = ") if blamed >= 0 else ("", "", "0")
        claim = f"{left_side} = {int(result) + rng.choice(OFFSETS)}"
    believed = Solution(problem.id, solution.text, steps, solution.answer, blamed == -1, blamed)
    form = load_format(**style)
    critique = form.write(believed, [claim if i == blamed else "" for i in range(len(steps))])
    refined = steps if blamed == -1 else follow_critique(question, steps, blamed, claim)
    reference = {"answer": refined[-1].rpartition(" ")[2], "demonstration": "\n".join(refined)}
    messages = form.refine_messages(problem, solution, form.parse(critique, len(steps)))
    return Problem(problem.id, messages, "math", reference, problem.source, problem.meta)


def follow_critique(question: str, steps: Sequence[str], blamed: int, claim: str) -> tuple[str, ...]:
    """The steps up to the one that is blamed, what is said instead of it, and what follows from that."""
    _, operations = parse_sum(question)
    lines, value = [*steps[:blamed], claim], int(claim.rpartition(" ")[2])
    for sign, number in operations[blamed + 1 :]:
        text, value = step(value, sign, number)
        lines.append(text)
    return tuple(lines)


def _spoil_problem(problem: Problem, question: str, options: dict[str, Any], rng: random.Random) -> Problem:
    """SPC's generator: a right step, and one that looks like it and is wrong."""
    steps = worked(question)
    index = rng.randrange(len(steps))
    prompt = SneakyPrompt(**{"error_types": ERRORS[:1], **(options.get("sneaky_prompt") or {})})
    error = rng.choice(prompt.error_types)
    messages = prompt.render(problem, steps[:index], steps[index], error)
    reference = {**problem.reference, "demonstration": f"<step>\n{spoilt_line(steps[index], error, rng)}\n</step>"}
    return Problem(problem.id, messages, "math", reference, problem.source, problem.meta)


def spoilt_line(line: str, error: str, rng: random.Random) -> str:
    """A right step with an error of one kind of ERRORS. Raises DataError for another kind."""
    start, sign, number, _, result = line.split()
    value, operand = int(start), int(number)
    if error == "result":
        return f"{start} {sign} {number} = {int(result) + rng.choice(OFFSETS)}"
    if error == "number":
        operations = [
            (s, n) for s in "+-" for n in range(max(operand - 2, 0), operand + 3) if (s, n) != (sign, operand)
        ]
        return step(value, *rng.choice(operations))[0]
    if error == "start":
        return step(value + rng.choice([-2, -1, 1, 2] if value >= 2 else [1, 2]), sign, operand)[0]
    if error == "form":
        pieces = line.split()
        index = rng.randrange(len(pieces))
        others = sorted({"", *pieces} - {pieces[index]})  # the piece is lost, or another one stands in its place
        return " ".join(filter(None, [*pieces[:index], rng.choice(others), *pieces[index + 1 :]]))
    raise DataError(
        f"step_arithmetic: sneaky_prompt.error_types has {error!r}, but sums allow only {', '.join(ERRORS)}"
    )
