"""Sums worked out step by step, with errors that can be found exactly.

    12 + 7 - 5
    12 + 7 = 19
    19 - 5 = 14

A step is right when it starts from the result of the step before (right or wrong), uses the next operation and number
of the question, and calculates correctly. So the first wrong step is a fact, a later one that follows from it is not
wrong, and the shape is that of BIG-Bench-Mistake's multistep arithmetic without its brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_STEP = re.compile(r"\s*(-?\d{1,9}) ([-+]) (\d{1,9}) = (-?\d{1,9})\s*")
_QUESTION = re.compile(r"\s*\d{1,9}(?: [-+] \d{1,9})+\s*")


def parse_sum(question: str) -> tuple[int, list[tuple[str, int]]]:
    """The first number and the operations of "12 + 7 - 5". Raises ValueError for anything else."""
    if not _QUESTION.fullmatch(question):
        raise ValueError(f"{question!r:.60} is not a sum such as '12 + 7 - 5'")
    pieces = question.split()
    return int(pieces[0]), [(sign, int(number)) for sign, number in zip(pieces[1::2], pieces[2::2], strict=True)]


def step(value: int, sign: str, number: int) -> tuple[str, int]:
    """A right step and its result."""
    result = value + number if sign == "+" else value - number
    return f"{value} {sign} {number} = {result}", result


def worked(question: str) -> tuple[str, ...]:
    """All steps, right."""
    value, operations = parse_sum(question)
    steps = []
    for sign, number in operations:
        text, value = step(value, sign, number)
        steps.append(text)
    return tuple(steps)


def first_error(question: str, steps: Sequence[str]) -> int:
    """Index of the first wrong step from 0, -1 for none. Steps that are missing make the last one wrong. Raises
    ValueError for no steps.
    """
    if not steps:
        raise ValueError(f"the solution of {question!r} has no steps")
    value, operations = parse_sum(question)
    for index, text in enumerate(steps):
        match = _STEP.fullmatch(text)
        if index >= len(operations) or match is None:
            return index
        right, result = step(value, *operations[index])
        if text.strip() != right:
            return index
        value = result
    return -1 if len(steps) == len(operations) else len(steps) - 1


def correction(question: str, steps: Sequence[str], index: int) -> str:
    """What step `index` should say, given those before it; empty where the question has no such step."""
    value, operations = parse_sum(question)
    for match in map(_STEP.fullmatch, steps[:index]):
        value = int(match.group(4)) if match else value
    return step(value, *operations[index])[0] if index < len(operations) else ""
