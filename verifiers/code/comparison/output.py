"""Does a program's standard output say what is expected?

    exact     the same text; only blanks and line ends after the last line do not count
    lines     the same lines; blanks at the end of a line and blank lines at the end do not count
    tokens    the same words in the same order, whatever blanks and line ends stand between them
    numbers   the same lines without the blanks around them, where a line is the same if its words are equal as
              decimals too ("1.50" is "1.5"), as LiveCodeBench's scorer has it; or within a tolerance if one is given

A tolerance applies only where the expected number is written with a point or an exponent: a program that is asked for
100000 does not pass with 100000.1. Output that is not UTF-8 is wrong.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Literal, get_args

from verifiers.code.comparison.equality import EXACT, Tolerance, shown

OutputMode = Literal["exact", "lines", "tokens", "numbers"]

OUTPUT_MODES: tuple[str, ...] = get_args(OutputMode)

_CONTEXT = decimal.Context(prec=60, traps=[])


def output_difference(expected: str, stdout: bytes, mode: OutputMode = "lines", tolerance: Tolerance = EXACT) -> str:
    """Empty if the output is as expected; otherwise one line. Linear in the two texts."""
    try:
        text = stdout.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"standard output is not UTF-8 text: byte 0x{stdout[error.start]:02x} at {error.start}"
    if mode == "tokens":
        return _first_difference(expected.split(), text.split(), "word")
    if mode == "exact":
        left, right = expected.rstrip(), text.rstrip()
        return "" if left == right else _first_difference(left.split("\n"), right.split("\n"), "line")
    if mode == "lines":
        return _first_difference(_lines(expected), _lines(text), "line")
    left_lines = [line.strip() for line in expected.strip().split("\n")]
    right_lines = [line.strip() for line in text.strip().split("\n")]
    if len(left_lines) == len(right_lines):
        for i, right in enumerate(right_lines):
            if left_lines[i] != right and same_words(left_lines[i].split(), right.split(), tolerance):
                right_lines[i] = left_lines[i]
    return _first_difference(left_lines, right_lines, "line")


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _first_difference(expected: list[str], got: list[str], unit: str) -> str:
    if expected == got:
        return ""
    for i, (left, right) in enumerate(zip(expected, got, strict=False), start=1):
        if left != right:
            return f"{unit} {i}: expected {shown(left)}, got {shown(right)}"
    if len(got) < len(expected):
        return f"{unit} {len(got) + 1}: expected {shown(expected[len(got)])}, got the end of the output"
    return f"{unit} {len(expected) + 1}: expected the end of the output, got {shown(got[len(expected)])}"


def same_words(expected: list[str], got: list[str], tolerance: Tolerance = EXACT) -> bool:
    """Whether the words are the same, as texts or as decimals."""
    if len(expected) != len(got):
        return False
    return all(a == b or _same_decimal(a, b, tolerance) for a, b in zip(expected, got, strict=True))


def _same_decimal(expected: str, got: str, tolerance: Tolerance) -> bool:
    left, right = _decimal(expected), _decimal(got)
    if left is None or right is None:
        return False
    if left == right:
        return True
    if tolerance == EXACT or not set(expected) & set(".eE"):
        return False
    distance = _CONTEXT.abs(_CONTEXT.subtract(left, right))
    bound = _CONTEXT.multiply(Decimal(tolerance.relative), _CONTEXT.abs(left))
    return distance <= _CONTEXT.add(Decimal(tolerance.absolute), bound)


def _decimal(text: str) -> Decimal | None:
    """A finite decimal number, written without underscores and in ASCII."""
    if not text.isascii() or "_" in text:
        return None
    try:
        number = Decimal(text)
    except decimal.InvalidOperation:
        return None
    return number if number.is_finite() else None
