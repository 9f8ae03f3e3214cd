"""GRPO on one machine, from top to bottom: the ten steps of one update are the body of `RLStage.run_step`.

    1 select    2 allot    3 roll out    4 verify    5 observe    6 filter    7 shape    8 advantage    9 select    10 update

Everything random is a function of (seed, step, problem, rollout), so a run that was killed and resumed repeats itself bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch, length_mask, pad_rows
from reasonrl.algorithms.groups import group_mix
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.critic_methods import sample_fields
from reasonrl.engines.base import SleepingEngine, derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import judge, roll_out, sample_row, total_reward
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.errors import CheckpointError
from reasonrl.models.logprobs import TokenRow
from reasonrl.recipe_methods import GROUP_LOSSES
from reasonrl.steps import Methods
from reasonrl.trainer import step_metrics
from reasonrl.trainer.context import StageContext
from reasonrl.trainer.group_losses import row_advantages
from reasonrl.trainer.health import RunHealth, count_outcomes
from reasonrl.trainer.policy_update import UpdateMeasures, UpdateRows, accumulate_gradients, score_rows, score_rows_with_entropy
from reasonrl.trainer.refined_rows import refined_rows
from verifiers.types import Problem


@dataclass
class Collected:
    """The episodes of one step with their rewards, after steps 1 to 5."""

    episodes: list[Episode] = field(default_factory=list)
    rewards: list[float | None] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """One for each group."""
    counts: list[int] = field(default_factory=list)
    greedy: list[float] = field(default_factory=list)
    """Reward of the greedy response to each problem, NaN where it could not be judged; only where the recipe needs it."""
    predicted: list[float | None] = field(default_factory=list)
    """What the value model said of each problem before its rollouts."""
    rounds: int = 0


class RLStage:
    """One `kind: rl` stage. `context` holds what every stage has: model, optimiser, data, run folder."""

    def __init__(self, context: StageContext) -> None:
        self.c = context
        recipe = context.recipe
        self.spec = recipe.train
        self.methods = Methods(recipe, context.data.train, derive_seed(recipe.seed, "curriculum"), context.prompt_features)
        self.health = RunHealth(recipe.health)
        self.environment = context.environment_for(context.sampling)
        self.greedy_environment = context.environment_for(dataclasses.replace(context.sampling, temperature=0.0))
        for warning in recipe.warnings():
            context.console.warn(warning)

    # ---------------------------------------------------------------------------------------------------------------- one update

    def run_step(self, step: int) -> dict[str, Any]:
        """One update. Returns the row of metrics.jsonl; sample rows are written to the run folder."""
        started = time.perf_counter()
        torch.manual_seed(derive_seed(self.c.recipe.seed, "step", step) % 2**63)  # dropout of adapters; rollouts have seeds of their own
        clock: dict[str, float] = {"rollout": 0.0, "verify": 0.0}
        self.methods.begin_step()
        wanted = self.spec.prompts_per_step
        collected = Collected()
        while True:
            self.collect(step, collected, wanted, clock)  # 1 select, 2 allot, 3 roll out, 4 verify, 5 observe
            batch = self.make_batch(collected)
            right, eligible = self.right(collected), self.eligible(collected, batch)
            mix = group_mix(batch.rewards, right, batch.group, eligible)
            wanted = self.spec.prompts_per_step - mix.mixed
            if not self.spec.refill.enabled or wanted <= 0 or collected.rounds > self.spec.refill.max_rounds:
                break
        usable = self.methods.usable(batch, eligible)  # 6 filter: rows that were judged, in groups with something to compare
        rewards = self.methods.shape(batch, usable) - self.kl_penalty(collected, batch)  # 7 shape
        rows, tokens = self.methods.advantages(batch, rewards, usable, self.greedy_rewards(collected, batch))  # 8 advantage
        self.methods.observe_advantages([e.problem for e in collected.episodes], rows)
        chosen = self.methods.select_advantages(tokens, rows, batch, usable, (step - 1) / max(1, self.spec.steps - 1))  # 9 select
        phase = time.perf_counter()
        measures, norm, updates = self.update(step, collected.episodes, batch, usable, chosen, right)  # 10 update
        clock["update"] = time.perf_counter() - phase

        outcomes = count_outcomes([e for e in collected.episodes if not e.info.get("off_policy")])
        broken = next((v.reason for e in collected.episodes for v in e.verdicts.values() if v.correct is None), "")
        warning = self.health.observe(step, mix, outcomes, broken, learns=bool((rows != 0).any()))
        if warning:
            self.c.console.warn(warning)
        unrefined = [e.info["refine_failure"] for e in collected.episodes if "refine_failure" in e.info]
        if unrefined:
            self.c.console.warn(f"{len(unrefined)} wrong responses go without a refinement: {unrefined[0]}")
        self.c.folder.add_samples(self.sample_rows(step, collected, rows, tokens))
        clock["step"] = time.perf_counter() - started
        return {
            "kind": "train",
            "step": step,
            **step_metrics.rewards_and_rollouts(collected, batch, eligible, mix, outcomes, [part.name for part in self.c.parts]),
            **step_metrics.methods(self.c.recipe, collected, batch, usable, rewards, rows, tokens),
            **measures.summary(updates, self.spec.epochs_per_step),
            **({"rollouts/refine_failed": len(unrefined)} if unrefined else {}),
            **({"rollouts/refined": int(batch.off_policy.sum())} if batch.off_policy is not None else {}),
            **({"policy/kl_ref": measures.kl / max(1, measures.tokens)} if self.has_kl_loss else {}),
            **({"policy/corrected": measures.corrected / max(1, measures.tokens)} if self.spec.mismatch.is_on else {}),
            "optim/lr": self.c.optimizer.learning_rate(step),
            "optim/grad_norm": norm,
            "optim/updates": updates,
            "data/epoch": self.methods.curriculum.epoch,
            **{f"time/{name}_s": seconds for name, seconds in clock.items()},
        }

    def collect(self, step: int, into: Collected, prompts: int, clock: dict[str, float]) -> None:
        """Steps 1 to 5 for `prompts` more prompts."""
        phase = time.perf_counter()
        problems = self.methods.select(prompts)
        counts = self.methods.allot(problems)
        clock["select"] = clock.get("select", 0.0) + time.perf_counter() - phase
        phase = time.perf_counter()
        seed = (self.c.recipe.seed, "rollout", step, into.rounds)
        episodes = roll_out(self.environment, self.c.engine, problems, counts, seed=seed, others=self.c.other_engines)
        greedy = []
        if self.spec.advantage == "remax":
            once = [1] * len(problems)
            greedy = roll_out(self.greedy_environment, self.c.engine, problems, once, seed=(*seed, "greedy"), others=self.c.other_engines)
        clock["rollout"] += time.perf_counter() - phase
        phase = time.perf_counter()
        judge([*episodes, *greedy], self.c.parts, on_timeout=self.spec.on_timeout, step=step)
        clock["verify"] += time.perf_counter() - phase
        self.observe(problems, counts, episodes)  # what the policy wrote unaided; refinements are no success of its own
        phase = time.perf_counter()
        refined = refined_rows(self.c, counts, episodes, seed)  # Critique-GRPO: [] where the recipe does not ask for them
        clock["rollout"] += time.perf_counter() - phase
        into.predicted += [self.methods.rates.predictions.get(problem.id) for problem in problems]
        into.groups += [len(into.problems) + i for i, count in enumerate(counts) for _ in range(count)]
        into.problems += problems
        into.counts += counts
        into.episodes += episodes
        into.rewards += [total_reward(episode, self.c.parts) for episode in episodes]
        into.groups += [len(into.problems) - len(problems) + place for place, _ in refined]
        into.episodes += [episode for _, episode in refined]
        into.rewards += [total_reward(episode, self.c.parts) for _, episode in refined]
        judged = [total_reward(episode, self.c.parts) for episode in greedy]
        into.greedy += [math.nan if reward is None else reward for reward in judged]
        into.rounds += 1

    def observe(self, problems: Sequence[Problem], counts: Sequence[int], episodes: Sequence[Episode]) -> None:
        """Step 5: right or wrong, of every rollout that was judged, whatever is filtered later."""
        rows = iter(episodes)
        verdicts = [[next(rows).verdicts["correctness"] for _ in range(count)] for count in counts]
        self.methods.observe(problems, [[v.correct is True for v in group if v.correct is not None] for group in verdicts])

    # ---------------------------------------------------------------------------------------------------------------- the parts

    @property
    def has_kl_loss(self) -> bool:
        return self.spec.kl.coefficient > 0 and self.spec.kl.where == "loss"

    def make_batch(self, collected: Collected) -> RolloutBatch:
        episodes = collected.episodes
        last = [episode.own for episode in episodes]
        parts = {part.name: [e.reward_parts[part.name] for e in episodes] for part in self.c.parts}
        entropy = None
        if self.spec.d3s is not None:
            entropy = score_rows_with_entropy(
                self.c.model, token_rows(episodes), self.spec, self.c.recipe.rollout.temperature, self.c.packing
            )[1]
        return RolloutBatch(
            problem_id=[episode.problem.id for episode in episodes],
            group=torch.tensor(collected.groups),  # type: ignore[arg-type]
            role=[t.role for t in last],
            tokens=pad_rows([t.response_ids for t in last], torch.long),  # type: ignore[arg-type]
            loss_mask=pad_rows([[float(m) for m in t.loss_mask] for t in last], torch.float32).bool(),  # type: ignore[arg-type]
            token_mask=length_mask([len(t.response_ids) for t in last]),
            rewards=torch.tensor([0.0 if r is None else r for r in collected.rewards]),  # type: ignore[arg-type]
            judged=torch.tensor([r is not None for r in collected.rewards]),  # type: ignore[arg-type]
            reward_parts={name: torch.tensor([v or 0.0 for v in values]) for name, values in parts.items()},  # type: ignore[misc]
            rollout_logprobs=pad_rows([t.logprobs for t in last], torch.float32),  # type: ignore[arg-type]
            entropy=entropy,  # type: ignore[arg-type]
            off_policy=self.off_policy(collected),
        )

    def off_policy(self, collected: Collected) -> Any:
        """[B] rows that the policy did not draw by itself; None where there are none."""
        marks = [bool(episode.info.get("off_policy")) for episode in collected.episodes]
        return torch.tensor(marks) if any(marks) else None

    def right(self, collected: Collected) -> Tensor:
        return torch.tensor([e.verdicts["correctness"].correct is True for e in collected.episodes])

    def eligible(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """Rows [B] that were judged and, if the recipe masks cut-off responses, came to an end; with a greedy baseline that was judged."""
        rows: Tensor = batch.judged
        if self.spec.mask_truncated:
            rows = rows & torch.tensor([e.own.finish_reason != "length" for e in collected.episodes])
        greedy = self.greedy_rewards(collected, batch)
        return rows if greedy is None else rows & ~torch.isnan(greedy)

    def greedy_rewards(self, collected: Collected, batch: RolloutBatch) -> Tensor | None:
        return torch.tensor(collected.greedy)[batch.group] if collected.greedy else None

    def kl_penalty(self, collected: Collected, batch: RolloutBatch) -> Tensor:
        """[B] what the recipe takes off the reward for leaving the reference; zeros where it does not."""
        kl = self.spec.kl
        if kl.where != "reward" or kl.coefficient == 0:
            return torch.zeros_like(batch.rewards)
        assert batch.rollout_logprobs is not None
        reference = self.c.reference_logprobs(token_rows(collected.episodes))
        penalty = kl_estimate(batch.rollout_logprobs, reference, kl.estimator) * batch.loss_mask
        return kl.coefficient * penalty.sum(1)

    def update(
        self, step: int, episodes: Sequence[Episode], batch: RolloutBatch, usable: Tensor, advantages: Tensor, right: Tensor
    ) -> tuple[UpdateMeasures, float, int]:
        """Optimiser steps on whole groups. Returns measures, the last gradient norm and the number of optimiser steps."""
        if isinstance(self.c.engine, SleepingEngine):
            self.c.engine.sleep()
        temperature, packing = self.c.recipe.rollout.temperature, self.c.packing
        mask = batch.loss_mask & usable[:, None]
        rows = token_rows(episodes)
        old = None if self.c.recipe.on_policy else score_rows(self.c.model, rows, self.spec, temperature, packing)
        reference = self.c.reference_logprobs(rows) if self.has_kl_loss or self.spec.loss == "trpa" else None
        assert batch.rollout_logprobs is not None
        measures, norm, updates = UpdateMeasures(), 0.0, 0
        self.c.model.train()
        for _ in range(self.spec.epochs_per_step):
            for members in _parts(batch.group, self.spec.updates_per_step):
                part_mask = mask & members[:, None]
                if self.spec.loss in GROUP_LOSSES:
                    self.c.model.eval()
                    now = score_rows(self.c.model, rows, self.spec, temperature, packing)
                    self.c.model.train()
                    worth = row_advantages(self.c.recipe, batch, usable & members, right, now, now if old is None else old, reference)
                    advantages = worth[:, None] * part_mask
                weights = token_weights(part_mask, self.c.recipe.loss_aggregation, self.c.recipe.rollout.max_new_tokens)
                kl_reference = reference if self.has_kl_loss else None
                everything = UpdateRows(rows, advantages * part_mask, weights, batch.rollout_logprobs, old, kl_reference, batch.off_policy)
                if self.c.recipe.critique_grpo is not None:
                    everything = dataclasses.replace(everything, gamma=self.c.recipe.critique_grpo.gamma)
                part = everything.take(members.nonzero()[:, 0].tolist())
                if accumulate_gradients(self.c.model, part, self.spec, temperature, packing, measures):
                    norm = self.c.optimizer.step(step)
                    updates += 1
        self.c.model.eval()
        return measures, norm, updates

    # ---------------------------------------------------------------------------------------------------------------- what is kept

    def sample_rows(self, step: int, collected: Collected, advantages: Tensor, tokens: Tensor) -> list[dict[str, Any]]:
        tokenizer = self.c.language_model.tokenizer
        rows = []
        everything = zip(collected.episodes, collected.rewards, collected.groups, advantages.tolist(), tokens.tolist(), strict=True)
        for episode, reward, group, advantage, credit in everything:
            last = episode.own
            more: dict[str, Any] = {
                **sample_fields(episode),
                "group": group,
                "response_ids": last.response_ids,
                "logprobs": [round(p, 6) for p in last.logprobs],
            }
            if episode.info.get("off_policy"):
                more |= {"off_policy": True, "critique_text": episode.info["critique"]}
            if self.spec.credit != "none":
                more["token_advantages"] = [round(value, 6) for value in credit[: len(last.response_ids)]]
            prompt = render_prompt_text(tokenizer, episode.problem)
            rows.append(
                sample_row(episode, kind="train", step=step, mode="train", prompt=prompt, reward=reward, advantage=advantage, **more)
            )
        return rows

    def state_dict(self) -> dict[str, Any]:
        return {"methods": self.methods.state_dict(), "health": self.health.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "methods" not in state:
            raise CheckpointError(
                "this checkpoint is of an older reasonrl and cannot be resumed; start from its weights with model.path=FOLDER"
            )
        self.methods.load_state_dict(state["methods"])
        self.health.load_state_dict(state["health"])

    def tensors(self) -> dict[str, Tensor]:
        return self.methods.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.methods.load_tensors(tensors)


def token_rows(episodes: Sequence[Episode]) -> list[TokenRow]:
    return [TokenRow(e.own.prompt_ids, e.own.response_ids) for e in episodes]


def _parts(group: Tensor, count: int) -> list[Tensor]:
    """Row masks [B] of `count` parts of whole groups."""
    return [group % count == part for part in range(count)] if count > 1 else [torch.ones_like(group, dtype=torch.bool)]
