"""The result of a run in words: held-out accuracy before and after, with 95% intervals and the number of problems."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrl import stats
from reasonrl.runs.reading import Row, Run, eval_sets, series

MODES = {"greedy": "greedy decoding", "sampled": "sampling"}


@dataclass(frozen=True, slots=True)
class Change:
    """One evaluation set in one mode, at its first and last evaluation. `difference` is paired over the same problems,
    if the samples of both evaluations are on disk; `before` is None when there was only one evaluation.
    """

    set: str
    mode: str
    first_step: int
    last_step: int
    before: stats.Interval | None
    after: stats.Interval
    samples_per_problem: int
    difference: stats.PairedDifference | None

    @property
    def points(self) -> stats.Interval | None:
        """The difference and its interval, in [-1, 1]."""
        return self.difference.normal if self.difference else None

    @property
    def direction(self) -> str:
        """ "rose", "fell", "did not measurably change", or "was" with a single evaluation."""
        if self.before is None:
            return "was"
        low, high = (
            (self.points.low, self.points.high)
            if self.points
            else (self.after.low - self.before.high, self.after.high - self.before.low)
        )
        return "rose" if low > 0 else "fell" if high < 0 else "did not measurably change"

    def sentence(self) -> str:
        """One plain sentence."""
        how = MODES.get(self.mode, self.mode) + (
            f", {self.samples_per_problem} samples a problem" if self.samples_per_problem > 1 else ""
        )
        subject = f"Held-out accuracy ({self.set}, {how})"
        if self.before is None:
            return f"{subject} was {interval_text(self.after)} at step {self.last_step}."
        before, after = (
            interval_text(self.before, with_n=False),
            f"{interval_text(self.after)} at step {self.last_step}",
        )
        if self.direction in ("rose", "fell"):
            text = f"{subject} {self.direction} from {before} at step {self.first_step} to {after}"
        else:
            text = f"{subject} {self.direction}: {before} at step {self.first_step}, {after}"
        if self.points is not None:
            text += f"; that is {points_text(self.points)} on the same problems"
        return text + "."


def changes(run: Run) -> list[Change]:
    """Before and after for every evaluation set and mode of the run, in order of appearance, greedy first."""
    rows = run.metrics("eval")
    found = []
    for name in eval_sets(rows):
        for mode in MODES:
            points = series(rows, f"eval/{name}/{mode}")
            if not points:
                continue
            first, last = points[0][0], points[-1][0]
            row_at = {int(row["step"]): row for row in rows if f"eval/{name}/{mode}" in row}
            after = _interval(row_at[last], name, mode)
            samples = int(row_at[last].get(f"eval/{name}/samples_per_problem") or 1) if mode == "sampled" else 1
            if first == last:
                found.append(Change(name, mode, first, last, None, after, samples, None))
                continue
            difference = _paired(run.eval_scores(first, name, mode), run.eval_scores(last, name, mode))
            found.append(
                Change(name, mode, first, last, _interval(row_at[first], name, mode), after, samples, difference)
            )
    return found


def interval_text(interval: stats.Interval, with_n: bool = True) -> str:
    """`45.0% (95% CI 35.6 to 54.8%, n = 100)`."""
    n = f", n = {interval.n}" if with_n and interval.n else ""
    return f"{100 * interval.estimate:.1f}% (95% CI {100 * interval.low:.1f} to {100 * interval.high:.1f}%{n})"


def points_text(interval: stats.Interval) -> str:
    """`+26.0 points (95% CI +16.8 to +35.2)`."""
    return f"{100 * interval.estimate:+.1f} points (95% CI {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _interval(row: Row, name: str, mode: str) -> stats.Interval:
    base, n = f"eval/{name}/{mode}", int(row.get(f"eval/{name}/problems") or 0)
    value = float(row[base])
    low, high = row.get(f"{base}_low"), row.get(f"{base}_high")
    if low is None or high is None:
        # Without the samples' spread, one answer a problem is the careful assumption; without n nothing is known but
        # the range.
        return stats.wilson(value * n, n) if n else stats.Interval(value, 0.0, 1.0, 0)
    return stats.Interval(value, float(low), float(high), n)


def _paired(before: dict[str, list[float]], after: dict[str, list[float]]) -> stats.PairedDifference | None:
    both = [problem for problem in before if problem in after]
    if not both:
        return None
    return stats.paired_difference([before[problem] for problem in both], [after[problem] for problem in both], seed=0)
