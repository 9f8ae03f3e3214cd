"""As many right as wrong solutions.

The reward 1[judgement = label] pays P(label) to a critic that always says the same. Where fewer than half of the
solutions are right, "always incorrect" earns more than any critic that is right less often than that share, and a weak
critic collapses into it (GC-RL, arXiv:2602.22765). Choosing the data cures it, better than weighing the reward does.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def balanced(
    items: Sequence[Item],
    label: Callable[[Item], bool],
    *,
    seed: int = 0,
    group: Callable[[Item], Hashable] | None = None,
) -> list[Item]:
    """The items of which as many are labelled True as False, in their order; which items are dropped is drawn by
    `seed`.

    With `group`, each group (the solutions of one problem) is balanced in itself, and a group with one label alone is
    left out.

    Raises:
        ValueError: nothing is left, since there is only one label: the message says which.
    """
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        groups[group(item) if group else None].append(index)
    rng = random.Random(f"balanced {seed}")
    selected: list[int] = []
    for members in groups.values():
        sides: tuple[list[int], list[int]] = ([], [])
        for index in members:
            sides[bool(label(items[index]))].append(index)
        size = min(map(len, sides))
        for side in sides:
            selected += rng.sample(side, size)
    if items and not selected:
        right = sum(map(label, items))
        raise ValueError(
            f"{right} of {len(items)} solutions are correct, and no {'problem' if group else 'set'} has both"
            " kinds, so nothing can be balanced. Sample more, or use problems that the policy solves sometimes"
        )
    return [items[index] for index in sorted(selected)]


def correct_share(labels: Iterable[bool]) -> float:
    """P(correct): what `rewards.LabelWeight` wants. Raises ValueError for no labels."""
    values = list(labels)
    if not values:
        raise ValueError("no labels: give at least one")
    return sum(values) / len(values)
