"""The result of a run in words: held-out accuracy before and after, with 95% intervals and the number of problems."""

from __future__ import annotations

from dataclasses import dataclass

from reasonrl import stats
from reasonrl.runs.accuracy import MODES, Accuracy, accuracy_in_row, judged_scores
from reasonrl.runs.reading import Run, eval_sets


@dataclass(frozen=True, slots=True)
class Change:
    """One evaluation set in one mode, at the first and the last evaluation in which some answer could be judged.

    `difference` is paired over the problems that were judged both times, if the samples of both evaluations are on
    disk; `before` is None when there was only one evaluation. `steps_unjudged` are evaluations without any judged
    answer.
    """

    set: str
    mode: str
    first_step: int
    last_step: int
    before: stats.Interval | None
    after: stats.Interval
    samples_per_problem: int
    difference: stats.PairedDifference | None
    all_before: Accuracy | None
    """With the counts of unjudged answers and the bound; None with `before`."""
    all_after: Accuracy
    steps_unjudged: tuple[int, ...] = ()

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

    def unjudged_notes(self) -> list[str]:
        """What could not be judged, one note an evaluation; empty where everything could be."""
        measured = [(self.first_step, self.all_before), (self.last_step, self.all_after)]
        notes = [f"step {step}: {a.unjudged_text()}" for step, a in measured if a is not None and a.unjudged]
        return notes + [f"step {step}: no answer could be judged" for step in self.steps_unjudged]

    def sentence(self) -> str:
        """One plain sentence, and a second one where answers could not be judged."""
        sampling = MODES.get(self.mode, self.mode) + (
            f", {self.samples_per_problem} samples a problem" if self.samples_per_problem > 1 else ""
        )
        subject = f"Held-out accuracy ({self.set}, {sampling})"
        notes = self.unjudged_notes()
        unjudged = f" Answers that could not be judged are left out ({'; '.join(notes)})." if notes else ""
        if self.before is None:
            return f"{subject} was {interval_text(self.after)} at step {self.last_step}.{unjudged}"
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
        return f"{text}.{unjudged}"


def changes(run: Run) -> list[Change]:
    """Before and after for every evaluation set and mode of the run, in order of appearance, greedy first. A set of
    which no answer was ever judged is left out.
    """
    rows = run.metrics("eval")
    results = []
    for name in eval_sets(rows):
        for mode in MODES:
            read = [(row, accuracy_in_row(row, name, mode)) for row in rows]
            evaluations = [(int(row["step"]), row, accuracy) for row, accuracy in read if accuracy is not None]
            judged = [item for item in evaluations if item[2].interval is not None]
            if not judged:
                continue
            (first, _, all_before), (last, row, all_after) = judged[0], judged[-1]
            assert all_before.interval is not None and all_after.interval is not None
            again = first != last
            results.append(
                Change(
                    set=name,
                    mode=mode,
                    first_step=first,
                    last_step=last,
                    before=all_before.interval if again else None,
                    after=all_after.interval,
                    samples_per_problem=int(row.get(f"eval/{name}/samples_per_problem") or 1)
                    if mode == "sampled"
                    else 1,
                    difference=_paired(run, name, mode, (first, last)) if again else None,
                    all_before=all_before if again else None,
                    all_after=all_after,
                    steps_unjudged=tuple(step for step, _, accuracy in evaluations if accuracy.interval is None),
                )
            )
    return results


def interval_text(interval: stats.Interval, with_n: bool = True) -> str:
    """`45.0% (95% CI 35.6 to 54.8%, n = 100)`."""
    n = f", n = {interval.n}" if with_n and interval.n else ""
    return f"{100 * interval.estimate:.1f}% (95% CI {100 * interval.low:.1f} to {100 * interval.high:.1f}%{n})"


def points_text(interval: stats.Interval) -> str:
    """`+26.0 points (95% CI +16.8 to +35.2)`."""
    return f"{100 * interval.estimate:+.1f} points (95% CI {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _paired(run: Run, set_name: str, mode: str, steps: tuple[int, int]) -> stats.PairedDifference | None:
    """Over the problems with a judged answer at both steps; None where samples.jsonl has none of them."""
    before, after = (run.eval_outcomes(step, set_name, mode) for step in steps)
    scores = [judged_scores([before[problem], after[problem]]) for problem in before if problem in after]
    pairs = [pair for pair in scores if len(pair) == 2]
    if not pairs:
        return None
    return stats.paired_difference([pair[0] for pair in pairs], [pair[1] for pair in pairs], seed=0)
