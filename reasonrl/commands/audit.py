"""`reasonrl audit`: measures a verifier on a file of labelled pairs, with intervals, and beside another verifier."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrl.commands.judged_rows import RowForm
from reasonrl.commands.judging import Item, NamedVerifier, judge, named_verifier
from reasonrl.commands.output import emit
from reasonrl.data.files import SourceRow, read_rows
from reasonrl.data.mistakes import Mistakes
from reasonrl.errors import DataError, UsageError
from reasonrl.runs.row_text import row_text
from reasonrl.stats import Interval, wilson
from verifiers.optional import close
from verifiers.types import Verdict

SHOWN = 10


@dataclass(frozen=True)
class Case:
    where: str
    gold: str
    """For display: the bare answer, or the reference as JSON."""
    pred: str
    equivalent: bool
    form: str
    reference: dict[str, Any] | None = None
    """The reference that the verifier reads; None: it is made from `gold`."""


@dataclass(frozen=True)
class Opinions:
    """The verdicts of one verifier on all cases."""

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
    file: Path,
    *,
    verifier: str,
    options: dict[str, Any],
    against: str | None,
    against_options: dict[str, Any],
    limit: int | None,
    as_json: bool,
) -> None:
    """
    Args:
        verifier, options: name of the verifier and options for its constructor.
        against, against_options: of the second verifier, if one is wanted.
    """
    if against is None and against_options:
        raise UsageError("--against-option needs a second verifier; name it with --against")
    chosen: list[NamedVerifier] = []
    try:
        chosen.append(named_verifier(verifier, options))
        cases = read_cases(file, limit, RowForm.of_verifier(chosen[0].verifier))
        if against is not None:
            chosen.append(named_verifier(against, against_options))
        opinions = [_ask(named, cases, file) for named in chosen]
    finally:
        for named in chosen:
            close(named.verifier)
    main = opinions[0]
    scores = [opinion.score(cases) for opinion in opinions]
    wrong = [(case, v) for case, v in zip(cases, main.verdicts, strict=True) if v.correct is not case.equivalent]
    slowest = sorted(zip(cases, main.verdicts, strict=True), key=lambda pair: -pair[1].seconds)[:SHOWN]
    disagreements = []
    if len(opinions) == 2:
        disagreements = [
            (case, a, b)
            for case, a, b in zip(cases, main.verdicts, opinions[1].verdicts, strict=True)
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


def read_cases(file: Path, limit: int | None, form: RowForm) -> list[Case]:
    """Rows with gold or reference (an object), or the fields of a reference that the verifier reads from a row; pred,
    equivalent (true or false) and form (answer or response; answer if absent).

    Raises DataError with all mistakes at once.
    """
    mistakes = Mistakes(str(file))
    cases = []
    for row in read_rows(file, mistakes):
        case, mistake = _case(row, form)
        if case is None:
            mistakes.add(row.where, mistake)
        else:
            cases.append(case)
        if limit is not None and len(cases) == limit:
            break
    mistakes.raise_if_any()
    if not cases:
        raise DataError(f"{file} has no rows; a row needs {_needed(form)}, pred and equivalent")
    return cases


def _needed(form: RowForm) -> str:
    return f"{form.main_field} (or reference)" if form.main_field else "gold (or reference)"


def _case(row: SourceRow, form: RowForm) -> tuple[Case | None, str]:
    """The case of a row, or None and what is wrong with it."""
    fields = row.fields
    missing = [name for name in ("pred", "equivalent") if name not in fields]
    reference = form.reference_in(fields)
    if reference is None and "gold" not in fields and "reference" not in fields:
        missing.insert(0, form.main_field or "gold")
    kind = fields.get("form", "answer")
    if missing:
        return None, f"no {', '.join(missing)}; a row needs {_needed(form)}, pred and equivalent"
    if mistake := form.reference_mistake(fields) if form.main_field else "":
        return None, mistake
    if not isinstance(fields["equivalent"], bool):
        return None, f"equivalent is {fields['equivalent']!r}; write true or false"
    if kind not in ("response", *form.answer_fields):
        return None, f"form is {kind!r}; write {', '.join(form.answer_fields)} or response"
    if reference is None and "gold" not in fields:
        reference = fields["reference"]
        if not isinstance(reference, dict):
            return None, f"reference is a {type(reference).__name__}; write an object, or gold for a bare answer"
    for name in ("gold", "pred"):
        value = fields.get(name, "")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None, f"{name} is {value!r:.60}; write a text or a number"
    gold = json.dumps(reference, ensure_ascii=False) if reference is not None else str(fields["gold"])
    return Case(row.where, gold, str(fields["pred"]), fields["equivalent"], kind, reference), ""


def _ask(named: NamedVerifier, cases: list[Case], file: Path) -> Opinions:
    items = [
        Item(f"{file}, {case.where}", case.pred, case.form != "response", case.gold, case.reference) for case in cases
    ]
    started = time.perf_counter()
    verdicts = judge(named.verifier, items)
    return Opinions(named.label, verdicts, time.perf_counter() - started)


def _fields(interval: Interval) -> dict[str, float]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _case_fields(case: Case, verdict: Verdict) -> dict[str, Any]:
    return {
        "where": case.where,
        "gold": case.gold,
        "pred": case.pred,
        "equivalent": case.equivalent,
        **json.loads(row_text(verdict.to_dict())),
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
