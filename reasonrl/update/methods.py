"""Steps 1, 2 and 5 to 9 of an update as a recipe has them: the same for the local trainer and for verl.

    1 select    2 allot    (3 roll out, 4 verify)    5 observe    6 filter    7 shape    8 advantage    9 select    (10
                update)

All state of the methods is here: success history, value model, curriculum, moments of prompts. It goes into the
checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.advantages import ADVANTAGES, NEEDS
from reasonrl.algorithms.advantages.dcpo import PromptMoments, dcpo_advantages
from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import group_size, group_std
from reasonrl.algorithms.length import overlong_penalty
from reasonrl.algorithms.mismatch import icepop_weights, rows_that_agree, truncated_weights
from reasonrl.algorithms.selection import clip_advantages, high_entropy_tokens, most_spread_rows, scheduled
from reasonrl.algorithms.tempo import add_tree_term
from reasonrl.algorithms.unlikeliness import unlikeliness_rewards
from reasonrl.budgets.knapsack import KnapsackBudget
from reasonrl.budgets.uniform import UniformBudget
from reasonrl.curricula.dump import DumpCurriculum
from reasonrl.curricula.history import SuccessHistory
from reasonrl.curricula.pcl import PCLCurriculum
from reasonrl.curricula.rates import Features, SuccessRates
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.curricula.value_model import ValueModel
from reasonrl.recipe.schema import Recipe, TrainSpec
from verifiers.types import Problem

STATEFUL = ("dcpo",)
"""Advantages that remember something of each prompt."""


class Methods:
    """What a recipe has switched on. `features` gives the value model its [n, H] of n problems under the present
    policy.
    """

    def __init__(
        self, recipe: Recipe, problems: Sequence[Problem], seed: int, features: Features | None = None
    ) -> None:
        self.recipe, self.spec = recipe, recipe.train
        rates = recipe.success_rates
        source = recipe.rate_source
        value_model = None if source == "history" else ValueModel(window=rates.value_window, ridge=rates.ridge)
        history = SuccessHistory(window=rates.window, min_count=rates.min_count)
        self.rates = SuccessRates(
            source, history=history, value_model=value_model, features=features, trust=rates.trust_rollouts
        )
        self.curriculum = self._curriculum(problems, seed)
        per_prompt, budget = recipe.rollout.rollouts_per_prompt, recipe.budget
        self.knapsack = (
            KnapsackBudget(per_prompt, low=budget.low, high=budget.high) if budget.name == "knapsack" else None
        )
        self._uniform = UniformBudget(per_prompt)
        self._moments: dict[str, PromptMoments] = {}

    def _curriculum(self, problems: Sequence[Problem], seed: int) -> UniformCurriculum | PCLCurriculum | DumpCurriculum:
        spec = self.recipe.curriculum
        if spec.name == "pcl":
            ways = {"candidates_per_prompt": spec.candidates_per_prompt, "target_rate": spec.target_rate}
            return PCLCurriculum(problems, seed, self.rates, **ways)  # type: ignore[arg-type]
        if spec.name == "dump":
            return DumpCurriculum(problems, seed, window=spec.window, temperature=spec.temperature)
        return UniformCurriculum(problems, seed)

    # -------------------------------------------------------------------------------------------------- before rollouts

    def begin_step(self) -> None:
        """The policy has changed."""
        self.rates.begin_step()
        if isinstance(self.curriculum, PCLCurriculum):
            self.curriculum.begin_step()

    def select(self, count: int) -> list[Problem]:
        """1: the problems that come next."""
        return self.curriculum.select(count)

    def allot(self, problems: Sequence[Problem]) -> list[int]:
        """2: rollouts of each."""
        rates = self.rates.estimate(
            problems
        )  # also where nobody allots by them: the shrinkage baseline wants what was predicted
        if self.knapsack is None:
            return self._uniform.allot([problem.id for problem in problems])
        return self.knapsack.allot(rates)

    # --------------------------------------------------------------------------------------------------- after rollouts

    def observe(self, problems: Sequence[Problem], successes: Sequence[Sequence[bool]]) -> None:
        """5: the judged rollouts of each problem, right or wrong, before any filter."""
        self.rates.observe(problems, successes)

    def usable(self, batch: RolloutBatch, eligible: Tensor) -> Tensor:
        """6: rows [B] that take part in baselines and loss. Decided by the RAW rewards: shaping makes differences out
        of nothing.
        """
        keep = eligible
        if (
            self.spec.drops_silent_groups
        ):  # as in DAPO, a group without signal is no part of the batch, nor of its denominators
            keep = keep & (group_std(batch.rewards, batch.group, keep) > 0)
        alone_is_enough = self.spec.advantage in ("remax", "shrinkage", "dcpo", "reinforce_pp")
        return keep if alone_is_enough else keep & (group_size(batch.group, keep) > 1)

    def shape(self, batch: RolloutBatch, usable: Tensor) -> Tensor:
        """7: shaped rewards [B]."""
        rewards: Tensor = batch.rewards
        if (overlong := self.spec.overlong) is not None:
            limit = self.recipe.rollout.max_new_tokens
            lengths = batch.token_mask.sum(1)
            rewards = rewards + overlong_penalty(
                lengths, max_length=limit, buffer=overlong.buffer_tokens, factor=overlong.factor
            )
        if (unlikeliness := self.spec.unlikeliness) is not None:
            rewards = unlikeliness_rewards(
                rewards, mean_logprobs(batch), batch.group, beta=unlikeliness.beta, judged=usable
            )
        return rewards

    def advantages(
        self, batch: RolloutBatch, rewards: Tensor, usable: Tensor, greedy_rewards: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """8: advantages [B] of the rows and [B, T] of their tokens, 0 outside the loss mask. Raises ValueError for a
        reward that is NaN.
        """
        if not bool(torch.isfinite(rewards[usable]).all()):
            row = int((~torch.isfinite(rewards) & usable).nonzero()[0])
            raise ValueError(
                f"the shaped reward of row {row} ({batch.problem_id[row]}) is {float(rewards[row])}, not a finite"
                " number"
            )
        lengths = batch.loss_mask.sum(1)
        if self.spec.advantage in STATEFUL:
            rows = self._remembered_advantages(batch, rewards, usable)
        else:
            extra = {
                "lengths": lengths,
                "greedy_rewards": greedy_rewards,
                "reward_parts": batch.reward_parts,
                "part_weights": {name: part.weight for name, part in self.recipe.reward.items()},
                "predictions": self._predictions(batch),
            }
            needed = {name: extra[name] for name in NEEDS.get(self.spec.advantage, ())}
            rows = ADVANTAGES[self.spec.advantage](rewards, batch.group, usable, **needed)
        tokens = rows[:, None] * batch.loss_mask
        if self.spec.credit == "tempo":
            scale = self._scale(rewards, batch, usable)
            masks = {"judged": usable, "token_mask": batch.token_mask}
            tokens = add_tree_term(tokens.clone(), scale, batch.tokens, batch.loss_mask, rewards, batch.group, **masks)
        return rows, tokens

    def select_advantages(
        self, advantages: Tensor, rows: Tensor, batch: RolloutBatch, usable: Tensor, progress: float
    ) -> Tensor:
        """9: advantages [B, T] that go into the update."""
        if self.spec.clip_advantages is not None:
            advantages = clip_advantages(advantages, self.spec.clip_advantages)
        if (d3s := self.spec.d3s) is not None:
            assert batch.entropy is not None
            count = round(scheduled(*d3s.row_share, progress) * int(usable.sum()))
            chosen = torch.zeros_like(usable)
            chosen[usable] = most_spread_rows(rows[usable], count)
            mask = batch.loss_mask & chosen[:, None]
            advantages = advantages * high_entropy_tokens(
                advantages, batch.entropy, mask, scheduled(*d3s.token_share, progress)
            )
        return advantages

    def observe_advantages(self, problems: Sequence[Problem], rows: Tensor) -> None:
        """After 8, for a curriculum that lives on advantages: of every rollout, also of those that a filter has left
        out (their advantage is 0), or a source that teaches nothing would count as one that was never seen.
        """
        if isinstance(self.curriculum, DumpCurriculum):
            self.curriculum.observe_advantages(problems, rows.tolist())

    def _scale(self, rewards: Tensor, batch: RolloutBatch, usable: Tensor) -> Tensor:
        """[B] what the estimator divides by."""
        if self.spec.advantage == "grpo":
            return group_std(rewards, batch.group, usable) + 1e-6
        if self.spec.advantage == "lite_ppo":
            return group_std(rewards, torch.zeros_like(batch.group), usable) + 1e-6
        return torch.ones_like(rewards)

    def _predictions(self, batch: RolloutBatch) -> Tensor:
        return torch.tensor([self.rates.predictions.get(key, torch.nan) for key in batch.problem_id])

    def _remembered_advantages(self, batch: RolloutBatch, rewards: Tensor, usable: Tensor) -> Tensor:
        rows = torch.zeros_like(rewards)
        for g in range(int(batch.group.max()) + 1 if len(batch.group) else 0):
            members = ((batch.group == g) & usable).nonzero()[:, 0]
            if len(members):
                key = batch.problem_id[int(members[0])]
                rows[members], self._moments[key] = dcpo_advantages(
                    rewards[members], self._moments.get(key, PromptMoments())
                )
        return rows

    # ------------------------------------------------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        moments = {key: [m.visits, m.mean, m.std] for key, m in self._moments.items()}
        return {"curriculum": self.curriculum.state_dict(), "rates": self.rates.state_dict(), "moments": moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state["curriculum"])
        self.rates.load_state_dict(state["rates"])
        self._moments = {key: PromptMoments(*values) for key, values in state["moments"].items()}

    def tensors(self) -> dict[str, Tensor]:
        """The part of the state that is no JSON."""
        return self.rates.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.rates.load_tensors(tensors)


def mean_logprobs(batch: RolloutBatch) -> Tensor:
    """[B] mean log-prob of each row's own tokens under the policy that wrote it."""
    known = batch.old_logprobs if batch.old_logprobs is not None else batch.rollout_logprobs
    assert known is not None
    return (known * batch.loss_mask).sum(1) / batch.loss_mask.sum(1).clamp(min=1)


def mismatch_weights(spec: TrainSpec, train_logprobs: Tensor, rollout_logprobs: Tensor, mask: Tensor) -> Tensor | None:
    """[B, T] weights of the recipe against rollouts from other probabilities; None if it asks for none."""
    mismatch = spec.mismatch
    if not mismatch.is_on:
        return None
    weights = mask.float()
    if mismatch.name == "tis":
        weights = truncated_weights(train_logprobs, rollout_logprobs, cap=mismatch.cap)
    elif mismatch.name == "icepop":
        weights = icepop_weights(train_logprobs, rollout_logprobs, low=mismatch.low, high=mismatch.high)
    if mismatch.reject_above is not None:
        weights = (
            weights * rows_that_agree(train_logprobs, rollout_logprobs, mask, bound=mismatch.reject_above)[:, None]
        )
    return weights
