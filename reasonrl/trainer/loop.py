"""GRPO on one machine, from top to bottom: the ten steps of one update are the body of `RLStage.run_step`.

    1 select    2 allot    3 roll out    4 verify    5 observe    6 filter    7 shape    8 advantage    9 select    10 update

Everything random is a function of (seed, step, problem, rollout), so a run that was killed and resumed repeats itself bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.advantages import ADVANTAGES
from reasonrl.algorithms.batch import RolloutBatch, length_mask, pad_rows
from reasonrl.algorithms.groups import GroupMix, group_mix, group_size, group_std
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.budgets.uniform import UniformBudget
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.engines.base import derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import judge, roll_out, sample_row, total_reward
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.models.logprobs import TokenRow
from reasonrl.trainer.context import StageContext
from reasonrl.trainer.health import RunHealth, count_outcomes
from reasonrl.trainer.policy_update import UpdateMeasures, UpdateRows, accumulate_gradients, score_rows


@dataclass
class Collected:
    """The episodes of one step with their rewards, after steps 1 to 6."""

    episodes: list[Episode] = field(default_factory=list)
    rewards: list[float | None] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    rounds: int = 0


class RLStage:
    """One `kind: rl` stage. `context` holds what every stage has: model, optimiser, data, run folder."""

    def __init__(self, context: StageContext) -> None:
        self.c = context
        recipe = context.recipe
        self.spec = recipe.train
        self.curriculum = UniformCurriculum(context.data.train, derive_seed(recipe.seed, "curriculum"))
        self.budget = UniformBudget(recipe.rollout.rollouts_per_prompt)
        self.health = RunHealth(recipe.health)
        self.environment = context.environment_for(context.sampling)
        self.advantage = ADVANTAGES[self.spec.advantage]

    # ---------------------------------------------------------------------------------------------------------------- one update

    def run_step(self, step: int) -> dict[str, Any]:
        """One update. Returns the row of metrics.jsonl; sample rows are written to the run folder."""
        started = time.perf_counter()
        torch.manual_seed(derive_seed(self.c.recipe.seed, "step", step) % 2**63)  # dropout of adapters; rollouts have seeds of their own
        clock: dict[str, float] = {"rollout": 0.0, "verify": 0.0}
        wanted = self.spec.prompts_per_step
        collected = Collected()
        while True:
            self.collect(step, collected, wanted, clock)  # 1 select, 2 allot, 3 roll out, 4 verify, 5 observe
            batch = self.make_batch(collected)
            mix = group_mix(batch.rewards, self.correct(collected), batch.group, self.eligible(collected, batch))
            wanted = self.spec.prompts_per_step - mix.mixed
            if not self.spec.refill.enabled or wanted <= 0 or collected.rounds > self.spec.refill.max_rounds:
                break
        usable = self.usable(collected, batch)  # 6 filter: rows that were judged, in groups with somebody to compare with
        rewards = self.shape(collected, batch)  # 7 shape
        advantages = self.advantage(rewards, batch.group, usable)  # 8 advantage
        token_advantages = advantages[:, None].expand(batch.tokens.shape) * batch.loss_mask  # 9 select: all of them
        phase = time.perf_counter()
        measures, norm, updates = self.update(step, collected.episodes, batch, usable, token_advantages)  # 10 update
        clock["update"] = time.perf_counter() - phase

        outcomes = count_outcomes(collected.episodes)
        broken = next((v.reason for e in collected.episodes for v in e.verdicts.values() if v.correct is None), "")
        warning = self.health.observe(step, mix, outcomes, broken)
        if warning:
            self.c.console.warn(warning)
        self.c.folder.add_samples(self.sample_rows(step, collected, advantages))
        clock["step"] = time.perf_counter() - started
        return self.metrics(step, collected, batch, mix, measures, norm, updates, clock)

    def collect(self, step: int, into: Collected, prompts: int, clock: dict[str, float]) -> None:
        """Steps 1 to 5 for `prompts` more prompts."""
        problems = self.curriculum.select(prompts)
        counts = self.budget.allot([problem.id for problem in problems])
        phase = time.perf_counter()
        seed = (self.c.recipe.seed, "rollout", step, into.rounds)
        episodes = roll_out(self.environment, self.c.engine, problems, counts, seed=seed)
        clock["rollout"] += time.perf_counter() - phase
        phase = time.perf_counter()
        judge(episodes, self.c.parts, on_timeout=self.spec.on_timeout)
        clock["verify"] += time.perf_counter() - phase
        first = max(into.groups, default=-1) + 1
        into.groups += [first + i for i, count in enumerate(counts) for _ in range(count)]
        into.episodes += episodes
        into.rewards += [total_reward(episode, self.c.parts) for episode in episodes]
        into.rounds += 1

    # ---------------------------------------------------------------------------------------------------------------- the parts

    def make_batch(self, collected: Collected) -> RolloutBatch:
        episodes = collected.episodes
        last = [episode.trajectories[-1] for episode in episodes]
        masks = pad_rows([[float(m) for m in t.loss_mask] for t in last], torch.float32).bool()
        return RolloutBatch(
            problem_id=[episode.problem.id for episode in episodes],
            group=torch.tensor(collected.groups),  # type: ignore[arg-type]
            role=[t.role for t in last],
            tokens=pad_rows([t.response_ids for t in last], torch.long),  # type: ignore[arg-type]
            loss_mask=masks,  # type: ignore[arg-type]
            token_mask=length_mask([len(t.response_ids) for t in last]),
            rewards=torch.tensor([0.0 if r is None else r for r in collected.rewards]),  # type: ignore[arg-type]
            judged=torch.tensor([r is not None for r in collected.rewards]),  # type: ignore[arg-type]
            rollout_logprobs=pad_rows([t.logprobs for t in last], torch.float32),  # type: ignore[arg-type]
        )

    def correct(self, collected: Collected) -> Tensor:
        return torch.tensor([e.verdicts["correctness"].correct is True for e in collected.episodes])

    def eligible(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """Rows [B] that were judged and, if the recipe masks cut-off responses, came to an end."""
        if not self.spec.mask_truncated:
            return batch.judged
        return batch.judged & torch.tensor([e.trajectories[-1].finish_reason != "length" for e in collected.episodes])

    def usable(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """Rows [B] that take part in baselines and loss."""
        keep = self.eligible(collected, batch)
        if self.spec.refill.enabled:  # as in DAPO, a group without signal is no part of the batch, nor of its denominators
            keep = keep & (group_std(batch.rewards, batch.group, keep) > 0)
        return keep & (group_size(batch.group, keep) > 1)

    def shape(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """Shaped rewards [B]: less the KL penalty, where the recipe puts it into the reward."""
        kl = self.spec.kl
        if kl.where != "reward" or kl.coefficient == 0:
            return batch.rewards
        assert batch.rollout_logprobs is not None
        reference = self.c.reference_logprobs(token_rows(collected.episodes))
        penalty = kl_estimate(batch.rollout_logprobs, reference, kl.estimator) * batch.loss_mask
        return batch.rewards - kl.coefficient * penalty.sum(1)

    def update(
        self, step: int, episodes: Sequence[Episode], batch: RolloutBatch, usable: Tensor, advantages: Tensor
    ) -> tuple[UpdateMeasures, float, int]:
        """Optimiser steps on whole groups. Returns measures, the last gradient norm and the number of optimiser steps."""
        temperature, packing = self.c.recipe.rollout.temperature, self.c.packing
        mask = batch.loss_mask & usable[:, None]
        rows = token_rows(episodes)
        old = None if self.c.recipe.on_policy else score_rows(self.c.model, rows, self.spec, temperature, packing)
        reference = self.c.reference_logprobs(rows) if self.spec.kl.coefficient > 0 and self.spec.kl.where == "loss" else None
        assert batch.rollout_logprobs is not None
        measures, norm, updates = UpdateMeasures(), 0.0, 0
        self.c.model.train()
        for _ in range(self.spec.epochs_per_step):
            for members in _parts(batch.group, self.spec.updates_per_step):
                part_mask = mask & members[:, None]
                weights = token_weights(part_mask, self.c.recipe.loss_aggregation, self.c.recipe.rollout.max_new_tokens)
                everything = UpdateRows(rows, advantages * part_mask, weights, batch.rollout_logprobs, old, reference)
                part = everything.take(members.nonzero()[:, 0].tolist())
                if accumulate_gradients(self.c.model, part, self.spec, temperature, packing, measures):
                    norm = self.c.optimizer.step(step)
                    updates += 1
        self.c.model.eval()
        return measures, norm, updates

    # ---------------------------------------------------------------------------------------------------------------- what is kept

    def sample_rows(self, step: int, collected: Collected, advantages: Tensor) -> list[dict[str, Any]]:
        tokenizer = self.c.language_model.tokenizer
        rows = []
        for episode, reward, advantage in zip(collected.episodes, collected.rewards, advantages.tolist(), strict=True):
            prompt = render_prompt_text(tokenizer, episode.problem)
            rows.append(sample_row(episode, kind="train", step=step, mode="train", prompt=prompt, reward=reward, advantage=advantage))
        return rows

    def metrics(
        self, step: int, collected: Collected, batch: RolloutBatch, mix: GroupMix, measures: UpdateMeasures, norm: float, updates: int,
        clock: dict[str, float],
    ) -> dict[str, Any]:  # fmt: skip
        outcomes = count_outcomes(collected.episodes)
        judged = batch.rewards[batch.judged]
        lengths = batch.token_mask.sum(1).float()
        first_of_group = {g: e.trajectories[-1] for g, e in zip(collected.groups, collected.episodes, strict=True)}
        assert batch.rollout_logprobs is not None
        written = batch.loss_mask.sum().clamp(min=1)
        parts = {
            f"reward/{part.name}": _mean([v for e in collected.episodes if (v := e.reward_parts[part.name]) is not None])
            for part in self.c.parts
        }
        row: dict[str, Any] = {
            "kind": "train",
            "step": step,
            "reward/mean": float(judged.mean()) if len(judged) else 0.0,
            "reward/std": float(judged.std()) if len(judged) > 1 else 0.0,
            **parts,
            "accuracy/train": outcomes["correct"] / max(1, outcomes["judged"]),
            "groups/total": mix.total,
            "groups/mixed": mix.mixed,
            "groups/all_correct": mix.all_correct,
            "groups/all_wrong": mix.all_wrong,
            "groups/unjudged": mix.unjudged,
            "rollouts/total": outcomes["total"],
            "rollouts/trained": measures.rows,
            "rollouts/truncated": outcomes["truncated"],
            "rollouts/unparsed": outcomes["unparsed"],
            "rollouts/timeout": outcomes["timeout"],
            "rollouts/error": outcomes["error"],
            "rollouts/masked": int((~batch.judged).sum()),
            "response/tokens_mean": float(lengths.mean()),
            "response/tokens_max": int(lengths.max()),
            # The mean surprise of what was sampled is an unbiased estimate of the entropy, and costs nothing.
            "policy/entropy": float(-(batch.rollout_logprobs * batch.loss_mask).sum() / written),
            **measures.summary(),
            "optim/lr": self.c.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "optim/updates": updates,
            "tokens/prompt": sum(len(t.prompt_ids) for t in first_of_group.values()),
            "tokens/response": int(lengths.sum()),
            "data/epoch": self.curriculum.epoch,
            **{f"time/{name}_s": seconds for name, seconds in clock.items()},
        }
        if self.spec.kl.coefficient > 0 and self.spec.kl.where == "loss":
            row["policy/kl_ref"] = measures.kl / max(1, measures.tokens)
        return row

    def state_dict(self) -> dict[str, Any]:
        return {"curriculum": self.curriculum.state_dict(), "health": self.health.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state["curriculum"])
        self.health.load_state_dict(state["health"])


def token_rows(episodes: Sequence[Episode]) -> list[TokenRow]:
    return [TokenRow(e.trajectories[-1].prompt_ids, e.trajectories[-1].response_ids) for e in episodes]


def _parts(group: Tensor, count: int) -> list[Tensor]:
    """Row masks [B] of `count` parts of whole groups."""
    return [group % count == part for part in range(count)] if count > 1 else [torch.ones_like(group, dtype=torch.bool)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
