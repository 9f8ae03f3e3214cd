"""Accuracy when some answers could not be judged.

One convention for `eval`, `compare`, the report and the curves. An answer that could not be judged (time-out, broken
verifier) is neither right nor wrong:

    accuracy = right / judged     it is left out of numerator and denominator, with the 95% interval of what is left,
    unjudged                      counted beside the accuracy,
    bound    = right / answers    and shown as a bound: the accuracy if all unjudged answers were wrong.

An answer that was judged but could not be read (`unparsed`) is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl import stats

MODES = {"greedy": "greedy decoding", "sampled": "sampling"}
"""How the answers of an evaluation are drawn: name in metrics and samples, name in sentences."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What one evaluation set scored in one mode. Shares are in [0, 1]."""

    interval: stats.Interval | None
    """right / judged with its 95% interval; `n` counts the problems with a judged answer. None: nothing was judged."""
    answers: int
    """All answers, judged or not."""
    unjudged: int
    if_unjudged_wrong: float
    """right / answers; equal to `interval.estimate` where everything was judged."""

    def metrics(self, key: str) -> dict[str, float]:
        """The entries of a metrics row whose names begin with `key`, such as eval/SET/greedy. Without a judged answer
        there is no accuracy among them.
        """
        measured = {} if self.interval is None else {
            key: self.interval.estimate, f"{key}_low": self.interval.low, f"{key}_high": self.interval.high,
        }  # fmt: skip
        return measured | {
            f"{key}_n": 0 if self.interval is None else self.interval.n,
            f"{key}_unjudged": self.unjudged,
            f"{key}_if_unjudged_wrong": self.if_unjudged_wrong,
        }

    def unjudged_text(self) -> str:
        """`3 of 40 answers not judged, 42.5% if all of these were wrong`; empty where everything was judged."""
        if not self.unjudged:
            return ""
        counts = f"{self.unjudged:,} of {self.answers:,} answers not judged"
        return f"{counts}, {100 * self.if_unjudged_wrong:.1f}% if all of these were wrong"


def accuracy_of(outcomes: Sequence[Sequence[bool | None]]) -> Accuracy:
    """Accuracy over the answers of each problem: True right, False wrong, None not judged. [P][samples]

    Problems without a judged answer are left out. With one answer a problem the interval is Wilson's, with several it
    is clustered by problem.

    Raises:
        ValueError: there is no answer at all.
    """
    answers = sum(map(len, outcomes))
    if not answers:
        raise ValueError("an accuracy needs at least one answer")
    scores = judged_scores(outcomes)
    correct = int(sum(map(sum, scores)))
    interval = None
    if scores and max(map(len, outcomes)) == 1:
        interval = stats.wilson(correct, len(scores))
    elif scores:
        interval = stats.clustered_mean(scores)
    return Accuracy(interval, answers, answers - sum(map(len, scores)), correct / answers)


def judged_scores(outcomes: Sequence[Sequence[bool | None]]) -> list[list[float]]:
    """1.0 and 0.0 of the judged answers of each problem, without the problems that have none."""
    scores = [[float(correct) for correct in group if correct is not None] for group in outcomes]
    return [group for group in scores if group]


def accuracy_in_row(row: Mapping[str, Any], set_name: str, mode: str) -> Accuracy | None:
    """The accuracy that an "eval" row of metrics.jsonl holds for a set and a mode; None where it holds none.

    Rows of older runs have no counts of unjudged answers: these are taken as 0.
    """
    key = f"eval/{set_name}/{mode}"
    estimate = row.get(key)
    measured = isinstance(estimate, int | float) and math.isfinite(estimate)
    if not measured and not row.get(f"{key}_unjudged"):
        return None
    problems = int(row.get(f"eval/{set_name}/problems") or 0)
    samples = int(row.get(f"eval/{set_name}/samples_per_problem") or 1) if mode == "sampled" else 1
    unjudged = int(row.get(f"{key}_unjudged") or 0)
    interval = _interval_in_row(row, key, problems) if measured else None
    bound = row.get(f"{key}_if_unjudged_wrong")
    if bound is None:
        bound = 0.0 if interval is None else interval.estimate
    return Accuracy(interval, max(problems * samples, unjudged), unjudged, float(bound))


def _interval_in_row(row: Mapping[str, Any], key: str, problems: int) -> stats.Interval:
    counted = row.get(f"{key}_n")
    n = problems if counted is None else int(counted)
    estimate, low, high = float(row[key]), row.get(f"{key}_low"), row.get(f"{key}_high")
    if low is not None and high is not None:
        return stats.Interval(estimate, float(low), float(high), n)
    # One answer a problem is the careful assumption; without the number of problems only the range is known.
    return stats.wilson(estimate * n, n) if n else stats.Interval(estimate, 0.0, 1.0, 0)
