"""One update between its rollouts and its gradient, the same for the local trainer and for verl.

    prompts = pipeline.prompts                     1 select, 2 allocate, 5 observe
    prepared = pipeline.prepare(rollouts, ...)     6 filter, 7 shape, 8 advantage, 9 select
    pipeline.assign_reviews(episodes)              4 verify, its end: what critics in the reward have said
    record = pipeline.record(rollouts, prepared)   metrics, sample rows, warnings

All state is here: success history, value model, curriculum, moments of prompts, what critics in the reward are worth,
and what the run's health remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.groups import GroupMix, group_mix
from reasonrl.curricula.rates import Features
from reasonrl.engines.base import derive_seed
from reasonrl.environments.base import Episode
from reasonrl.errors import TrainingError
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.reviews import review_rewards
from reasonrl.update.advantages import AdvantageSteps
from reasonrl.update.health import RunHealth, count_outcomes
from reasonrl.update.metrics import method_metrics, rollout_metrics
from reasonrl.update.prepared import PreparedUpdate
from reasonrl.update.prompts import PromptSource
from reasonrl.update.rollouts import StepRollouts
from reasonrl.update.samples import train_samples
from reasonrl.update.tool_metrics import tool_metrics
from verifiers.types import Problem


@dataclass(frozen=True)
class StepRecord:
    """The results of a step."""

    metrics: dict[str, Any]
    """A row of metrics.jsonl, without what only one trainer knows."""
    samples: list[dict[str, Any]]
    """A row of samples.jsonl for each rollout."""
    warnings: list[str]
    """For the terminal."""
    stop: TrainingError | None = None
    """Why the recipe's section `health` ends the run here. To be raised once the rows are written: they show why."""


class UpdatePipeline:
    """Steps 1, 2 and 5 to 9 of a recipe, and the record of each step.

    Args:
        problems: the training pool.
        parts: the terms of the reward, correctness first.
        tokenizer: renders prompts for the sample rows.
        features: gives a value model [n, H] of n problems under the present policy.
    """

    def __init__(
        self,
        recipe: Recipe,
        problems: Sequence[Problem],
        parts: Sequence[RewardPart],
        tokenizer: Any,
        features: Features | None = None,
    ) -> None:
        self.recipe, self.parts, self.tokenizer = recipe, list(parts), tokenizer
        self.prompts = PromptSource(recipe, problems, derive_seed(recipe.seed, "curriculum"), features)
        self.reviews = review_rewards(recipe)
        self.steps = AdvantageSteps(recipe)
        self.health = RunHealth(recipe.health, {part.name: part.weight for part in self.parts})

    def assign_reviews(self, episodes: Sequence[Episode], *, step: int, drawn: int) -> None:
        """The end of step 4 for critics in the reward: what their judgements of the episodes of one round earn.
        `drawn`: which round of the step.
        """
        for reviews in self.reviews:
            reviews.assign(episodes, step=step, drawn=drawn)

    def prompts_wanted(self, rollouts: StepRollouts) -> int:
        """How many more prompts `train.refill` (DAPO's dynamic sampling) asks for: as many as groups lack signal."""
        refill = self.recipe.train.refill
        if not rollouts.rounds:
            return self.recipe.train.prompts_per_step
        if not refill.enabled or rollouts.rounds > refill.max_rounds:
            return 0
        batch = rollouts.batch(self.parts)
        groups = self._groups(rollouts, batch, self._eligible(rollouts, batch))
        return max(0, self.recipe.train.prompts_per_step - groups.mixed)

    def prepare(
        self,
        rollouts: StepRollouts,
        *,
        step: int,
        ref_logprobs: Tensor | None = None,
        entropy: Tensor | None = None,
    ) -> PreparedUpdate:
        """Steps 6 to 9.

        Args:
            step: 1-based.
            ref_logprobs: [B, T] under the reference, for a KL penalty in the reward.
            entropy: [B, T] of each token's distribution in nats, for methods that choose tokens by it.
        """
        batch = rollouts.batch(self.parts, entropy)
        eligible = self._eligible(rollouts, batch)
        trainable = self.steps.filter(batch, eligible)  # 6
        shaped_rewards = self.steps.shape(batch, trainable, ref_logprobs)  # 7
        rollout_advantages, token_advantages = self.steps.advantages(  # 8
            batch,
            shaped_rewards,
            trainable,
            greedy_rewards=rollouts.greedy_rewards(batch),
            predictions=self.prompts.rates.predictions,
        )
        self.prompts.observe_advantages([episode.problem for episode in rollouts.episodes], rollout_advantages)
        progress = (step - 1) / max(1, self.recipe.train.steps - 1)
        selected_advantages = self.steps.select(token_advantages, rollout_advantages, batch, trainable, progress)  # 9
        return PreparedUpdate(
            batch=batch,
            correct=rollouts.correct(),
            eligible=eligible,
            trainable=trainable,
            shaped_rewards=shaped_rewards,
            rollout_advantages=rollout_advantages,
            token_advantages=token_advantages,
            selected_advantages=selected_advantages,
            groups=self._groups(rollouts, batch, eligible),
        )

    def record(self, rollouts: StepRollouts, prepared: PreparedUpdate, *, step: int) -> StepRecord:
        """Metrics, sample rows and warnings of a step, and whether the run stops here."""
        weights = {part.name: part.weight for part in self.parts}
        outcomes = count_outcomes([episode for episode in rollouts.episodes if not episode.off_policy], weights)
        learns = bool((prepared.rollout_advantages != 0).any())
        watched = outcomes
        if rollouts.greedy_episodes:  # one of them that could not be judged masks its whole group
            several = [*(e for e in rollouts.episodes if not e.off_policy), *rollouts.greedy_episodes]
            watched = count_outcomes(several, weights)
        alarm, stop = None, None
        try:
            alarm = self.health.observe(step, prepared.groups, watched, rollouts.unjudged_reason(), learns=learns)
        except TrainingError as error:
            stop = error
        failures = [e.refinement_failure for e in rollouts.episodes if e.refinement_failure is not None]
        warnings = [alarm] if alarm else []
        if failures:
            warnings.append(f"{len(failures)} incorrect responses were not refined: {failures[0]}")
        metrics = {
            "kind": "train",
            "step": step,
            **rollout_metrics(rollouts, prepared, outcomes, [part.name for part in self.parts]),
            **tool_metrics(rollouts.episodes),
            **{k: v for reviews in self.reviews for k, v in reviews.metrics(rollouts.episodes).items()},
            **method_metrics(self.recipe, rollouts, prepared),
            **({"rollouts/refine_failed": len(failures)} if self.recipe.critique_grpo is not None else {}),
            "data/epoch": self.prompts.curriculum.epoch,
        }
        for reviews in self.reviews:
            reviews.observe(rollouts.episodes)
        credited = self.recipe.train.credit != "none"
        return StepRecord(
            metrics,
            train_samples(rollouts, prepared, step=step, tokenizer=self.tokenizer, credited=credited),
            warnings,
            stop,
        )

    def _eligible(self, rollouts: StepRollouts, batch: RolloutBatch) -> Tensor:
        return rollouts.eligible(batch, mask_truncated=self.recipe.train.mask_truncated)

    def _groups(self, rollouts: StepRollouts, batch: RolloutBatch, eligible: Tensor) -> GroupMix:
        return group_mix(batch.rewards, rollouts.correct(), batch.group, eligible)

    # ------------------------------------------------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        methods = {**self.prompts.state_dict(), "moments": self.steps.state_dict()}
        reviews = {reviews.part: reviews.state_dict() for reviews in self.reviews}
        return {"methods": methods, "health": self.health.state_dict(), **({"reviews": reviews} if reviews else {})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.prompts.load_state_dict(state["methods"])
        self.steps.load_state_dict(state["methods"]["moments"])
        self.health.load_state_dict(state["health"])
        for reviews in self.reviews:
            reviews.load_state_dict(state["reviews"][reviews.part])

    def tensors(self) -> dict[str, Tensor]:
        """The part of the state that is not JSON."""
        return self.prompts.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.prompts.load_tensors(tensors)
