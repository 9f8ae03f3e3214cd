"""What a reward function gets: copies, so that what it changes alters no gold answer, no token and no verdict."""

from __future__ import annotations

import dataclasses

from critics.types import CriticEpisode
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.user_code.guards import detached, detached_problem


def detached_episode(episode: Episode) -> Episode:
    """A copy to look at. `info` and `sample_fields` stay shared: they are the user's to write."""
    return dataclasses.replace(
        episode,
        problem=detached_problem(episode.problem),
        trajectories=[_detached_trajectory(trajectory) for trajectory in episode.trajectories],
        verdicts=dict(episode.verdicts),
        reward_parts=dict(episode.reward_parts),
        critique=None if episode.critique is None else detached_critique(episode.critique),
    )


def detached_critique(critique: CriticEpisode) -> CriticEpisode:
    return dataclasses.replace(
        critique,
        problem=detached_problem(critique.problem),
        refinements=list(critique.refinements),
        opponent=detached(critique.opponent),
        info=detached(critique.info),
    )


def _detached_trajectory(trajectory: Trajectory) -> Trajectory:
    return dataclasses.replace(
        trajectory,
        prompt_ids=list(trajectory.prompt_ids),
        response_ids=list(trajectory.response_ids),
        loss_mask=list(trajectory.loss_mask),
        logprobs=list(trajectory.logprobs),
    )
