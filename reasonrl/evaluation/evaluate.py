"""Accuracy of a model on problems: greedy, and the mean over n samples (avg@n), each with its 95% interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from critics.verifier import CritiqueVerifier
from reasonrl.engines.base import BatchEngine, Sampling
from reasonrl.environments.base import Environment, Episode
from reasonrl.environments.rollouts import roll_out
from reasonrl.evaluation.critics import critic_metrics
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.critique import sample_fields
from reasonrl.rewards.scoring import judge
from reasonrl.stats import clustered_mean, pass_at_k, wilson
from reasonrl.update.samples import sample_row
from verifiers.types import Problem, Status


@dataclass(frozen=True)
class Evaluation:
    """`metrics` are named after the set: eval/SET/greedy, eval/SET/sampled, ...; `samples` are rows of
    samples.jsonl.
    """

    metrics: dict[str, float]
    samples: list[dict[str, Any]]


def evaluate(
    problems: Sequence[Problem],
    *,
    set_name: str,
    engine: BatchEngine,
    environment_for: Callable[[Sampling], Environment],
    parts: Sequence[RewardPart],
    sampling: Sampling,
    greedy: bool,
    samples_per_problem: int,
    seed: tuple[Any, ...],
    render: Callable[[Problem], str],
    step: int = 0,
    others: Mapping[str, BatchEngine] | None = None,
) -> Evaluation:
    """Evaluate on `problems`. `parts` judge the responses; accuracy is that of the part "correctness". An answer that
    could not be judged counts as wrong here, and its number is in the metrics.

    `environment_for` makes an environment for a Sampling; `seed` is a prefix such as (run seed, "eval"): the same seed
    draws the same noise at every step, so that before and after differ by the model alone.
    """
    metrics: dict[str, float] = {f"eval/{set_name}/problems": len(problems)}
    samples: list[dict[str, Any]] = []
    modes = [("greedy", 1, 0.0)] if greedy else []
    if samples_per_problem:
        modes.append(("sampled", samples_per_problem, sampling.temperature))
        metrics[f"eval/{set_name}/samples_per_problem"] = samples_per_problem
    target = next((part.verifier.target for part in parts if isinstance(part.verifier, CritiqueVerifier)), "answer")
    unread = {"unparsed": 0, "truncated": 0, "timeout": 0, "error": 0}
    for mode, count, temperature in modes:
        chosen = Sampling(sampling.max_new_tokens, temperature, sampling.top_p, sampling.top_k, sampling.stop)
        episodes = roll_out(
            environment_for(chosen),
            engine,
            problems,
            [count] * len(problems),
            seed=(*seed, set_name, mode),
            others=others,
        )
        judge(episodes, parts, step=step)
        correct = [
            [float(e.verdicts["correctness"].correct is True) for e in episodes[i * count : (i + 1) * count]]
            for i in range(len(problems))
        ]
        interval = wilson(int(sum(row[0] for row in correct)), len(correct)) if count == 1 else clustered_mean(correct)
        key = f"eval/{set_name}/{mode}"
        metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"] = interval.estimate, interval.low, interval.high
        if mode == "sampled" and count > 1:
            # count samples a problem allow pass@k for k up to count; k = count is "any of them"
            solved = [pass_at_k(count, int(sum(row)), count) for row in correct]
            metrics[f"eval/{set_name}/any_of_n"] = sum(solved) / len(solved)
        metrics |= critic_metrics(episodes, count, key, target)
        count_unread(episodes, unread)
        samples += [
            sample_row(
                e,
                kind="eval",
                step=step,
                mode=mode,
                prompt=render(e.problem),
                set_name=set_name,
                reward=e.reward_parts["correctness"],
                **sample_fields(e),
            )
            for e in episodes
        ]
    total = max(1, len(samples))
    metrics |= {f"eval/{set_name}/{name}": number / total for name, number in unread.items()}
    return Evaluation(metrics, samples)


def count_unread(episodes: Sequence[Episode], into: dict[str, int]) -> None:
    for episode in episodes:
        into["truncated"] += episode.own.finish_reason == "length"
        for status in (Status.UNPARSED, Status.TIMEOUT, Status.ERROR):
            into[status.value] += episode.verdicts["correctness"].status is status
