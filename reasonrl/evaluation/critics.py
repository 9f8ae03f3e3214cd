"""What an evaluation of a critic measures besides its accuracy: both recalls, the share that could be read, and the
effect on the solutions.
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
    critiques = [episode.critique for episode in episodes if episode.critique is not None]
    if not critiques or len(critiques) != len(episodes):
        return {}
    figures: dict[str, float] = {}
    judged: Target = "last_step" if target == "last_step" else "answer"
    labelled = [critique for critique in critiques if label_of(critique, judged) is not None]
    if labelled:
        counts = discrimination(labelled, judged)
        figures |= {
            "parse_rate": counts.parse_rate,
            "accuracy_of_parsed": counts.accuracy_of_parsed,
            "correct_recall": counts.correct_recall,
            "error_recall": counts.error_recall,
            "false_alarm": counts.false_alarm,
        }
    indexed = [critique for critique in critiques if critique.solution.first_error is not None]
    if judged == "answer" and any(critique.critique.first_error is not None for critique in indexed):
        score = process_bench(
            [critique.critique.first_error for critique in indexed],
            [int(critique.solution.first_error or 0) for critique in indexed],
        )
        figures |= {
            "first_error_accuracy": score.error_accuracy,
            "no_error_accuracy": score.correct_accuracy,
            "process_f1": score.f1,
        }
    figures |= _refinement_figures(episodes, critiques, per_problem)
    return {f"{key}_{name}": value for name, value in figures.items() if value == value}


def _refinement_figures(
    episodes: Sequence[Episode], critiques: Sequence[CriticEpisode], per_problem: int
) -> dict[str, float]:
    """The effect on the solutions; {} without refinement. If the actor did not answer, the outcome is unknown: the
    solution does not count as unchanged.
    """
    answered = [critique for e, critique in zip(episodes, critiques, strict=True) if e.failure is None]
    refined = any(critique.refinements for critique in answered)
    if not refined and len(answered) == len(critiques):
        return {}
    figures = {"refine_failed": 1 - len(answered) / len(critiques)}
    if not refined:
        return figures
    table = refinement_table(answered)
    figures |= {
        "refine": table.accuracy,
        "refine_before": table.before,
        "refine_i2c": table.i2c,
        "refine_c2i": table.c2i,
    }
    figures |= _refine_interval(episodes, per_problem)
    answers = [str(critique.problem.reference.get("answer", "")) for critique in answered]
    leaking = [
        leaks(critique.critique.feedback, answer, critique.solution.text)
        for critique, answer in zip(answered, answers, strict=True)
    ]
    figures["leak_rate"] = sum(leaking) / len(leaking)
    honest = [critique for critique, leak in zip(answered, leaking, strict=True) if not leak]
    if honest:
        figures["refine_without_leak"] = refinement_table(honest).accuracy
    return figures


def _refine_interval(episodes: Sequence[Episode], per_problem: int) -> dict[str, float]:
    """Clustered by problem, over the refinements that could be judged; {} where none could."""
    groups: list[list[float]] = []
    for start in range(0, len(episodes), per_problem):
        shares = []
        for episode in episodes[start : start + per_problem]:
            critique = episode.critique
            if episode.failure is not None or critique is None:
                continue
            judged = [float(r.correct) for r in critique.refinements if r.correct is not None]
            if judged:
                shares.append(sum(judged) / len(judged))
            elif not critique.refinements and critique.solution.correct is not None:
                shares.append(float(critique.solution.correct))
        if shares:
            groups.append(shares)
    if not groups:
        return {}
    interval = clustered_mean(groups)
    return {"refine_low": interval.low, "refine_high": interval.high}
