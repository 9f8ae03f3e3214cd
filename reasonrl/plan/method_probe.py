"""A dry run calls an advantage and a loss of the user's own once, on a step that is made up: what would stop the run
stops the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from reasonrl.algorithms.batch import RolloutBatch
from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.objective import UpdateTensors
from reasonrl.algorithms.losses.row_weights import row_weights
from reasonrl.errors import NotFiniteError, RecipeError, TrainingError
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.update.advantages import AdvantageSteps
from reasonrl.update.objective import objective_of
from reasonrl.user_code.guards import describe_error

MOST_TOKENS = 6
"""Tokens of the longest response that is made up."""
MOST_PROMPTS = 64


def probe_methods(recipe: Recipe, parts: Sequence[RewardPart]) -> None:
    """Make one update of `recipe` on numbers that are made up, where it names an advantage or a loss by dotted path.

    The groups are mixed (right and wrong responses), all wrong and all right, one after another; one response of the
    last mixed one could not be judged. No model is needed: the log-probs are made up too.

    Raises RecipeError: what one of the functions raises or returns would stop the run.
    """
    if recipe.kind != "rl":
        return
    own_advantage = not isinstance(ADVANTAGES[recipe.train.advantage].function, str)
    own_loss = not isinstance(LOSSES[recipe.train.loss].function, str)
    if not own_advantage and not own_loss:
        return
    batch = made_batch(recipe, parts)
    steps = AdvantageSteps(recipe)
    try:
        with torch.random.fork_rng(devices=[]):
            trainable = steps.filter(batch, batch.judged)
            needs_greedy = "greedy_rewards" in steps.estimator.needs
            greedy = torch.where(batch.group % 2 == 0, batch.rewards.max(), batch.rewards.min())
            _, advantages = steps.advantages(
                batch,
                steps.shape(batch, trainable, batch.rollout_logprobs - 0.01),
                trainable,
                greedy_rewards=greedy if needs_greedy else None,
                predictions={key: 0.5 for key in batch.problem_id},
            )
            if own_loss:
                probe_loss(recipe, batch, trainable, advantages)
    except NotFiniteError as error:
        raise RecipeError(f"train.loss: {recipe.train.loss}: {error}, in a step that the dry run made up") from error
    except TrainingError as error:
        raise RecipeError(str(error)) from error


def probe_loss(recipe: Recipe, batch: RolloutBatch, trainable: Tensor, advantages: Tensor) -> None:
    """The loss of a batch and its gradient. `trainable` [B] bool, `advantages` [B, T].

    Raises TrainingError, and NotFiniteError for a loss or a gradient that is not a finite number.
    """
    name, loss = recipe.train.loss, LOSSES[recipe.train.loss]
    mask = batch.loss_mask & trainable[:, None]
    leaf = batch.rollout_logprobs.clone().requires_grad_(True)
    logprobs = leaf * 1.0  # as from a model: not a leaf of the graph
    old = batch.rollout_logprobs - 0.02
    reference = batch.rollout_logprobs - 0.01
    if loss.level == "group":
        weights = row_weights(
            name,
            batch,
            trainable,
            batch.rewards > 0,
            logprobs=batch.rollout_logprobs,
            old_logprobs=old,
            ref_logprobs=reference if loss.needs_reference else None,
            max_length=recipe.rollout.response_limit,
            best_reward=sum(part.weight for part in recipe.reward.values() if part.weight > 0),
        )
        if not bool(torch.isfinite(weights).all()):
            raise NotFiniteError("its gradient is not a finite number")
        return
    tensors = UpdateTensors(
        advantages=advantages * mask,
        weights=token_weights(mask, recipe.loss_aggregation, recipe.rollout.response_limit),
        rollout_logprobs=batch.rollout_logprobs,
        old_logprobs=None if recipe.on_policy else old,
        ref_logprobs=reference,
    )
    total = objective_of(recipe).terms(logprobs, torch.ones_like(logprobs), tensors).total
    if not bool(torch.isfinite(total)):
        raise NotFiniteError(f"the loss is {float(total.detach())}")
    try:
        (gradient,) = torch.autograd.grad(total, leaf)
    except RuntimeError as error:  # the graph of a foreign function may be cut, or changed in place
        raise TrainingError(f"train.loss: {name}: its gradient cannot be computed: {describe_error(error)}") from error
    if not bool(torch.isfinite(gradient[mask]).all()):
        raise NotFiniteError("its gradient is not a finite number")


def made_batch(recipe: Recipe, parts: Sequence[RewardPart]) -> RolloutBatch:
    """As many prompts and responses as a step of the recipe has (at most 64 prompts), with few tokens."""
    prompts = min(recipe.train.prompts_per_step, MOST_PROMPTS)
    per_prompt = recipe.rollout.rollouts_per_prompt
    group = [prompt for prompt in range(prompts) for _ in range(per_prompt)]
    places = [place for _ in range(prompts) for place in range(per_prompt)]
    is_right = [(place % 2 == 0, False, True)[prompt % 3] for prompt, place in zip(group, places, strict=True)]
    best = sum(part.weight for part in parts if part.weight > 0) or 1.0
    rewards: list[float | None] = [best if right else 0.0 for right in is_right]
    last_mixed = (prompts - 1) // 3 * 3
    if prompts > 1 and per_prompt > 3:
        rewards[last_mixed * per_prompt] = None
    longest = min(MOST_TOKENS, recipe.rollout.response_limit)
    lengths = [1 + (row % longest) for row in range(len(group))]
    return RolloutBatch.from_rows(
        problem_id=[f"made-up/{prompt}" for prompt in group],
        group=group,
        token_ids=[[1 + (row + token) % 7 for token in range(length)] for row, length in enumerate(lengths)],
        loss_mask=[[True] * length for length in lengths],
        logprobs=[[-0.2 - 0.1 * ((row + token) % 5) for token in range(length)] for row, length in enumerate(lengths)],
        rewards=rewards,
        reward_parts={
            part.name: [None if rewards[row] is None else float(right) for row, right in enumerate(is_right)]
            for part in parts
        },
    )
