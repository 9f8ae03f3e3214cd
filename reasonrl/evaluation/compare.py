"""`reasonrl compare A B`: is B better than A, on the same problems?

Each side is a folder of `reasonrl eval` (results.json and samples.jsonl), its results.json, or a run folder, of which
the last evaluation is taken. Problems are paired by id, greedy and sampled answers apart. Answers that could not be
judged (time-out, verifier error) are left out, counted, and shown as bounds (`reasonrl.runs.accuracy`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reasonrl import stats
from reasonrl.errors import UsageError
from reasonrl.runs.accuracy import MODES, Accuracy, accuracy_of
from reasonrl.runs.samples import SampleIndex, SampleKey, refuse_torn

if TYPE_CHECKING:
    from rich.console import Console

SEED = 0


class Flip(NamedTuple):
    """A problem whose share of right answers differs. Shares are over its judged answers."""

    problem_id: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class PairedResult:
    """One evaluation set in one mode.

    `a`, `b` and `difference` are over the judged answers to the problems that have one on both sides. `only_a` and
    `only_b` are problems that one side alone holds, `unjudged` shared ones without a judged answer on both sides.
    """

    set: str
    mode: str
    a: stats.Interval
    b: stats.Interval
    all_a: Accuracy
    """Over all problems that both sides hold: with the count of A's unjudged answers and A's bound."""
    all_b: Accuracy
    difference: stats.PairedDifference
    difference_bounds: tuple[float, float]
    """B - A over all shared problems: if B's unjudged answers were wrong and A's right, and the other way round."""
    flips: tuple[Flip, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    unjudged: tuple[str, ...]

    @property
    def wins(self) -> int:
        return self.difference.wins

    @property
    def losses(self) -> int:
        return self.difference.losses

    @property
    def ties(self) -> int:
        return self.difference.ties

    @property
    def verdict(self) -> str:
        """ "better", "worse" or "no measurable difference": whether the 95% interval of b - a leaves out 0."""
        interval = self.difference.normal
        return "better" if interval.low > 0 else "worse" if interval.high < 0 else "no measurable difference"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that A and B can be compared on. `a` and `b` are the paths as given."""

    a: str
    b: str
    results: tuple[PairedResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, for `--json`."""
        return {"a": self.a, "b": self.b, "results": [_plain(result) for result in self.results]}


class EvaluationSet(NamedTuple):
    """The samples of one evaluation set in one mode, by problem id."""

    outcomes: dict[str, list[bool | None]]
    """Right, wrong, or None where an answer could not be judged."""
    references: dict[str, str]
    """As text."""


def compare(a: str | Path, b: str | Path) -> Comparison:
    """Compare two results on the problems that both hold.

    Sets are paired by name; when both sides hold one set each, these two are paired whatever their names.

    Raises:
        UsageError: a side holds no evaluation, nothing can be paired, the two share no problem, or an id has different
        references.
    """
    sides = [_load(Path(a)), _load(Path(b))]
    names_a, names_b = ({name for name, _ in side} for side in sides)
    pairs = [(name, name) for name in sorted(names_a & names_b)]
    if not pairs and len(names_a) == len(names_b) == 1:
        pairs = [(next(iter(names_a)), next(iter(names_b)))]
    facts = [_benchmarks(Path(side)) for side in (a, b)]
    for name_a, name_b in pairs:
        refuse_other_questions(name_a, facts[0].get(name_a), facts[1].get(name_b), (str(a), str(b)))
    results = []
    for name_a, name_b in pairs:
        for mode in MODES:
            left, right = sides[0].get((name_a, mode)), sides[1].get((name_b, mode))
            if left and right:
                name = name_a if name_a == name_b else f"{name_a} | {name_b}"
                results.append(paired(name, mode, left, right, (str(a), str(b))))
    if not results:
        raise UsageError(
            f"nothing to compare: {a} has {_listing(sides[0])}, but {b} has {_listing(sides[1])}. Evaluate both on the"
            " same set."
        )
    return Comparison(str(a), str(b), tuple(results))


def compare_all(baseline: str | Path, others: Sequence[str | Path]) -> list[Comparison]:
    """Each of the others against the baseline. Raises as `compare`."""
    return [compare(baseline, other) for other in others]


def adjusted_p_values(comparisons: Sequence[Comparison]) -> list[float]:
    """Holm's, over all sets and modes of all comparisons, in their order."""
    return stats.holm([result.difference.p_value for comparison in comparisons for result in comparison.results])


def print_summary(comparisons: Sequence[Comparison], console: Console | None = None) -> None:
    """One line for each run and set, with p-values for all of them together."""
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    console = console or RichConsole()
    table = Table(
        title=Text(f"against {comparisons[0].a}; p-values are Holm's, for all rows together"), title_justify="left"
    )
    for column in ("run", "set", "problems", "B - A, points", "95% interval", "p"):
        table.add_column(column, justify="left" if column in ("run", "set") else "right")
    adjusted = iter(adjusted_p_values(comparisons))
    for comparison in comparisons:
        for result in comparison.results:
            move = result.difference.normal
            table.add_row(
                Text(comparison.b),
                Text(f"{result.set}, {result.mode}"),
                f"{result.a.n:,}",
                f"{100 * move.estimate:+.1f}",
                f"{100 * move.low:+.1f} to {100 * move.high:+.1f}",
                f"{next(adjusted):.3g}",
            )
    console.print(table)


def print_comparison(comparison: Comparison, console: Console | None = None, show: int = 10) -> None:
    """Print one table per result, and below it the problems that flipped (at most `show`)."""
    from rich.console import Console as RichConsole
    from rich.table import Table
    from rich.text import Text

    console = console or RichConsole()
    console.print(Text(f"A  {comparison.a}\nB  {comparison.b}"))
    for result in comparison.results:
        table = Table(title=Text(f"{result.set}, {result.mode}, {result.a.n} problems"), title_justify="left")
        for column in ("", "estimate", "95% interval"):
            table.add_column(column, justify="left" if not column else "right")
        for label, interval in (("A", result.a), ("B", result.b)):
            table.add_row(
                label, f"{100 * interval.estimate:.1f}%", f"{100 * interval.low:.1f} to {100 * interval.high:.1f}%"
            )
        for label, interval in (
            ("B - A, points", result.difference.normal),
            ("the same, bootstrap", result.difference.bootstrap),
        ):
            table.add_row(
                label, f"{100 * interval.estimate:+.1f}", f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
            )
        console.print()
        console.print(table)
        test = "McNemar's exact" if result.difference.is_mcnemar else "Sign-flip"
        p = f" {test} p = {result.difference.p_value:.3g}."
        verdict = {"better": "B is better", "worse": "B is worse"}.get(result.verdict, "No measurable difference")
        console.print(
            Text(
                f"{verdict}: higher on {result.wins} problems, lower on {result.losses}, the same on {result.ties}.{p}"
            )
        )
        lacking = (
            ("that only A holds", result.only_a),
            ("that only B holds", result.only_b),
            ("without a judged answer on both sides", result.unjudged),
        )
        for which, ids in lacking:
            if ids:
                console.print(Text(f"Left out: {len(ids)} problems {which} ({_few(ids)})."))
        if result.all_a.unjudged or result.all_b.unjudged:
            console.print(Text(_unjudged_text(result)))
        for flip in result.flips[:show]:
            console.print(Text(f"  {flip.problem_id}: {100 * flip.a:.0f}% -> {100 * flip.b:.0f}%"))
        if len(result.flips) > show:
            console.print(Text(f"  and {len(result.flips) - show} more"))


def _unjudged_text(result: PairedResult) -> str:
    """How many answers could not be judged, and what that may change."""
    counts = " and ".join(
        f"{side.unjudged:,} of {side.answers:,} of {label}"
        for label, side in (("A", result.all_a), ("B", result.all_b))
    )
    low, high = (100 * bound for bound in result.difference_bounds)
    return (
        f"Answers that could not be judged: {counts}. If all of them were wrong, A has"
        f" {100 * result.all_a.if_unjudged_wrong:.1f}% and B {100 * result.all_b.if_unjudged_wrong:.1f}%; whatever they"
        f" are, B - A is between {low:+.1f} and {high:+.1f} points."
    )


def _load(path: Path) -> dict[tuple[str, str], EvaluationSet]:
    """(set, mode) -> the samples of the last evaluation at this path."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder. Name a folder of `reasonrl eval --output`, or a run folder.")
    stages = sorted(path.glob("stages/*/samples.jsonl"))  # of a run in stages, the last one is meant
    if stages:
        path = stages[-1].parent
    samples = (
        path / "samples.jsonl" if path.is_dir() else path if path.suffix == ".jsonl" else path.parent / "samples.jsonl"
    )
    if not samples.is_file():
        raise UsageError(f"{path} has no samples.jsonl. Name a folder of `reasonrl eval --output`, or a run folder.")
    refuse_torn(samples)
    index = SampleIndex(samples)
    keys = [key for key in index.scan() if key.kind == "eval"]
    if not keys:
        raise UsageError(f"{samples} has no evaluation: run `reasonrl eval` on the run first.")
    by_set_and_mode: dict[tuple[str, str], list[SampleKey]] = {}
    for key in keys:
        by_set_and_mode.setdefault((key.set or "", key.mode), []).append(key)
    return {name: _evaluation(index, _last_step(group)) for name, group in by_set_and_mode.items()}


def refuse_other_questions(name: str, a: Any, b: Any, labels: tuple[str, str]) -> None:
    """Raises UsageError where two evaluations of a benchmark asked or judged it in two ways.

    Args:
        a, b: what results.json says of the benchmark; None where it says nothing.
    """
    for key in ("prompt", "verifier"):
        if a is not None and b is not None and a.get(key) != b.get(key):
            raise UsageError(
                f"{name}: {labels[0]} has the {key} {a.get(key)!r}, but {labels[1]} has {b.get(key)!r}: the scores are"
                " not of one thing. Evaluate both in one way"
            )
    hashes = [None if side is None else side.get("prompt_template_hash") for side in (a, b)]
    if None not in hashes and hashes[0] != hashes[1]:
        raise UsageError(
            f"{name}: {labels[0]} and {labels[1]} name one prompt, but its text is not the same: another version of"
            " reasonrl wrote one of them. Evaluate both with one version"
        )


def _benchmarks(path: Path) -> dict[str, Any]:
    """What results.json says of each benchmark; {} where it says nothing."""
    file = path / "results.json" if path.is_dir() else path
    if file.name != "results.json" or not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is not valid JSON: {error}") from error
    benchmarks = content.get("benchmarks") if isinstance(content, dict) else None
    return benchmarks if isinstance(benchmarks, dict) else {}


def _last_step(keys: list[SampleKey]) -> list[SampleKey]:
    last = max(key.step for key in keys)
    return [key for key in keys if key.step == last]


def _evaluation(index: SampleIndex, keys: list[SampleKey]) -> EvaluationSet:
    outcomes: dict[str, list[bool | None]] = {}
    references: dict[str, str] = {}
    for key, row in zip(keys, index.read(keys), strict=True):
        outcomes.setdefault(key.problem_id, []).append(key.correct)
        references[key.problem_id] = repr(row.get("reference"))
    return EvaluationSet(outcomes, references)


def paired(name: str, mode: str, a: EvaluationSet, b: EvaluationSet, labels: tuple[str, str]) -> PairedResult:
    """One set in one mode. Raises UsageError where the two share no problem, or an id has different references."""
    shared = [problem for problem in a.outcomes if problem in b.outcomes]
    if not shared:
        raise UsageError(
            f"{labels[0]} and {labels[1]} share no problem on {name} ({mode}): "
            f"one holds {_few(list(a.outcomes))}, the other {_few(list(b.outcomes))}. "
            "Evaluate both on the same data."
        )
    strangers = [problem for problem in shared if a.references[problem] != b.references[problem]]
    if strangers:
        raise UsageError(
            f"{len(strangers)} of the {len(shared)} problem ids that {labels[0]} and {labels[1]} share on {name} have"
            f" different references ({_few(strangers)}): the data sets differ. Evaluate both on the same data."
        )
    scores_a, scores_b = _scores(a, shared), _scores(b, shared)
    judged = [problem for problem in shared if scores_a[problem] and scores_b[problem]]
    if not judged:
        raise UsageError(
            f"{labels[0]} and {labels[1]}: no shared problem on {name} ({mode}) has an answer on both sides that could"
            " be judged."
        )
    left, right = [scores_a[problem] for problem in judged], [scores_b[problem] for problem in judged]
    return PairedResult(
        set=name,
        mode=mode,
        a=_judged_interval(a, judged),
        b=_judged_interval(b, judged),
        all_a=accuracy_of([a.outcomes[problem] for problem in shared]),
        all_b=accuracy_of([b.outcomes[problem] for problem in shared]),
        difference=stats.paired_difference(left, right, seed=SEED),
        difference_bounds=(
            _mean_difference(_scores(a, shared, unjudged=1.0), _scores(b, shared, unjudged=0.0)),
            _mean_difference(_scores(a, shared, unjudged=0.0), _scores(b, shared, unjudged=1.0)),
        ),
        flips=_flips(judged, left, right),
        only_a=tuple(problem for problem in a.outcomes if problem not in b.outcomes),
        only_b=tuple(problem for problem in b.outcomes if problem not in a.outcomes),
        unjudged=tuple(problem for problem in shared if problem not in set(judged)),
    )


def _scores(side: EvaluationSet, problems: Sequence[str], unjudged: float | None = None) -> dict[str, list[float]]:
    """1.0 and 0.0 by problem; an answer that could not be judged scores `unjudged`, or is left out where that is
    None.
    """
    values = {True: 1.0, False: 0.0, None: unjudged}
    return {
        problem: [value for correct in side.outcomes[problem] if (value := values[correct]) is not None]
        for problem in problems
    }


def _judged_interval(side: EvaluationSet, problems: Sequence[str]) -> stats.Interval:
    """Over the judged answers to `problems`, each of which has one."""
    interval = accuracy_of([side.outcomes[problem] for problem in problems]).interval
    assert interval is not None
    return interval


def _mean_difference(a: dict[str, list[float]], b: dict[str, list[float]]) -> float:
    """Mean over problems of (mean score of b - mean score of a)."""
    return sum(sum(b[problem]) / len(b[problem]) - sum(a[problem]) / len(a[problem]) for problem in a) / len(a)


def _flips(problems: Sequence[str], a: list[list[float]], b: list[list[float]]) -> tuple[Flip, ...]:
    """Problems whose share of right answers differs, the largest differences first."""
    shares = [Flip(problem, sum(x) / len(x), sum(y) / len(y)) for problem, x, y in zip(problems, a, b, strict=True)]
    flips = [flip for flip in shares if abs(flip.b - flip.a) > 1e-12]
    return tuple(sorted(flips, key=lambda flip: -abs(flip.b - flip.a)))


def _plain(result: PairedResult) -> dict[str, Any]:
    difference = result.difference
    return asdict(result) | {
        "a": result.a._asdict(),
        "b": result.b._asdict(),
        "all_a": _plain_accuracy(result.all_a),
        "all_b": _plain_accuracy(result.all_b),
        "flips": [flip._asdict() for flip in result.flips],
        "verdict": result.verdict,
        "difference": difference._asdict()
        | {"normal": difference.normal._asdict(), "bootstrap": difference.bootstrap._asdict()},
    }


def _plain_accuracy(accuracy: Accuracy) -> dict[str, Any]:
    interval = accuracy.interval
    return asdict(accuracy) | {"interval": None if interval is None else interval._asdict()}


def _listing(side: dict[tuple[str, str], EvaluationSet]) -> str:
    return ", ".join(
        f"{name or '(no set)'} {mode} ({len(evaluation.outcomes)} problems)"
        for (name, mode), evaluation in sorted(side.items())
    )


def _few(ids: Sequence[str], most: int = 4) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
