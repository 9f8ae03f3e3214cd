"""Values that pydantic would convert without a word, or let pass: true as a number, blank texts, paths as names."""

from __future__ import annotations

import math
from typing import Any, get_args, get_origin

from reasonrl.recipe.mistakes import Mistake, MistakesError

LARGEST_COUNT, LARGEST_SEED = 2**31 - 1, 2**63 - 1
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-30, 1e30
"""Sizes of numbers other than 0. The trainer computes in 32-bit floats: beyond 1e-38 and 3e38 these are 0 or infinite.
"""
LONGEST_NAME = 200
"""Bytes: a file system allows 255 in a name, and names of files are made from this one."""


def check_value(field: str, annotation: Any, value: Any, *, may_be_blank: bool) -> None:
    """Raises MistakesError for a value as it is written in a recipe."""
    scalars = _scalars(annotation)
    takes_numbers = bool({int, float} & scalars)
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, bool) and takes_numbers and bool not in scalars:
            _refuse(f"expected a number, got {str(item).lower()}")
        if isinstance(item, int) and not isinstance(item, bool) and takes_numbers:
            largest = LARGEST_SEED if field == "seed" else LARGEST_COUNT
            if int in scalars and abs(item) > largest:
                _refuse(f"{item} is out of range; write a number up to {largest}")
        if float in scalars and int not in scalars:
            _check_size(item)
    if isinstance(value, str) and not value.strip() and not may_be_blank and str in _scalars(annotation, items=False):
        _refuse("is blank; write a value, or leave the key out")


def _check_size(item: Any) -> None:
    try:
        size = abs(float(item))
    except (TypeError, ValueError, OverflowError):  # pydantic says what is wrong
        return
    if 0 < size < SMALLEST_NUMBER:
        _refuse(f"{item} is too small for 32-bit floats; write 0, or a number from {SMALLEST_NUMBER:g} in size")
    if LARGEST_NUMBER < size < math.inf:
        _refuse(f"{item} is too large for 32-bit floats; write a number up to {LARGEST_NUMBER:g} in size")


def check_name(name: str, what: str) -> None:
    """Raises MistakesError for a name that cannot be part of the name of a file: it would be a path."""
    if not name.strip():
        _refuse(f"the name of {what} is blank")
    if "/" in name or "\\" in name or name in (".", ".."):
        _refuse(f"{name!r} is a path; write a plain name for {what}, without / and \\")
    if not name.isprintable():
        _refuse(f"{name!r} has characters that cannot be printed; write a plain name for {what}")
    if len(name.encode()) > LONGEST_NAME:
        _refuse(f"the name of {what} has {len(name.encode())} bytes; write at most {LONGEST_NAME}")


def _refuse(text: str) -> None:
    raise MistakesError([Mistake((), text)])


def _scalars(annotation: Any, *, items: bool = True) -> set[type]:
    """The plain types that an annotation takes, itself or, with `items`, as items of a list."""
    if annotation in (bool, int, float, str):
        return {annotation}
    if not items and get_origin(annotation) in (list, tuple, dict):
        return set()
    return set().union(*(_scalars(argument, items=items) for argument in get_args(annotation)))
