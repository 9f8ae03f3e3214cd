"""Steps 6 to 9 of an update, each on a `RolloutBatch`: filter, shape, advantage, select.

What an estimator is comes from `reasonrl.algorithms.catalogue`; nothing here knows one by its name. A need that no
estimator had before gets a line in `AdvantageSteps.advantages`, and its name in `ADVANTAGE_NEEDS`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch, mean_logprobs
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.groups import group_size, group_std
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.length import overlong_penalty
from reasonrl.algorithms.moments import PromptMoments
from reasonrl.algorithms.selection import clip_advantages, high_entropy_tokens, most_spread_rows, scheduled
from reasonrl.algorithms.tempo import add_tree_term
from reasonrl.algorithms.unlikeliness import unlikeliness_rewards
from reasonrl.algorithms.user_results import require_moments, sound_advantages
from reasonrl.errors import TrainingError
from reasonrl.recipe.schema import Recipe

STD_EPS = 1e-6
"""Added to a deviation before it divides, as in the estimators themselves."""


class AdvantageSteps:
    """Steps 6 to 9 as a recipe has them. The moments of prompts, which some estimators remember, are its state."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe, self.spec = recipe, recipe.train
        self.estimator = ADVANTAGES[recipe.train.advantage]
        self._moments: dict[str, PromptMoments] = {}

    def filter(self, batch: RolloutBatch, eligible: Tensor) -> Tensor:
        """Step 6: rows [B] that take part in baselines and loss, of those that are `eligible` [B].

        Decided by the RAW rewards: shaping makes differences out of nothing.
        """
        keep = eligible
        if self.spec.drops_silent_groups:  # as in DAPO, a group without signal counts in no denominator of the batch
            keep = keep & (group_std(batch.rewards, batch.group, keep) > 0)
        return keep & (group_size(batch.group, keep) > 1) if self.estimator.baseline == "group" else keep

    def shape(self, batch: RolloutBatch, trainable: Tensor, ref_logprobs: Tensor | None = None) -> Tensor:
        """Step 7: shaped rewards [B], the KL penalty included where the recipe has it in the reward.

        Args:
            ref_logprobs: [B, T] under the reference; needed for that penalty alone.

        Raises ValueError where they are needed and missing.
        """
        rewards = batch.rewards
        if (overlong := self.spec.overlong) is not None:
            limit = self.recipe.rollout.response_limit
            lengths = batch.loss_mask.sum(1)
            rewards = rewards + overlong_penalty(
                lengths, max_length=limit, buffer=overlong.buffer_tokens, factor=overlong.factor
            )
        if (unlikeliness := self.spec.unlikeliness) is not None:
            rewards = unlikeliness_rewards(
                rewards, mean_logprobs(batch), batch.group, beta=unlikeliness.beta, judged=trainable
            )
        if self.spec.kl.in_reward:
            if ref_logprobs is None:
                raise ValueError("train.kl: a penalty in the reward needs the log-probs of the reference")
            penalty = kl_estimate(batch.rollout_logprobs, ref_logprobs, self.spec.kl.estimator) * batch.loss_mask
            rewards = rewards - self.spec.kl.coefficient * penalty.sum(1)
        return rewards

    def advantages(
        self,
        batch: RolloutBatch,
        rewards: Tensor,
        trainable: Tensor,
        *,
        greedy_rewards: Tensor | None = None,
        predictions: Mapping[str, float] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Step 8: advantages [B] of the rollouts and [B, T] of their tokens, 0 outside the loss mask.

        Args:
            rewards: [B] shaped.
            greedy_rewards: [B] of the greedy response to each row's problem.
            predictions: success rates by problem id.

        Raises TrainingError for a reward that is not a finite number, and for an estimator that does not give one
        finite advantage to each row. Rows that are not trainable get 0.
        """
        if not bool(torch.isfinite(rewards[trainable]).all()):
            row = int((~torch.isfinite(rewards) & trainable).nonzero()[0])
            raise TrainingError(
                f"the shaped reward of row {row} ({batch.problem_id[row]}) is {float(rewards[row])}, not a finite"
                " number"
            )
        rates = predictions or {}
        inputs: dict[str, Any] = {
            "lengths": batch.loss_mask.sum(1),
            "greedy_rewards": greedy_rewards,
            "reward_parts": batch.reward_parts,
            "part_weights": {name: part.weight for name, part in self.recipe.reward.items()},
            "predictions": torch.tensor([rates.get(key, torch.nan) for key in batch.problem_id]),
            "problem_id": batch.problem_id,
            "moments": self._moments,
        }
        arguments = {name: inputs[name] for name in self.estimator.needs}
        arguments |= {"rewards": rewards, "group": batch.group, "judged": trainable}
        if not isinstance(self.estimator.function, str):  # a user's, which may write into what it is given
            moments = arguments.pop("moments", None)
            arguments = copy.deepcopy(arguments) | ({} if moments is None else {"moments": moments})
        estimate = self.estimator.load()(**arguments)
        if not isinstance(self.estimator.function, str):
            require_moments(self._moments, f"train.advantage: {self.spec.advantage}")
        rollout_advantages = self._checked(estimate, rewards, trainable)
        token_advantages = rollout_advantages[:, None] * batch.loss_mask
        if self.spec.credit == "tempo":
            token_advantages = add_tree_term(
                token_advantages.clone(),
                self._scale(rewards, batch, trainable),
                batch.tokens,
                batch.loss_mask,
                rewards,
                batch.group,
                judged=trainable,
                token_mask=batch.token_mask,
            )
        return rollout_advantages, token_advantages

    def _checked(self, estimate: Any, rewards: Tensor, trainable: Tensor) -> Tensor:
        """[B] what an estimator returned, 0 outside `trainable`. Raises TrainingError."""
        subject = f"train.advantage: {self.spec.advantage}"
        advantages = sound_advantages(estimate, rewards, subject)
        if bool((bad := ~torch.isfinite(advantages) & trainable).any()):
            row = int(bad.nonzero()[0])
            raise TrainingError(
                f"{subject} gives row {row} the advantage {float(advantages[row])}, not a finite number"
            )
        return advantages.where(trainable, advantages.new_zeros(()))

    def select(
        self,
        token_advantages: Tensor,
        rollout_advantages: Tensor,
        batch: RolloutBatch,
        trainable: Tensor,
        progress: float,
    ) -> Tensor:
        """Step 9: advantages [B, T] that go into the update.

        Args:
            token_advantages: [B, T] of step 8.
            rollout_advantages: [B] of step 8.
            trainable: [B] bool, of step 6.
            progress: in [0, 1], how much of the run is done.

        Raises ValueError where the recipe chooses tokens by their entropy and the batch has none.
        """
        advantages = token_advantages
        if self.spec.clip_advantages is not None:
            advantages = clip_advantages(advantages, self.spec.clip_advantages)
        if (d3s := self.spec.d3s) is not None:
            if batch.entropy is None:
                raise ValueError("train.d3s selects tokens by their entropy, which the batch lacks")
            count = round(scheduled(*d3s.row_share, progress) * int(trainable.sum()))
            selected = torch.zeros_like(trainable)
            selected[trainable] = most_spread_rows(rollout_advantages[trainable], count)
            mask = batch.loss_mask & selected[:, None]
            share = scheduled(*d3s.token_share, progress)
            advantages = advantages * high_entropy_tokens(advantages, batch.entropy, mask, share)
        return advantages

    def _scale(self, rewards: Tensor, batch: RolloutBatch, trainable: Tensor) -> Tensor:
        """[B] what the estimator divides by."""
        if self.estimator.divides_by == "nothing":
            return torch.ones_like(rewards)
        whole_batch = self.estimator.divides_by == "batch_std"
        group = torch.zeros_like(batch.group) if whole_batch else batch.group
        return group_std(rewards, group, trainable) + STD_EPS

    def state_dict(self) -> dict[str, Any]:
        return {key: [m.visits, m.mean, m.std] for key, m in self._moments.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._moments = {key: PromptMoments(*values) for key, values in state.items()}
