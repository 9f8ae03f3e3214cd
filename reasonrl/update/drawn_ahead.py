"""Rollouts of one step, drawn before they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from reasonrl.environments.base import Episode
from verifiers.types import Problem

Attempt = tuple[Problem, int]
"""A problem and the number of the rollout."""


class DrawnAhead:
    """The episodes of one step, handed out round by round.

    With `train.refill` each round is smaller than the one before, and a batch of few rows takes an engine nearly as
    long as one of many: each of its passes reads all weights. So what later rounds will probably ask for joins the
    batch of an earlier one. An episode is a function of the weights, the seed of the step, the problem and the number
    of the rollout, which counts on where a problem comes again in a later round. When it is drawn changes nothing, and
    what no round asks for is dropped.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], Episode] = {}
        self._taken: Counter[str] = Counter()

    def take(
        self,
        problems: Sequence[Problem],
        counts: Sequence[int],
        ahead: Sequence[tuple[Problem, int]],
        play: Callable[[list[Attempt], Callable[[Episode], None]], list[Episode]],
        on_end: Callable[[Episode], None],
    ) -> list[Episode]:
        """`counts[i]` episodes of `problems[i]`, in order.

        Args:
            ahead: problems that later rounds will ask for if they go on, in that order, and how many rollouts of each.
                They are drawn only if something has to be drawn at all.
            play: gives the episodes of attempts, in order, and calls its second argument with each as it ends.
            on_end: called with each episode that is handed out, as soon as it is there.
        """
        wanted = self._attempts(zip(problems, counts, strict=True), self._taken)
        self._taken.update(problem.id for problem, _ in wanted)
        names = [(problem.id, rollout) for problem, rollout in wanted]
        for name in names:
            if name in self._waiting:
                on_end(self._waiting[name])
        missing = [attempt for attempt, name in zip(wanted, names, strict=True) if name not in self._waiting]
        if missing:
            now = {(problem.id, rollout) for problem, rollout in missing}
            later = self._attempts(ahead, self._taken)
            missing += [attempt for attempt in later if (attempt[0].id, attempt[1]) not in self._waiting]

            def ended(episode: Episode) -> None:
                if (episode.problem.id, episode.rollout) in now:
                    on_end(episode)

            for (problem, rollout), episode in zip(missing, play(missing, ended), strict=True):
                self._waiting[problem.id, rollout] = episode
        return [self._waiting.pop(name) for name in names]

    @staticmethod
    def _attempts(groups: Iterable[tuple[Problem, int]], before: Counter[str]) -> list[Attempt]:
        """Attempts that continue counting behind `before`."""
        following = Counter(before)
        attempts: list[Attempt] = []
        for problem, count in groups:
            attempts += [(problem, following[problem.id] + i) for i in range(count)]
            following[problem.id] += count
        return attempts
