"""Steps 3 and 4 of an update, and all of an evaluation: play the episodes, then turn them into verdicts and rewards."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.engines.base import BatchEngine, derive_seed, run_episodes
from reasonrl.environments.base import Environment, Episode
from reasonrl.errors import TrainingError
from verifiers.types import Problem, Status, Verdict, Verifier

RewardFunction = Callable[[Sequence[str], Sequence[Problem]], Sequence[float | None]]
EpisodeReward = Callable[[Sequence[Episode], int], Sequence[float | None]]
"""(episodes, step) -> rewards; None masks an episode. It may add to `verdicts` and `info`."""


def roll_out(
    environment: Environment,
    engine: BatchEngine,
    problems: Sequence[Problem],
    counts: Sequence[int],
    *,
    seed: tuple[Any, ...],
    others: Mapping[str, BatchEngine] | None = None,
) -> list[Episode]:
    """`counts[i]` episodes of `problems[i]`, all in one batch, in order. The noise of each is a function of (seed, problem id, rollout).

    `others` are the engines of the roles that are not trained.

    A problem that is listed twice (a step that spans two passes over the data) goes on counting its rollouts, or both would be the same.
    """
    plays = []
    begun: Counter[str] = Counter()
    for problem, count in zip(problems, counts, strict=True):
        for _ in range(count):
            rollout = begun[problem.id]
            begun[problem.id] += 1
            plays.append(functools.partial(_play, environment, problem, rollout, derive_seed(*seed, problem.id, rollout)))
    return run_episodes(plays, engine, others) if plays else []


async def _play(environment: Environment, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
    return await environment.episode(problem, rollout, seed, engine)


@dataclass(frozen=True)
class RewardPart:
    """One term of the reward: a verifier's score, a function of the user's, or a function of whole episodes."""

    name: str
    weight: float
    verifier: Verifier | None = None
    function: RewardFunction | None = None
    episodes: EpisodeReward | None = None
    """For rewards that look at more than a response: refinements, an opponent, the step of the run."""


def judge(episodes: Sequence[Episode], parts: Sequence[RewardPart], *, on_timeout: str = "mask", step: int = 0) -> None:
    """Fill in verdicts and reward parts of all episodes, one batch for each part, so that the worker pools are kept busy.

    A verdict that is not a judgement gives the part the value None, which masks the episode: it is never a silent zero. A recipe that says
    `on_timeout: wrong` counts running out of time as the model's fault.

    Raises TrainingError when a verifier or a reward function breaks its contract.
    """
    texts = [episode.text for episode in episodes]
    for part in parts:
        if part.verifier is not None:
            open_rows = [i for i, episode in enumerate(episodes) if part.name not in episode.verdicts]
            made = part.verifier.verify([texts[i] for i in open_rows], [episodes[i].problem.reference for i in open_rows])
            if len(made) != len(open_rows):
                raise TrainingError(f"the verifier of reward.{part.name} returned {len(made)} verdicts for {len(open_rows)} responses")
            for i, verdict in zip(open_rows, made, strict=True):
                episodes[i].verdicts[part.name] = verdict
            for episode in episodes:
                episode.verdicts[part.name] = settled(episode.verdicts[part.name], on_timeout)
                episode.reward_parts[part.name] = episode.verdicts[part.name].score
        elif part.function is not None or part.episodes is not None:
            if part.function is not None:
                values = part.function(texts, [episode.problem for episode in episodes])
            else:
                assert part.episodes is not None
                values = part.episodes(episodes, step)
            if len(values) != len(episodes):
                raise TrainingError(f"the function of reward.{part.name} returned {len(values)} values for {len(episodes)} responses")
            for episode, value in zip(episodes, values, strict=True):
                episode.reward_parts[part.name] = None if value is None else _finite(value, part.name, episode.problem.id)


def _finite(value: Any, part: str, problem: str) -> float:
    """A number of the user's function. NaN would pass unseen into the baseline of its whole group."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TrainingError(
            f"the function of reward.{part} returned {value!r} for problem {problem}: write a finite number, or None (not judged)"
        )
    return number


def settled(verdict: Verdict, on_timeout: str) -> Verdict:
    """The verdict as the recipe reads it: with `on_timeout: wrong` a time-out is a wrong answer, for rewards, rates and accuracy alike."""
    if verdict.status is Status.TIMEOUT and on_timeout == "wrong":
        return dataclasses.replace(verdict, correct=False, score=0.0)
    return verdict


def total_reward(episode: Episode, parts: Sequence[RewardPart]) -> float | None:
    """The weighted sum of the parts; None as soon as one part with a weight could not be judged."""
    total = 0.0
    for part in parts:
        value = episode.reward_parts[part.name]
        if value is None and part.weight != 0:
            return None
        total += part.weight * (value or 0.0)
    return total


def sample_row(
    episode: Episode, *, kind: str, step: int, mode: str, prompt: str, set_name: str | None = None, **more: Any
) -> dict[str, Any]:
    """What samples.jsonl keeps of an episode: enough to read it, to judge it again, and to compute its advantage again."""
    last = episode.own
    return {
        "kind": kind,
        "step": step,
        "set": set_name,
        "mode": mode,
        "problem_id": episode.problem.id,
        "rollout": episode.rollout,
        "prompt": prompt,
        "response": episode.text,
        "finish_reason": last.finish_reason,
        "response_tokens": len(last.response_ids),
        **({"others": _others(episode)} if len(episode.trajectories) > 1 else {}),
        "reward_parts": episode.reward_parts,
        "verdicts": {name: verdict.to_dict() for name, verdict in episode.verdicts.items()},
        "reference": episode.problem.reference,
        **more,
    }


def _others(episode: Episode) -> list[dict[str, Any]]:
    """What the roles said that are not trained."""
    return [{"role": t.role, "text": t.text, "finish_reason": t.finish_reason} for t in episode.trajectories if t is not episode.own]
