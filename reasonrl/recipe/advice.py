"""Settings that are valid but rarely intended: a function for each warning. Nothing here stops a run."""

from __future__ import annotations

from collections.abc import Iterator

from reasonrl.algorithms.catalogue import ADVANTAGES, DEFAULT_ADVANTAGE, LOSSES
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.mistakes import Mistake, place
from reasonrl.recipe.rollout import SINGLE_TURN
from reasonrl.recipe.settings import StageSettings

HIGHEST_RATE = 0.1


def unlikeliness_in_solved_groups(recipe: StageSettings) -> Iterator[Mistake]:
    if recipe.train.unlikeliness is not None and not recipe.train.drops_silent_groups:
        text = (
            "without train.drop_silent_groups or refill, a group without incorrect answers still gets advantages, from"
            " the ranks alone, and its likely answers are penalised; write drop_silent_groups: true"
        )
        yield Mistake(place("train.unlikeliness"), text)


def silent_groups_that_would_teach(recipe: StageSettings) -> Iterator[Mistake]:
    train = recipe.train
    if ADVANTAGES[train.advantage].learns_from_equal_rewards and train.drops_silent_groups:
        text = (
            f"{train.advantage} learns from groups whose rewards are all equal; drop_silent_groups and refill leave"
            " them out; leave these two unset"
        )
        yield Mistake(place("train.advantage"), text)


def other_kernels_than_the_trainer(recipe: StageSettings) -> Iterator[Mistake]:
    by_vllm = recipe.rollout.engine == "vllm" if recipe.backend == "local" else recipe.verl.platform == "gpu"
    if recipe.kind == "rl" and by_vllm and recipe.model.dtype == "bfloat16" and not recipe.train.mismatch.is_on:
        text = (
            "vLLM computes bfloat16 in other kernels than the trainer, so the probabilities differ (see"
            " policy/rollout_gap); write tis to correct for it"
        )
        yield Mistake(place("train.mismatch"), text)


def advantage_without_effect(recipe: StageSettings) -> Iterator[Mistake]:
    train = recipe.train
    if LOSSES[train.loss].level == "group" and (train.credit != "none" or train.advantage != DEFAULT_ADVANTAGE):
        text = f"has no effect with loss: {train.loss}, which compares correct and incorrect responses itself"
        yield Mistake(place("train.advantage"), text)


def turns_share_the_limit_of_one(recipe: StageSettings) -> Iterator[Mistake]:
    rollout = recipe.rollout
    if recipe.kind == "rl" and rollout.environment.name != SINGLE_TURN and rollout.max_response_tokens is None:
        text = (
            f"not set, so all turns of {rollout.environment.name} together may take {rollout.max_new_tokens} tokens,"
            " the limit of one turn; set it where an episode has several turns"
        )
        yield Mistake(place("rollout.max_response_tokens"), text)


def learning_rate_of_whole_weights(recipe: StageSettings) -> Iterator[Mistake]:
    lr = recipe.optim.lr
    if KINDS[recipe.kind].trains and lr > HIGHEST_RATE:
        text = (
            f"AdamW moves each weight by about {lr:g} in each step, which is more than most weights are; usual are 1e-6"
            " to 1e-3"
        )
        yield Mistake(place("optim.lr"), text)


def critics_that_outweigh_the_verifier(recipe: StageSettings) -> Iterator[Mistake]:
    correctness = recipe.reward["correctness"].weight if "correctness" in recipe.reward else 0.0
    for name, part in recipe.reward.items():
        if part.critic is not None and abs(part.weight) >= correctness > 0:
            text = (
                f"a wrong response that the critic accepts could earn more than a right one; write less than the weight"
                f" of correctness ({correctness:g})"
            )
            yield Mistake(("reward", name, "weight"), text)


def unread_beside_another_baseline(recipe: StageSettings) -> Iterator[Mistake]:
    baseline = ADVANTAGES[recipe.train.advantage].baseline
    for name, part in recipe.reward.items():
        if recipe.kind == "rl" and part.critic is not None and part.critic.unread == "neutral" and baseline != "group":
            text = (
                f"neutral is the mean of the group, and {recipe.train.advantage} compares with another baseline"
                f" ({baseline}), so what was not read gains or loses by it; write unread: mask"
            )
            yield Mistake(("reward", name, "critic", "unread"), text)


ADVICE = (
    unread_beside_another_baseline,
    critics_that_outweigh_the_verifier,
    turns_share_the_limit_of_one,
    unlikeliness_in_solved_groups,
    silent_groups_that_would_teach,
    other_kernels_than_the_trainer,
    advantage_without_effect,
    learning_rate_of_whole_weights,
)
