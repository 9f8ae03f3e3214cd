"""Critique-GRPO in step 3 and 4: refinements of wrong responses, written, judged and chosen (see
`reasonrl.environments.refined`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.environments.base import Episode
from reasonrl.environments.refined import kept, to_refine
from reasonrl.rewards.scoring import judge
from reasonrl.stages.context import StageContext


def refined_rows(
    context: StageContext, counts: Sequence[int], episodes: Sequence[Episode], seed: tuple[Any, ...]
) -> list[tuple[int, Episode]]:
    """(group, refinement) that join the groups of these episodes, `counts[g]` of each; [] where the recipe does not ask
    for them.
    """
    spec, refiner = context.recipe.critique_grpo, context.refiner
    if spec is None or refiner is None:
        return []
    rows = iter(episodes)
    wrong = to_refine([[next(rows) for _ in range(count)] for count in counts], spec.trigger)
    made = refiner.refine(
        [episode for _, episode in wrong], context.engine, context.other_engines, seed=(*seed, "refined")
    )
    refined = [(place, episode) for (place, _), episode in zip(wrong, made, strict=True) if episode is not None]
    judge([episode for _, episode in refined], context.parts, on_timeout=context.recipe.train.on_timeout)
    return kept(refined, spec.refinements_kept)
