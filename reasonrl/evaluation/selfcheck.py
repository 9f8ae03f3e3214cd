"""Is this set-up right? What was measured beside what others have reported for the same model and benchmark.

A gap says that something differs from the report, not that the model does. What usually explains it is listed with the
facts of this evaluation that speak for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from reasonrl.evaluation.benchmarks.base import Benchmark, Reported
from reasonrl.evaluation.results import BenchmarkResult

_MANY_CUT, _MANY_UNREAD = 0.02, 0.05


@dataclass(frozen=True, slots=True)
class Check:
    """One reported score beside the measured one."""

    benchmark: str
    reported: Reported
    result: BenchmarkResult

    @property
    def is_covered(self) -> bool:
        """Whether the measured interval, widened by the reported spread, holds the reported score."""
        interval = self.result.accuracy.interval
        if interval is None:
            return False
        spread = self.reported.spread or 0.0
        return 100 * interval.low - spread <= self.reported.score <= 100 * interval.high + spread

    def text(self) -> str:
        """One or a few lines for a person."""
        interval = self.result.accuracy.interval
        measured = "nothing could be judged"
        if interval is not None:
            measured = f"measured {100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}]"
        spread = f" +- {self.reported.spread:g}" if self.reported.spread is not None else ""
        reported = f"reported {self.reported.score:g}{spread} ({self.reported.settings}; {self.reported.source})"
        line = f"{self.benchmark}: {measured}, {reported}: {'agrees' if self.is_covered else 'DIFFERS'}"
        return line if self.is_covered else "\n".join([line, *(f"  {reason}" for reason in self.reasons())])

    def reasons(self) -> list[str]:
        """What usually explains a gap, the likeliest by the figures first."""
        result, reasons = self.result, []
        if result.truncated > _MANY_CUT:
            reasons.append(f"{result.truncated:.0%} of the answers were cut off: raise --max-new-tokens")
        if result.unparsed > _MANY_UNREAD:
            reasons.append(
                f"{result.unparsed:.0%} could not be read: another prompt or chat template than the report's?"
            )
        reasons.append(
            f"the report has: {self.reported.settings}. Compare --prompt, --n, --temperature, --max-new-tokens"
        )
        if result.problems < 100:
            reasons.append(
                f"{result.problems} problems say little: the interval leaves out what other seeds would give"
            )
        return reasons


def checks_of(model: str, benchmarks: Sequence[Benchmark], results: Sequence[BenchmarkResult]) -> list[Check]:
    """Of every score that is reported for a model of this name; [] where none is."""
    name = PurePosixPath(model).name.lower()
    by_name = {result.name: result for result in results}
    return [
        Check(benchmark.name, reported, by_name[benchmark.name])
        for benchmark in benchmarks
        for reported in benchmark.reported
        if reported.model.lower() == name and benchmark.name in by_name
    ]


def known_models(benchmarks: Sequence[Benchmark]) -> list[str]:
    """Models with a reported score on one of these benchmarks."""
    return list(dict.fromkeys(reported.model for benchmark in benchmarks for reported in benchmark.reported))
