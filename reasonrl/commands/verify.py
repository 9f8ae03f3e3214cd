"""`reasonrl verify`: judge answers without training anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrl.commands.judging import Item, judge, named_verifier
from reasonrl.commands.output import emit
from reasonrl.data.files import half_pair_mistake
from reasonrl.data.json_text import parse_json
from reasonrl.errors import UsageError
from reasonrl.files import replacing
from reasonrl.outputs import check_file
from reasonrl.terminal import json_text
from verifiers.errors import MissingMethod
from verifiers.optional import close, explain, reads_reference, reference_of
from verifiers.types import Layer, Status, Verdict, Verifier

BATCH = 2000
"""Rows that are judged as one batch: enough to keep all workers busy."""
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
    value = verdict.to_dict()
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
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with replacing(output) as file:
        for batch in _batches(source):
            for row in _judge_rows(verifier, source, batch):
                counts[row["status"]] += 1
                counts["correct"] += row["correct"] is True
                file.write((json_text(row) + "\n").encode())
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
    batch: list[tuple[int, bytes]] = []
    with source.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            batch.append((number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line))
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _judge_rows(verifier: Verifier, source: Path, lines: list[tuple[int, bytes]]) -> Iterator[dict[str, Any]]:
    """One row out for each line in, in order, whatever a line holds."""
    rows = [(number, *_read_row(line, needs_reference=reads_reference(verifier))) for number, line in lines]
    items = [_item(row, f"{source}, line {number}") for number, row, mistake in rows if not mistake]
    verdicts = iter(judge(verifier, items))
    for number, row, mistake in rows:
        verdict = Verdict(None, None, Status.ERROR, None, "input", mistake, 0.0) if mistake else next(verdicts)
        yield {
            "id": row.get("id", number),
            "correct": verdict.correct,
            "status": verdict.status.value,
            "extracted": verdict.extracted,
            "method": verdict.method,
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
        }


def _item(row: dict[str, Any], where: str) -> Item:
    bare = "answer" in row
    return Item(where, row["answer" if bare else "response"], bare, row.get("gold"), row.get("reference"))


def _read_row(line: bytes, *, needs_reference: bool) -> tuple[dict[str, Any], str]:
    """The row, and what is wrong with it; empty if nothing is."""
    try:
        row = parse_json(line.decode())
    except (ValueError, RecursionError) as error:
        return {}, f"not valid JSON: {error}"
    if not isinstance(row, dict):
        return {}, 'not a JSON object; write {"id": ..., "gold" or "reference": ..., "response" or "answer": ...}'
    if mistake := half_pair_mistake(row):
        return {}, mistake
    if needs_reference and "gold" not in row and "reference" not in row:
        return row, f'needs "gold" or "reference" (it has {", ".join(map(repr, row)) or "nothing"})'
    if "gold" in row and "reference" in row:
        return row, 'has both "gold" and "reference"; leave one out'
    if not isinstance(row.get("reference", {}), dict):
        return row, f'"reference" is a {type(row["reference"]).__name__}; write an object, or "gold" for a bare answer'
    if ("response" in row) == ("answer" in row):
        return row, 'needs either "response" (a complete response) or "answer" (a bare answer), not both'
    text = row.get("response", row.get("answer"))
    if isinstance(text, int | float) and not isinstance(text, bool) and "answer" in row:
        row["answer"] = str(text)
    elif not isinstance(text, str):
        return row, f'"{"response" if "response" in row else "answer"}" is a {type(text).__name__}; write a string'
    return row, ""
