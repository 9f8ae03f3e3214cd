"""Every problem once in each pass over the data, in a new random order for each pass."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from verifiers.types import Problem


class UniformCurriculum:
    """Shuffled passes over `problems`. A pass that does not fill a step is continued by the next one, so no problem is
    left out.

    The order of a pass depends on the seed and its number alone, so the position is all the state there is.
    """

    def __init__(self, problems: Sequence[Problem], seed: int) -> None:
        if not problems:
            raise ValueError("a curriculum needs at least one problem")
        self._problems = list(problems)
        self._seed = seed
        self._drawn = 0

    def select(self, count: int) -> list[Problem]:
        """The next `count` problems. When `count` exceeds the data set, problems repeat."""
        picked: list[Problem] = []
        size = len(self._problems)
        while len(picked) < count:
            epoch, offset = divmod(self._drawn, size)
            order = list(range(size))
            random.Random(f"{self._seed}/{epoch}").shuffle(order)
            indices = order[offset : offset + count - len(picked)]
            picked += [self._problems[i] for i in indices]
            self._drawn += len(indices)
        return picked

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self._drawn / len(self._problems)

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self._drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._drawn = int(state["drawn"])
