"""The rollouts of one step of verl: what was asked for, and what of it came back as episodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import transfer_queue as tq
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions
from verl.workers.utils.padding import response_to_nested

from reasonrl.algorithms.groups import GroupMix, group_mix
from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.rewards.base import RewardPart
from reasonrl.update.methods import Methods
from reasonrl.update.rollouts import Collected, successes
from reasonrl.verl_backend.rows import FIELD, failure_of, unpack_episode
from verifiers.types import Problem

_FIELDS = ("prompts", "responses", "response_mask", "rollout_log_probs")


@dataclass
class StepRollouts:
    """Filled round by round: `ask`, then `take`. A second round is there only where the recipe refills."""

    collected: Collected = field(default_factory=Collected)
    keys: list[str] = field(default_factory=list)
    """verl's key of each episode, in the order of `collected`."""
    asked: list[tuple[Problem, int]] = field(default_factory=list)
    """Every problem of the step, and how many rollouts of it."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why rollouts failed."""
    _round: dict[str, tuple[int, Problem, int]] = field(default_factory=dict)
    """By uid, of the round that is played: place in the round, problem, how many rollouts."""

    def ask(self, uids: Sequence[str], problems: Sequence[Problem], counts: Sequence[int]) -> list[int]:
        """Returns the number of each problem's first rollout: a step that spans two passes over the data may have a
        problem twice.
        """
        begun = Counter[str]()
        for problem, count in self.asked:
            begun[problem.id] += count
        first = []
        for problem, count in zip(problems, counts, strict=True):
            first.append(begun[problem.id])
            begun[problem.id] += count
        places = enumerate(zip(uids, problems, counts, strict=True))
        self._round = {uid: (place, problem, count) for place, (uid, problem, count) in places}
        self.asked += zip(problems, counts, strict=True)
        return first

    def take(self, batch: Any, methods: Methods, parts: Sequence[RewardPart]) -> None:
        """Step 5 for the rows that came back. Raises TrainingError where one failed by a fault that must end
        the run.
        """
        real = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding", False)]
        data = tq.kv_batch_get(keys=real, partition_id=batch.partition_id, select_fields=[*_FIELDS, "extra_fields"])
        columns = {name: [row.tolist() for row in data[name].unbind()] for name in _FIELDS}
        found: list[tuple[int, Episode, str]] = []
        for k, (key, extra) in enumerate(zip(real, list(data["extra_fields"]), strict=True)):
            failure = failure_of(extra[FIELD])
            if failure is not None:
                self.reasons[failure[0]] += 1
                if failure[1]:
                    raise TrainingError(failure[0])
                continue
            place, problem, _ = self._round[key.split("_")[0]]
            found.append(
                (
                    place,
                    unpack_episode(extra[FIELD], problem, {name: column[k] for name, column in columns.items()}),
                    key,
                )
            )
        found.sort(key=lambda row: (row[0], row[1].rollout))
        counts = Counter(place for place, _, _ in found)
        problems = [problem for _, problem, _ in self._round.values()]
        given, episodes = [counts[place] for place in range(len(problems))], [episode for _, episode, _ in found]
        methods.observe(problems, successes(given, episodes))
        predicted = [methods.rates.predictions.get(problem.id) for problem in problems]
        self.collected.add(problems, given, episodes, parts, predicted=predicted)
        self.keys += [key for _, _, key in found]

    @property
    def failed(self) -> int:
        return sum(count for _, count in self.asked) - len(self.keys)

    def complaint(self, step: int, most: float) -> str | None:
        """Rollouts that never came, or came without an episode. Raises TrainingError when they are more than the share
        `most`.
        """
        if not self.failed:
            return None
        total = sum(count for _, count in self.asked)
        why = (
            self.reasons.most_common(1)[0][0]
            if self.reasons
            else "they never came; the logs of the agent workers say why"
        )
        text = f"step {step}: {self.failed} of {total} rollouts have failed ({why})"
        if self.failed > most * total or not self.keys:
            raise TrainingError(f"{text}. Nothing was learnt from this step")
        return f"{text}; they are left out"

    def mix(self, parts: Sequence[RewardPart], *, mask_truncated: bool) -> GroupMix:
        """Groups with something to compare, and without."""
        made = self.collected.batch(parts)
        return group_mix(
            made.rewards,
            self.collected.right(),
            made.group,
            self.collected.eligible(made, mask_truncated=mask_truncated),
        )


def spread(rows: Tensor, where: Sequence[int], masks: Tensor) -> Tensor:
    """Values [b, T] of the rows at `where`, among all rows of the batch (zeros for the others), as verl's nested
    tensor.
    """
    lengths = torch.tensor([len(row) for row in masks.unbind()])
    width = max(int(lengths.max()), rows.shape[1])
    everything = torch.zeros(len(lengths), width, dtype=rows.dtype)
    everything[torch.tensor(list(where), dtype=torch.long), : rows.shape[1]] = rows
    return response_to_nested(everything, masks)


def gap(train: Tensor, rollout: Tensor | None, mask: Tensor) -> tuple[float, float]:
    """Mean and largest |difference| of log-probs over `mask`."""
    assert rollout is not None
    gap = (train[:, : mask.shape[1]] - rollout).abs() * mask
    return float(gap.sum() / mask.sum().clamp(min=1)), float(gap.max()) if gap.numel() else 0.0


def evenly(batch: Any, keys: Sequence[str], fillers: Sequence[str], gpus: int) -> KVBatchMeta:
    """`keys` of a batch, as many tokens and as many rows for each GPU; `fillers`, rows without anything to learn, make
    up the number.
    """
    chosen = [*keys, *fillers[: -len(keys) % gpus]]
    tags = dict(zip(batch.keys, batch.tags, strict=True))
    work = calculate_workload(torch.tensor([tags[key]["seq_len"] for key in chosen], dtype=torch.int64))
    order = [
        chosen[i] for part in get_seqlen_balanced_partitions(work, k_partitions=gpus, equal_size=True) for i in part
    ]
    return KVBatchMeta(order, [tags[key] for key in order], batch.partition_id)


def one_update(config: Any, rows: int, temperature: float) -> dict[str, Any]:
    """What verl's workers want to know of a mini-batch of so many rows."""
    return {
        "global_batch_size": rows,
        "mini_batch_size": rows,
        "epochs": config.ppo_epochs,
        "seed": config.data_loader_seed,
        "dataloader_kwargs": {"shuffle": config.shuffle},
        "temperature": temperature,
    }
