"""`reasonrl audit`: how good is a verifier? On a file of labelled pairs, with intervals, and beside another
verifier.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrl.commands.output import emit, key_values
from reasonrl.data.files import read_rows
from reasonrl.data.mistakes import Mistakes
from reasonrl.errors import DataError, UsageError
from reasonrl.stats import Interval, wilson
from verifiers.errors import VerifierError
from verifiers.loading import load_verifier
from verifiers.math.extract import extract
from verifiers.math.verifier import MathVerifier
from verifiers.response import Extraction
from verifiers.types import Verdict

SHOWN = 10


@dataclass(frozen=True)
class Case:
    where: str
    gold: str
    pred: str
    equivalent: bool
    form: str


@dataclass(frozen=True)
class Opinions:
    """What one verifier said of all cases."""

    name: str
    verdicts: list[Verdict]
    seconds: float

    def score(self, cases: list[Case]) -> dict[str, Any]:
        equal = [v for v, case in zip(self.verdicts, cases, strict=True) if case.equivalent]
        other = [v for v, case in zip(self.verdicts, cases, strict=True) if not case.equivalent]
        right = sum(v.correct is True for v in equal) + sum(v.correct is False for v in other)
        return {
            "verifier": self.name,
            "cases": len(cases),
            "accuracy": _fields(wilson(right, len(cases))),
            "equal_found": _fields(wilson(sum(v.correct is True for v in equal), len(equal))) if equal else None,
            "wrong_accepted": _fields(wilson(sum(v.correct is True for v in other), len(other))) if other else None,
            "not_judged": sum(v.correct is None for v in self.verdicts),
            "seconds": self.seconds,
            "cases_per_second": len(cases) / self.seconds if self.seconds else None,
        }


def audit_command(
    file: Path, *, mode: str, policy: list[str], against: str | None, limit: int | None, as_json: bool
) -> None:
    cases = read_cases(file, limit)
    try:
        math = _ask_math(MathVerifier(mode=mode, policy=key_values(policy, "--policy")), cases)  # type: ignore[arg-type]
        opinions = [math] if against is None else [math, _ask(against, cases)]
    except (TypeError, ValueError, VerifierError) as error:
        raise UsageError(str(error)) from error
    scores = [opinion.score(cases) for opinion in opinions]
    wrong = [(case, v) for case, v in zip(cases, math.verdicts, strict=True) if v.correct is not case.equivalent]
    slowest = sorted(zip(cases, math.verdicts, strict=True), key=lambda pair: -pair[1].seconds)[:SHOWN]
    disagreements = []
    if len(opinions) == 2:
        disagreements = [
            (case, a, b)
            for case, a, b in zip(cases, math.verdicts, opinions[1].verdicts, strict=True)
            if a.correct is not b.correct
        ]
    value = {
        "file": str(file),
        "scores": scores,
        "mistakes": [_case_fields(case, v) for case, v in wrong],
        "slowest": [_case_fields(case, v) for case, v in slowest],
        "disagreements": [{**_case_fields(case, a), "other": b.correct} for case, a, b in disagreements],
    }
    emit(as_json, value, _text(scores, wrong, slowest, disagreements))


def read_cases(file: Path, limit: int | None) -> list[Case]:
    """Rows with gold, pred, equivalent (true or false) and form (answer or response; answer if absent).

    Raises DataError with all mistakes at once.
    """
    mistakes = Mistakes(str(file))
    cases = []
    for row in read_rows(file, mistakes):
        fields = row.fields
        missing = [name for name in ("gold", "pred", "equivalent") if name not in fields]
        form = fields.get("form", "answer")
        if missing:
            mistakes.add(row.where, f"no {', '.join(missing)}; a row needs gold, pred and equivalent")
        elif not isinstance(fields["equivalent"], bool):
            mistakes.add(row.where, f"equivalent is {fields['equivalent']!r}; write true or false")
        elif form not in ("answer", "response"):
            mistakes.add(row.where, f"form is {form!r}; write answer or response")
        else:
            cases.append(Case(row.where, str(fields["gold"]), str(fields["pred"]), fields["equivalent"], form))
        if limit is not None and len(cases) == limit:
            break
    mistakes.raise_if_any()
    if not cases:
        raise DataError(f"{file} holds no rows")
    return cases


def _ask_math(verifier: MathVerifier, cases: list[Case]) -> Opinions:
    started = time.perf_counter()
    extractions = [
        extract(case.pred, verifier.mode) if case.form == "response" else Extraction(case.pred, "the answer")
        for case in cases
    ]
    verdicts = verifier.judge(extractions, [{"answer": case.gold} for case in cases])
    verifier.close()
    return Opinions(f"math ({verifier.mode})", verdicts, time.perf_counter() - started)


def _ask(spec: str, cases: list[Case]) -> Opinions:
    """Another verifier sees responses; a bare answer is put into a box for it."""
    verifier = load_verifier(spec)
    texts = [case.pred if case.form == "response" else f"\\boxed{{{case.pred}}}" for case in cases]
    started = time.perf_counter()
    verdicts = verifier.verify(texts, [{"answer": case.gold} for case in cases])
    return Opinions(spec, verdicts, time.perf_counter() - started)


def _fields(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _case_fields(case: Case, verdict: Verdict) -> dict[str, Any]:
    return {
        "where": case.where,
        "gold": case.gold,
        "pred": case.pred,
        "equivalent": case.equivalent,
        **verdict.to_dict(),
    }


def _text(
    scores: list[dict[str, Any]],
    wrong: list[tuple[Case, Verdict]],
    slowest: list[tuple[Case, Verdict]],
    disagreements: list[tuple[Case, Verdict, Verdict]],
) -> str:
    def share(part: dict[str, float] | None) -> str:
        return "-" if part is None else f"{part['estimate']:.1%} [{part['low']:.1%}, {part['high']:.1%}]"

    width = max(len(score["verifier"]) for score in scores)
    lines = [f"{'':<{width}}  {'accuracy':<24}{'equal found':<24}{'wrong accepted':<24}{'null':<6}cases/s"]
    for score in scores:
        lines.append(
            f"{score['verifier']:<{width}}  {share(score['accuracy']):<24}{share(score['equal_found']):<24}"
            f"{share(score['wrong_accepted']):<24}{score['not_judged']:<6}{score['cases_per_second']:.0f}"
        )
    lines.append(f"n = {scores[0]['cases']}; 95% Wilson intervals; a verdict of null counts as an error")
    for title, rows in (("mistakes", wrong), ("slowest", slowest)):
        lines += ["", f"{title} ({len(rows)}):" if title == "mistakes" else f"{title}:"]
        for case, verdict in rows[:SHOWN]:
            lines.append(
                f"  {case.where}: {_short(case.gold)} | {_short(verdict.extracted or case.pred)} -> {verdict.correct} "
                f"({verdict.method}, {verdict.seconds * 1000:.1f} ms)"
            )
    if disagreements:
        lines += ["", f"the two disagree on {len(disagreements)}:"]
        lines += [
            f"  {case.where}: {_short(case.gold)} | {_short(a.extracted or case.pred)} -> {a.correct} and {b.correct}, "
            f"labelled {case.equivalent}"
            for case, a, b in disagreements[:SHOWN]
        ]
    return "\n".join(lines)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:37] + "..."
