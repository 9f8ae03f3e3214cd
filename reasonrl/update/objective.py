"""The objective that a recipe trains with, for both trainers."""

from __future__ import annotations

from reasonrl.algorithms.losses.objective import Objective
from reasonrl.algorithms.mismatch import Correction
from reasonrl.recipe.schema import Recipe


def objective_of(recipe: Recipe) -> Objective:
    """Loss, KL term, entropy bonus and corrections of the section `train`."""
    train, mismatch = recipe.train, recipe.train.mismatch
    refinement = {} if recipe.critique_grpo is None else {"refinement_gamma": recipe.critique_grpo.gamma}
    return Objective(
        loss=train.loss,
        clip_low=train.clip_low,
        clip_high=train.clip_high,
        dual_clip=train.dual_clip,
        mirror_beta=train.mirror_beta,
        kl_coefficient=0.0 if train.kl.in_reward else train.kl.coefficient,
        kl_estimator=train.kl.estimator,
        entropy_coefficient=train.entropy_coefficient,
        correction=Correction(mismatch.name, mismatch.cap, mismatch.low, mismatch.high, mismatch.reject_above),
        **refinement,
    )
