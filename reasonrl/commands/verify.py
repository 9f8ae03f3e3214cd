"""`reasonrl verify`: judge answers without training anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrl.commands.judged_rows import RowForm
from reasonrl.commands.judging import Item, judge, named_verifier
from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.host.files import replacing
from reasonrl.host.outputs import check_file
from reasonrl.runs.row_text import row_text
from verifiers.errors import MissingMethod
from verifiers.optional import close, detail_fields, explain, reads_reference, reference_of
from verifiers.types import Layer, Status, Verdict, Verifier

BATCH = 2000
"""Rows that are judged as one batch: enough to keep all workers busy."""
BATCH_BYTES = 64 << 20
"""Of input lines in one batch: tests of a program may be megabytes."""
WORKERS = 2
"""Worker processes by default, for verifiers that use them."""


@dataclass(frozen=True)
class OneAnswer:
    """One answer from the command line."""

    gold: str | None
    reference: str | None
    """A JSON object."""
    answer: str | None
    response: str | None

    @property
    def is_empty(self) -> bool:
        return self.gold is None and self.reference is None and self.answer is None and self.response is None

    def item(self, verifier: Verifier) -> Item:
        """Raises UsageError for an option that is missing or given twice."""
        judged_against = (self.gold is not None) + (self.reference is not None)
        if judged_against > 1 or (judged_against == 0 and reads_reference(verifier)) or self._has_no_single_text:
            raise UsageError(
                "write --input FILE.jsonl --output OUT.jsonl, or --gold TEXT (or --reference JSON) with either --answer"
                " TEXT or --response TEXT"
            )
        text = self.answer if self.answer is not None else self.response
        return Item("--answer", text or "", self.answer is not None, self.gold, self._read_reference())

    @property
    def _has_no_single_text(self) -> bool:
        return (self.answer is None) == (self.response is None)

    def _read_reference(self) -> dict[str, Any] | None:
        if self.reference is None:
            return None
        try:
            reference = json.loads(self.reference)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"--reference is not valid JSON: {error}") from error
        if not isinstance(reference, dict):
            raise UsageError(
                f'--reference is a {type(reference).__name__}; write a JSON object, e.g. {{"answer": "42"}}'
            )
        return reference


def verify_command(
    name: str,
    *,
    source: Path | None,
    output: Path | None,
    one: OneAnswer,
    options: dict[str, Any],
    explained: bool,
    as_json: bool,
) -> None:
    """
    Args:
        name: of the verifier.
        source, output: a file of rows and the file for their verdicts; else `one`.
        options: for the constructor of the verifier.
        explained: show how the verdict of `one` was reached.
    """
    verifier = named_verifier(name, options, workers=WORKERS).verifier
    try:
        if source is None:
            _verify_one(verifier, one, explained=explained, as_json=as_json)
        elif not one.is_empty:
            raise UsageError("name a file with --input, or one answer with --gold and --answer, not both")
        elif explained:
            raise UsageError(
                "--explain is for one answer: give it with --gold or --reference, and --answer or --response"
            )
        elif output is None:
            raise UsageError("--input needs --output: the file to write the verdicts to")
        else:
            _verify_file(verifier, source, output, as_json=as_json)
    finally:
        close(verifier)


def _verify_one(verifier: Verifier, one: OneAnswer, *, explained: bool, as_json: bool) -> None:
    item = one.item(verifier)
    (verdict,) = judge(verifier, [item])
    layers = _layers(verifier, item, verdict) if explained else []
    lines = [f"{verdict.summary}: {verdict.reason}", f"method: {verdict.method}, {verdict.seconds * 1000:.1f} ms"]
    lines += [f"  {layer.name:<11} {layer.says}{f'  ({layer.method})' if layer.method else ''}" for layer in layers]
    value: dict[str, Any] = json.loads(row_text(verdict.to_dict()))
    if explained:
        value["layers"] = [{"layer": layer.name, "says": layer.says, "method": layer.method} for layer in layers]
    emit(as_json, value, "\n".join(lines))


def _layers(verifier: Verifier, item: Item, verdict: Verdict) -> list[Layer]:
    """None where nothing was read in the response, or the reference cannot be read."""
    if verdict.extracted is None or verdict.method == "reference":
        return []
    reference = item.reference if item.reference is not None else reference_of(verifier, item.gold)
    try:
        return explain(verifier, verdict.extracted, reference, verdict)
    except MissingMethod as error:
        raise UsageError(str(error)) from error


def _verify_file(verifier: Verifier, source: Path, output: Path, *, as_json: bool) -> None:
    if not source.is_file():
        raise UsageError(f"--input {source}: the file does not exist")
    if not output.parent.is_dir():
        raise UsageError(f"--output {output}: the folder {output.parent} does not exist")
    check_file(output, "--output")
    if output.exists() and output.samefile(source):
        raise UsageError(f"--output {output} is also the input, which would be overwritten; name another file")
    form = RowForm.of_verifier(verifier)
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with replacing(output) as file:
        for batch in _batches(source):
            for row in _judge_rows(verifier, form, source, batch):
                counts[row["status"]] += 1
                counts["correct"] += row["correct"] is True
                file.write((row_text(row) + "\n").encode())
    seconds = time.perf_counter() - started
    rows = sum(counts[status.value] for status in Status)
    summary = {
        "rows": rows,
        "correct": counts["correct"],
        **{s.value: counts[s.value] for s in Status},
        "seconds": seconds,
        "output": str(output),
    }
    unread = ", ".join(f"{counts[s.value]} {s.value}" for s in Status if s is not Status.JUDGED and counts[s.value])
    text = (
        f"{rows} rows in {seconds:.1f} s: {counts['correct']} correct{', ' + unread if unread else ''}. Written to"
        f" {output}"
    )
    emit(as_json, summary, text)


def _batches(source: Path) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of a file with their numbers, some thousand at a time, fewer where they are long."""
    batch: list[tuple[int, bytes]] = []
    size = 0
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            batch.append((number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line))
            size += len(line)
            if len(batch) == BATCH or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _judge_rows(
    verifier: Verifier, form: RowForm, source: Path, lines: list[tuple[int, bytes]]
) -> Iterator[dict[str, Any]]:
    """One row out for each line in, in order, whatever a line holds."""
    rows = [(number, *form.read_line(line)) for number, line in lines]
    items = [form.item(row, f"{source}, line {number}") for number, row, mistake in rows if not mistake]
    verdicts = iter(judge(verifier, items))
    columns = detail_fields(verifier)
    for number, row, mistake in rows:
        verdict = Verdict(None, None, Status.ERROR, None, "input", mistake, 0.0) if mistake else next(verdicts)
        other_details = {name: value for name, value in verdict.details.items() if name not in columns}
        yield {
            "id": row.get("id", number),
            "correct": verdict.correct,
            "status": verdict.status.value,
            "extracted": verdict.extracted,
            "method": verdict.method,
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
            **{name: verdict.details.get(name) for name in columns},
            **({"details": other_details} if other_details else {}),
        }
