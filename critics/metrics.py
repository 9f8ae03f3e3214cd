"""The numbers that critics are compared by, with their known faults beside them. Shares lie in [0, 1]; NaN where there
is nothing to divide.

Each figure that a paper prints in its own way (parsed critiques only, swapped names, predictions thrown away) is here
twice: as printed, and as it should be read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from critics.rewards import Target, is_right, label_of
from critics.types import CriticEpisode, Judgement


def share(count: float, total: float) -> float:
    return count / total if total else math.nan


def harmonic_mean(a: float, b: float) -> float:
    """0 when either is 0, as F1 is where it would be 0/0."""
    return 2 * a * b / (a + b) if a + b > 0 else 0.0


# ----------------------------------------------------------------------------------------------------------- judgements


@dataclass(frozen=True)
class Discrimination:
    """How well solutions (or steps) were told apart."""

    critiques: int
    parsed: int
    right: int
    correct: int
    """Whose label is correct."""
    correct_right: int
    """Of these, the number that is called correct."""
    incorrect: int
    incorrect_right: int
    incorrect_flagged_of_correct: int
    """Correct ones that were called incorrect."""
    judged_correct: int

    @property
    def accuracy(self) -> float:
        """Acc@Dis, an unparsed critique counted as wrong: the figure to compare."""
        return share(self.right, self.critiques)

    @property
    def accuracy_of_parsed(self) -> float:
        """Acc@Dis as Critique-RL's evaluation has it: unparsed critiques are in neither count. Higher, the less can be
        read.
        """
        return share(self.right, self.parsed)

    @property
    def parse_rate(self) -> float:
        return share(self.parsed, self.critiques)

    @property
    def correct_recall(self) -> float:
        """Of the correct, the share that is called correct."""
        return share(self.correct_right, self.correct)

    @property
    def error_recall(self) -> float:
        """Of the incorrect, the share that is called incorrect."""
        return share(self.incorrect_right, self.incorrect)

    @property
    def false_alarm(self) -> float:
        """Of the correct, the share that is called incorrect."""
        return share(self.incorrect_flagged_of_correct, self.correct)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of both recalls (SPC's "average"): 0.5 for every constant answer, whatever the mix of labels."""
        return (self.correct_recall + self.error_recall) / 2

    @property
    def harmonic(self) -> float:
        """Harmonic mean of both recalls (SPC)."""
        return harmonic_mean(self.correct_recall, self.error_recall)


def discrimination(episodes: Sequence[CriticEpisode], target: Target = "answer") -> Discrimination:
    """Counts over episodes with a label. Raises ValueError for one without."""
    unlabelled = next((e.problem.id for e in episodes if label_of(e, target) is None), None)
    if unlabelled is not None:
        raise ValueError(f"the solution of problem {unlabelled} has no label: leave it out, or label it")
    rows = [(bool(label_of(e, target)), e.critique.judgement, is_right(e, target) is True) for e in episodes]
    return Discrimination(
        critiques=len(rows),
        parsed=sum(judgement is not None for _, judgement, _ in rows),
        right=sum(right for _, _, right in rows),
        correct=sum(label for label, _, _ in rows),
        correct_right=sum(right for label, _, right in rows if label),
        incorrect=sum(not label for label, _, _ in rows),
        incorrect_right=sum(right for label, _, right in rows if not label),
        incorrect_flagged_of_correct=sum(label and judgement is Judgement.INCORRECT for label, judgement, _ in rows),
        judged_correct=sum(judgement is Judgement.CORRECT for _, judgement, _ in rows),
    )


# ---------------------------------------------------------------------------------------------------------- refinements


@dataclass(frozen=True)
class RefinementTable:
    """Shares of ALL solutions, by what they were before and after the critique (Critique-RL, CTRL)."""

    solutions: int
    c2c: float
    c2i: float
    i2c: float
    i2i: float
    unjudged: int
    """Solutions that were left out, because no refinement of theirs could be judged."""
    rightly_judged: float
    """Of right judgements, the share whose refinement is right (Critique-RL's "relevance")."""

    @property
    def accuracy(self) -> float:
        """Acc@Refine."""
        return self.c2c + self.i2c

    @property
    def before(self) -> float:
        return self.c2c + self.c2i

    @property
    def delta(self) -> float:
        """Acc@Refine less accuracy before; i2c - c2i."""
        return self.i2c - self.c2i


def refinement_table(episodes: Sequence[CriticEpisode]) -> RefinementTable:
    """Each solution counts once, by the mean over its refinements; one that was not refined stays what it was."""
    cells: Counter[tuple[bool, bool]] = Counter()
    weights = {key: 0.0 for key in ((True, True), (True, False), (False, True), (False, False))}
    relevance: list[float] = []
    unjudged = 0
    for episode in episodes:
        before = episode.solution.correct
        judged = [r.correct for r in episode.refinements if r.correct is not None]
        if before is None or (episode.refinements and not judged):
            unjudged += 1
            continue
        after = sum(judged) / len(judged) if judged else float(before)
        weights[before, True] += after
        weights[before, False] += 1 - after
        cells[before, True] += 1
        if is_right(episode):
            relevance.append(after)
    n = sum(cells.values())
    c2c, c2i, i2c, i2i = (
        share(weights[key], n) for key in ((True, True), (True, False), (False, True), (False, False))
    )
    return RefinementTable(n, c2c, c2i, i2c, i2i, unjudged, share(sum(relevance), len(relevance)))


def pass_after_refinement(base: float, up: float, down: float) -> float:
    """CTRL's identity: Pass@1 after refinement = base + up - down."""
    return base + up - down


# --------------------------------------------------------------------------------------------------------- ProcessBench


@dataclass(frozen=True)
class ProcessBenchScore:
    erroneous: int
    error_accuracy: float
    """acc1: the first wrong step is named, of the solutions that have one."""
    correct: int
    correct_accuracy: float
    """acc2: -1 is said, of the solutions without an error."""

    @property
    def f1(self) -> float:
        """Harmonic mean of both; 0 where the official script divides 0 by 0. In [0, 1]."""
        return harmonic_mean(self.error_accuracy, self.correct_accuracy)


def process_bench(predicted: Sequence[int | None], labels: Sequence[int]) -> ProcessBenchScore:
    """One subset. Indices from 0, -1: no error, None: unread, which is wrong."""
    pairs = list(zip(predicted, labels, strict=True))
    with_error = [named == label for named, label in pairs if label != -1]
    without = [named == label for named, label in pairs if label == -1]
    return ProcessBenchScore(
        len(with_error), share(sum(with_error), len(with_error)), len(without), share(sum(without), len(without))
    )


def process_bench_mean(subsets: Sequence[ProcessBenchScore]) -> float:
    """The headline: the mean of the subsets' F1."""
    return sum(subset.f1 for subset in subsets) / len(subsets)


# ----------------------------------------------------------------------------------------------------- other benchmarks


@dataclass(frozen=True)
class BinaryRates:
    """Rates of a judge, "correct" being positive, in the textbook's names."""

    tpr: float
    tnr: float

    @property
    def accuracy(self) -> float:
        """On as many correct as incorrect ones."""
        return (self.tpr + self.tnr) / 2

    @property
    def fpr(self) -> float:
        return 1 - self.tnr

    @property
    def fnr(self) -> float:
        return 1 - self.tpr

    @property
    def criticlean_naming(self) -> dict[str, float]:
        """CriticLeanBench prints FPR = 1 - TPR and FNR = 1 - TNR: the two names are swapped."""
        return {"ACC": self.accuracy, "TPR": self.tpr, "FPR": self.fnr, "TNR": self.tnr, "FNR": self.fpr}


@dataclass(frozen=True)
class SectionScore:
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return harmonic_mean(self.precision, self.recall)


def delta_bench(predicted: Sequence[int] | None, gold: Sequence[int], *, variant: str = "honest") -> SectionScore:
    """Wrong sections of one response (DeltaBench). None: unread, all 0.

    `official` throws predictions beyond the largest gold section away before it computes the precision, which hides
    false alarms.
    """
    if variant not in ("honest", "official"):
        raise ValueError(f"variant must be honest or official, not {variant!r}")
    if not gold:
        raise ValueError("DeltaBench has at least one wrong section in each response")
    named = set(predicted or ())
    if variant == "official":
        named = {section for section in named if section <= max(gold)}
    hits = len(named & set(gold))
    return SectionScore(hits / len(named) if named else 0.0, hits / len(set(gold)))


def judge_bench(verdicts: Sequence[tuple[bool | None, bool | None]]) -> float:
    """Share of pairs that are judged correctly over both orders: +1 right, -1 wrong, 0 for a tie or unread; a pair
    counts when its sum is above 0.

    Each verdict says whether the better response was chosen in that order; None is a tie or unread.
    """
    worth = {True: 1, False: -1, None: 0}
    return share(sum(worth[first] + worth[second] > 0 for first, second in verdicts), len(verdicts))
