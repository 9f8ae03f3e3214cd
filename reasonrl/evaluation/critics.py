"""What an evaluation of a critic says beside its accuracy: both recalls, what could be read, and what became of the
solutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from critics.leak import leaks
from critics.metrics import discrimination, process_bench, refinement_table
from critics.rewards import Target, label_of
from critics.types import CriticEpisode
from reasonrl.environments.base import Episode
from reasonrl.stats import clustered_mean


def critic_metrics(episodes: Sequence[Episode], per_problem: int, key: str, target: str = "answer") -> dict[str, float]:
    """Metrics whose names begin with `key`, such as eval/SET/greedy; {} where there are no critiques. Intervals are by
    problem.

    `target` is that of the critic: one that judges last steps has its recalls over these, and names no index.
    """
    made = [e.info["critic"] for e in episodes if isinstance(e.info.get("critic"), CriticEpisode)]
    if not made or len(made) != len(episodes):
        return {}
    found: dict[str, float] = {}
    judged: Target = "last_step" if target == "last_step" else "answer"
    labelled = [e for e in made if label_of(e, judged) is not None]
    if labelled:
        told = discrimination(labelled, judged)
        found |= {
            "parse_rate": told.parse_rate,
            "accuracy_of_parsed": told.accuracy_of_parsed,
            "correct_recall": told.correct_recall,
            "error_recall": told.error_recall,
            "false_alarm": told.false_alarm,
        }
    indexed = [e for e in made if e.solution.first_error is not None]
    if judged == "answer" and any(e.critique.first_error is not None for e in indexed):
        score = process_bench(
            [e.critique.first_error for e in indexed], [int(e.solution.first_error or 0) for e in indexed]
        )
        found |= {
            "first_error_accuracy": score.error_accuracy,
            "no_error_accuracy": score.correct_accuracy,
            "process_f1": score.f1,
        }
    # An actor that did not answer leaves nothing to measure: its solution has not stayed what it was, it is unknown.
    answered = [critic for e, critic in zip(episodes, made, strict=True) if "failure" not in e.info]
    if len(answered) < len(made):
        found["refine_failed"] = 1 - len(answered) / len(made)
    if any(e.refinements for e in answered):
        table = refinement_table(answered)
        found |= {
            "refine": table.accuracy,
            "refine_before": table.before,
            "refine_i2c": table.i2c,
            "refine_c2i": table.c2i,
        }
        found |= _refine_interval(episodes, per_problem)
        answers = [str(e.problem.reference.get("answer", "")) for e in answered]
        leaking = [leaks(e.critique.feedback, gold, e.solution.text) for e, gold in zip(answered, answers, strict=True)]
        found["leak_rate"] = sum(leaking) / len(leaking)
        honest = [e for e, leak in zip(answered, leaking, strict=True) if not leak]
        if honest:
            found["refine_without_leak"] = refinement_table(honest).accuracy
    return {f"{key}_{name}": value for name, value in found.items() if value == value}


def _refine_interval(episodes: Sequence[Episode], per_problem: int) -> dict[str, float]:
    rows: list[list[float]] = []
    for start in range(0, len(episodes), per_problem):
        worth = []
        for episode in [e.info["critic"] for e in episodes[start : start + per_problem] if "failure" not in e.info]:
            judged = [float(r.correct) for r in episode.refinements if r.correct is not None]
            if judged:
                worth.append(sum(judged) / len(judged))
            elif not episode.refinements and episode.solution.correct is not None:
                worth.append(float(episode.solution.correct))
        if worth:
            rows.append(worth)
    interval = clustered_mean(rows)
    return {"refine_low": interval.low, "refine_high": interval.high}
