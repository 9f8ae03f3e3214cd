"""Critique-GRPO in steps 3 and 4: wrong responses are refined, the refinements scored, and the best chosen (see
`reasonrl.environments.refined`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.environments.base import Episode
from reasonrl.environments.refined import choose_refinements, wrong_episodes
from reasonrl.rewards.scoring import score_episodes
from reasonrl.stages.context import StageContext


def refined_rows(
    context: StageContext, counts: Sequence[int], episodes: Sequence[Episode], seed: tuple[Any, ...]
) -> list[tuple[int, Episode]]:
    """(group, refinement) of the refinements that join the groups of these episodes; [] without `critique_grpo`.

    `counts[g]` is the number of episodes in group g; `episodes` are in the order of the groups.
    """
    spec, refiner = context.recipe.critique_grpo, context.refiner
    if spec is None or refiner is None:
        return []
    remaining = iter(episodes)
    groups = [[next(remaining) for _ in range(count)] for count in counts]
    wrong = wrong_episodes(groups, spec.trigger)
    refinements = refiner.refine(
        [episode for _, episode in wrong], context.engine, context.roles.engines, seed=(*seed, "refined")
    )
    refined = [
        (group, refinement) for (group, _), refinement in zip(wrong, refinements, strict=True) if refinement is not None
    ]
    score_episodes([episode for _, episode in refined], context.parts, on_timeout=context.recipe.train.on_timeout)
    return choose_refinements(refined, spec.refinements_kept)
