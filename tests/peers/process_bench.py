"""ProcessBench as its authors score it, written from the formula and independent of `critics`.

    acc1 = 100 * share of the solutions with an error whose first wrong step is named
    acc2 = 100 * share of the others of which -1 is said
    F1   = 2 acc1 acc2 / (acc1 + acc2)

A judgement that cannot be read is wrong. Each subset has its F1; the headline is their mean. Standard library alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BOX = re.compile(r"\\boxed\{([^}]*)\}")


def read_index(critique: str) -> int | None:
    """The whole number in the last closed box, up to its first brace; None where there is none."""
    contents = _BOX.findall(critique)
    try:
        return int(contents[-1]) if contents else None
    except ValueError:
        return None


def f1(named: Sequence[int | None], labels: Sequence[int]) -> tuple[float, float, float]:
    """acc1, acc2 and F1 of one subset, in percent."""
    pairs = list(zip(named, labels, strict=True))
    with_error = [index == label for index, label in pairs if label != -1]
    without = [index == label for index, label in pairs if label == -1]
    acc1 = 100 * sum(with_error) / len(with_error)
    acc2 = 100 * sum(without) / len(without)
    return acc1, acc2, 2 * acc1 * acc2 / (acc1 + acc2)
