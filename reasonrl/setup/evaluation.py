"""The evaluation of a recipe: the same before, during and after training, on both backends and in `reasonrl eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl.engines.base import BatchEngine
from reasonrl.environments.roles import Speaker
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.evaluation.evaluate import Evaluator
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.setup.environments import environment_maker, eval_sampling


def evaluator_for(
    recipe: Recipe,
    engine: BatchEngine,
    tokenizer: Any,
    parts: Sequence[RewardPart],
    *,
    actor: Speaker | None = None,
    other_engines: Mapping[str, BatchEngine] | None = None,
) -> Evaluator:
    """How the held-out sets of `recipe` are evaluated.

    Args:
        parts: all of the reward; a critic is judged by all of them, a policy by its correctness alone.
        actor: refines by the critiques of a critic.
        other_engines: of the roles that are not evaluated, by role.
    """
    return Evaluator(
        engine=engine,
        environment_for=environment_maker(recipe, tokenizer, actor, evaluating=True),
        parts=parts if recipe.critic is not None else parts[:1],
        sampling=eval_sampling(recipe),
        greedy=recipe.evaluation.greedy,
        samples_per_problem=recipe.evaluation.samples_per_problem,
        seed=(recipe.seed, "eval"),
        render=lambda problem: render_prompt_text(tokenizer, problem),
        other_engines=other_engines,
    )
