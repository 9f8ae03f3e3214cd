"""DUMP: which *source* of problems is worth training on now (arXiv:2504.09710), as a bandit over data sources.

    L_d   = mean of the newest |advantages| of source d
    UCB_d = L_d + sqrt(2 ln(n_total + 1) / (n_d + 1))        n_d = |advantages| remembered, at most `window`
    a source is drawn with weight softmax(UCB / temperature), then a problem of it

Large advantages mean that a source is neither solved nor hopeless. As in the authors' code (ZhentingWang/DUMP): window
300, temperature 0.1. Trap: a source never seen has by far the largest UCB and takes whole batches until it has been
seen.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from reasonrl.curricula.uniform import UniformCurriculum
from verifiers.types import Problem


def ucb_scores(mean_advantages: Sequence[float], counts: Sequence[int]) -> list[float]:
    """UCB of each source from its mean |advantage| and the number of them."""
    total = sum(counts)
    return [
        mean + math.sqrt(2 * math.log(total + 1) / (count + 1))
        for mean, count in zip(mean_advantages, counts, strict=True)
    ]


def ucb_weights(scores: Sequence[float], *, temperature: float = 0.1) -> list[float]:
    """Softmax of the scores; sums to 1."""
    top = max(scores)
    powers = [math.exp((score - top) / temperature) for score in scores]
    return [power / sum(powers) for power in powers]


class DumpCurriculum:
    """Draws a source for each place of a step, then its next problem in shuffled passes over the source."""

    def __init__(self, problems: Sequence[Problem], seed: int, *, window: int = 300, temperature: float = 0.1) -> None:
        by_source: dict[str, list[Problem]] = {}
        for problem in problems:
            by_source.setdefault(problem.source, []).append(problem)
        self.sources = sorted(by_source)
        self._passes = {name: UniformCurriculum(by_source[name], seed) for name in self.sources}
        self._advantages: dict[str, deque[float]] = {name: deque(maxlen=window) for name in self.sources}
        self._size, self._seed, self._temperature, self._drawn = len(problems), seed, temperature, 0

    def weights(self) -> dict[str, float]:
        """Share of each source in the next draws."""
        windows = [self._advantages[name] for name in self.sources]
        scores = ucb_scores(
            [sum(window) / len(window) if window else 0.0 for window in windows], [len(window) for window in windows]
        )
        return dict(zip(self.sources, ucb_weights(scores, temperature=self._temperature), strict=True))

    def select(self, count: int) -> list[Problem]:
        """The next `count` problems."""
        weights = self.weights()
        names = random.Random(f"{self._seed}/dump/{self._drawn}").choices(
            self.sources, [weights[name] for name in self.sources], k=count
        )
        self._drawn += count
        return [self._passes[name].select(1)[0] for name in names]

    def observe_advantages(self, problems: Sequence[Problem], advantages: Sequence[float]) -> None:
        """Takes in the advantage of each rollout with its problem."""
        for problem, advantage in zip(problems, advantages, strict=True):
            self._advantages[problem.source].append(abs(advantage))

    @property
    def epoch(self) -> float:
        """Problems drawn, in sizes of the data set."""
        return self._drawn / self._size

    def state_dict(self) -> dict[str, Any]:
        return {
            "drawn": self._drawn,
            "passes": {name: passes.state_dict() for name, passes in self._passes.items()},
            "advantages": {name: list(values) for name, values in self._advantages.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._drawn = int(state["drawn"])
        for name in self.sources:
            self._passes[name].load_state_dict(state["passes"][name])
            self._advantages[name].clear()
            self._advantages[name].extend(state["advantages"][name])
