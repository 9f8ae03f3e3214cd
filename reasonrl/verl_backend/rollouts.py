"""The rollouts of one step of verl: what was asked for, and what came back as episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import transfer_queue as tq

from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.rewards.base import RewardPart
from reasonrl.update.pipeline import UpdatePipeline
from reasonrl.update.rollouts import StepRollouts, successes
from reasonrl.verl_backend.rows import FIELD, failure_of, unpack_episode
from verifiers.types import Problem

_FIELDS = ("prompts", "responses", "response_mask", "rollout_log_probs")


@dataclass
class PendingRollouts:
    """Filled round by round: `register_prompts`, then `receive`. Only a recipe that refills has a second round."""

    rollouts: StepRollouts = field(default_factory=StepRollouts)
    keys: list[str] = field(default_factory=list)
    """[B] verl's key of each episode of `rollouts`."""
    requested: list[tuple[Problem, int]] = field(default_factory=list)
    """Every problem of the step, and how many rollouts of it."""
    failures: Counter[str] = field(default_factory=Counter)
    """Why rollouts failed."""
    _round: dict[str, tuple[int, Problem, int]] = field(default_factory=dict)
    """By uid, of the round that is played: place in the round, problem, how many rollouts."""

    def register_prompts(self, uids: Sequence[str], problems: Sequence[Problem], counts: Sequence[int]) -> list[int]:
        """Returns the number of each problem's first rollout: a step that spans two passes over the data may have a
        problem twice.
        """
        next_rollout = Counter[str]()
        for problem, count in self.requested:
            next_rollout[problem.id] += count
        first_rollouts = []
        for problem, count in zip(problems, counts, strict=True):
            first_rollouts.append(next_rollout[problem.id])
            next_rollout[problem.id] += count
        places = enumerate(zip(uids, problems, counts, strict=True))
        self._round = {uid: (place, problem, count) for place, (uid, problem, count) in places}
        self.requested += zip(problems, counts, strict=True)
        return first_rollouts

    def receive(self, batch: Any, pipeline: UpdatePipeline, parts: Sequence[RewardPart], *, step: int) -> None:
        """The end of step 4, and step 5, for the rows that came back. Raises TrainingError for a row whose fault must
        end the run.
        """
        source = pipeline.prompts
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=[*_FIELDS, "extra_fields"])
        columns = {name: [row.tolist() for row in data[name].unbind()] for name in _FIELDS}
        arrived: list[tuple[int, Episode, str]] = []
        for k, (key, extra) in enumerate(zip(keys, list(data["extra_fields"]), strict=True)):
            failure = failure_of(extra[FIELD])
            if failure is not None:
                self.failures[failure[0]] += 1
                if failure[1]:
                    raise TrainingError(failure[0])
                continue
            place, problem, _ = self._round[key.split("_")[0]]
            fields = {name: column[k] for name, column in columns.items()}
            arrived.append((place, unpack_episode(extra[FIELD], problem, fields), key))
        arrived.sort(key=lambda row: (row[0], row[1].rollout))
        by_place = Counter(place for place, _, _ in arrived)
        problems = [problem for _, problem, _ in self._round.values()]
        counts, episodes = [by_place[place] for place in range(len(problems))], [episode for _, episode, _ in arrived]
        pipeline.assign_reviews(episodes, step=step, drawn=self.rollouts.rounds)
        source.observe(problems, successes(counts, episodes))
        self.rollouts.add(problems, counts, episodes, parts, predicted=source.predictions(problems))
        self.keys += [key for _, _, key in arrived]

    @property
    def failed(self) -> int:
        """Rollouts that were asked for and did not come back as episodes."""
        return sum(count for _, count in self.requested) - len(self.keys)

    def complaint(self, step: int, max_share: float) -> str | None:
        """Rollouts that never came, or came without an episode. Raises TrainingError when they are more than the share
        `max_share`.
        """
        if not self.failed:
            return None
        total = sum(count for _, count in self.requested)
        reason = (
            self.failures.most_common(1)[0][0]
            if self.failures
            else "they never came; the logs of the agent workers say why"
        )
        text = f"step {step}: {self.failed} of {total} rollouts have failed ({reason})"
        if self.failed > max_share * total or not self.keys:
            raise TrainingError(f"{text}. The weights were not updated in this step")
        return f"{text}; they are left out"
