"""Checks a data set: its gold answers must score 1, an empty answer 0, and no test prompt may be in training."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reasonrl.errors import DataError
from verifiers.errors import NoGoldResponse
from verifiers.loading import BUILT_IN
from verifiers.types import Problem, Verdict, Verifier

SHOWN = 10


@dataclass(frozen=True, slots=True)
class RowReport:
    """One problem that failed a check."""

    row: int
    """Its place in the list, counted from 1."""
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class DataReport:
    """What `check_problems` found. Every problem was looked at: the counts are exact, not estimates."""

    problems: int
    gold_accepted: int
    """Problems whose gold response scored 1."""
    empty_rejected: int
    """Problems whose empty response scored 0."""
    offending: list[RowReport]
    without_gold: list[str] = field(default_factory=list)
    """Ids of problems whose reference was read and holds no right response, such as tests without a solution."""
    contradicting: list[str] = field(default_factory=list)
    """Ids of problems whose prompt an earlier problem has too, with another answer."""
    hint: str = ""
    """What may have been meant, where references cannot be read because they are another verifier's."""

    @property
    def ok(self) -> bool:
        return not self.offending

    def __str__(self) -> str:
        lines = [
            f"gold answers that score 1: {self.gold_accepted:,} of {self.problems - len(self.without_gold):,}; "
            f"empty answers that score 0: {self.empty_rejected:,} of {self.problems:,}"
        ]
        if self.without_gold:
            lines[0] += f"; without a gold answer: {len(self.without_gold):,} (their references can be read)"
        if self.contradicting:
            count, first = len(self.contradicting), self.contradicting[0]
            lines[0] += f"; WARNING: {count:,} repeat an earlier prompt with another answer (first: {first})"
        lines += [f"  row {row.row} ({row.id}): {row.reason}" for row in self.offending[:SHOWN]]
        if len(self.offending) > SHOWN:
            lines.append(f"  ... and {len(self.offending) - SHOWN:,} more")
        lines += [f"  {self.hint}"] if self.hint else []
        return "\n".join(lines)

    def raise_if_bad(self) -> None:
        """Raises DataError with the first rows that failed and their count."""
        if self.offending:
            raise DataError(f"{len(self.offending):,} checks failed; fix or remove these rows.\n{self}")


def check_problems(problems: Sequence[Problem], verifier: Verifier) -> DataReport:
    """Checks each problem against the verifier that will judge it.

    Args:
        problems: what will be trained on or evaluated.
        verifier: asked for each problem's gold response, then to judge it, then to judge the empty response.

    Raises:
        DataError: the verifier breaks its contract (not one verdict for each response).
    """
    offending: list[RowReport] = []
    golds: list[tuple[int, Problem, str]] = []
    readable: list[tuple[int, Problem]] = []
    without_gold: list[str] = []
    hint = ""
    for row, problem in enumerate(problems, 1):
        try:
            golds.append((row, problem, verifier.gold_response(problem.reference)))
        except NoGoldResponse:
            without_gold.append(problem.id)
        except ValueError as error:
            offending.append(RowReport(row, problem.id, f"the reference cannot be read: {error}"))
            hint = hint or _hint(problem.kind, verifier)
            continue
        readable.append((row, problem))
    gold_texts, gold_problems = [gold for *_, gold in golds], [problem for _, problem, _ in golds]
    accepted = 0
    for (row, problem, gold), verdict in zip(golds, _verify(verifier, gold_texts, gold_problems), strict=True):
        reason = _objection(verdict, 1.0, "the gold answer", f"the gold answer {gold!r:.80}")
        accepted += not reason
        offending += [RowReport(row, problem.id, reason)] if reason else []
    rejected = 0
    empty = _verify(verifier, [""] * len(readable), [problem for _, problem in readable])
    for (row, problem), verdict in zip(readable, empty, strict=True):
        reason = _objection(verdict, 0.0, "an empty answer", "an empty answer")
        rejected += not reason
        offending += [RowReport(row, problem.id, reason)] if reason else []
    return DataReport(
        len(problems),
        accepted,
        rejected,
        sorted(offending, key=lambda row: row.row),
        without_gold,
        contradicting(problems),
        hint,
    )


def _hint(kind: str, verifier: Verifier) -> str:
    """That problems of a kind which has a built-in verifier of its own are read by another built-in one."""
    meant, present = BUILT_IN.get(kind, ""), type(verifier)
    if not meant or kind == "math" or not present.__module__.startswith("verifiers."):
        return ""
    if meant == f"{present.__module__}:{present.__name__}":
        return ""
    return f"these are problems of kind {kind}: write verifier: {{name: {kind}}}"


def _objection(verdict: Verdict, wanted: float, subject: str, subject_with_text: str) -> str:
    """Why a verdict is not the one that is wanted; empty if it is."""
    if verdict.score == wanted:
        return ""
    if verdict.score is None:
        return f"{subject} could not be judged ({verdict.status.value}): {verdict.reason}"
    return f"{subject_with_text} scores {verdict.score:g}: {verdict.reason}"


def without_gold(reports: Mapping[str, DataReport], field_name: str) -> list[str]:
    """Ids of problems without a right response, of all sources of a set: of "train", "train.0", "train.1", ..."""
    return [
        id_ for name, report in reports.items() if name.partition(".")[0] == field_name for id_ in report.without_gold
    ]


def contradicting(problems: Iterable[Problem]) -> list[str]:
    """Ids of problems whose prompt an earlier one has too, with another answer. One of the two teaches noise, unless
    both spell the same answer.
    """
    first: dict[tuple[str, str], Problem] = {}
    return [
        problem.id
        for problem in problems
        if _answer(first.setdefault((problem.kind, _words(problem)), problem)) != _answer(problem)
    ]


def _answer(problem: Problem) -> object:
    if problem.kind == "math":
        return problem.reference.get("answer")
    return {name: value for name, value in problem.reference.items() if name != "demonstration"}


def shared_prompts(train: Iterable[Problem], test: Iterable[Problem]) -> list[str]:
    """Ids of the test problems whose prompt is also in train, word for word after white space is normalised.

    A prompt as text and the same text as one message count as equal. System messages and roles are not looked at.
    """
    known = {_words(problem) for problem in train}
    return [problem.id for problem in test if _words(problem) in known]


def _words(problem: Problem) -> str:
    if isinstance(problem.prompt, str):
        text = problem.prompt
    else:
        contents = [message["content"] for message in problem.prompt if message["role"] != "system"]
        text = " ".join(contents or [message["content"] for message in problem.prompt])
    return " ".join(unicodedata.normalize("NFC", text).split())


def _verify(verifier: Verifier, responses: list[str], problems: list[Problem]) -> list[Verdict]:
    if not responses:
        return []
    verdicts = verifier.verify(responses, [problem.reference for problem in problems])
    if len(verdicts) != len(responses):
        raise DataError(
            f"{type(verifier).__name__}.verify gave {len(verdicts)} verdicts for {len(responses)} responses; one each"
            " is needed"
        )
    return verdicts
