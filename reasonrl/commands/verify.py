"""`reasonrl verify`: judge answers without training anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reasonrl.commands.output import emit, key_values
from reasonrl.errors import UsageError
from reasonrl.files import replacing
from verifiers.math.extract import extract
from verifiers.math.verifier import MathVerifier
from verifiers.response import Extraction
from verifiers.types import Status, Verdict

BATCH = 2000
"""Rows that are judged together: enough to keep all workers busy."""


def verify_math_command(
    *,
    source: Path | None,
    output: Path | None,
    gold: str | None,
    answer: str | None,
    response: str | None,
    mode: str,
    policy: list[str],
    workers: int,
    timeout: float,
    explain: bool,
    as_json: bool,
) -> None:
    options: dict[str, Any] = {
        "mode": mode,
        "workers": workers,
        "timeout_s": timeout,
        "policy": key_values(policy, "--policy"),
    }
    try:
        verifier = MathVerifier(**options)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if source is not None:
        if gold is not None or answer is not None or response is not None:
            raise UsageError("name a file with --input, or one answer with --gold and --answer, not both")
        if output is None:
            raise UsageError("--input needs --output: the file to write the verdicts to")
        _verify_file(verifier, source, output, as_json=as_json)
    elif gold is None or (answer is None) == (response is None):
        raise UsageError(
            "write --input FILE.jsonl --output OUT.jsonl, or --gold TEXT with either --answer TEXT or --response TEXT"
        )
    else:
        _verify_one(verifier, gold, answer, response, explain=explain, as_json=as_json)


def _verify_one(
    verifier: MathVerifier, gold: str, answer: str | None, response: str | None, *, explain: bool, as_json: bool
) -> None:
    extraction = _bare(answer) if answer is not None else extract(response or "", verifier.mode)
    (verdict,) = verifier.judge([extraction], [{"answer": gold}])
    layers = []
    if explain and extraction.answer is not None:
        from verifiers.math.compare import explain as explain_layers

        layers = [
            {
                "layer": name,
                "says": "passes it on" if opinion is None else ("equal" if opinion.equal else "not equal"),
                "method": opinion and opinion.method,
            }
            for name, opinion in explain_layers(extraction.answer, gold, verifier.policy)
        ]
    lines = [f"{_word(verdict)}: {verdict.reason}", f"method: {verdict.method}, {verdict.seconds * 1000:.1f} ms"]
    lines += [
        f"  {row['layer']:<11} {row['says']}{'  (' + row['method'] + ')' if row['method'] else ''}" for row in layers
    ]
    if layers and layers[-1]["says"] == "passes it on":
        lines.append(f"  {'sympy':<11} {_word(verdict)}  ({verdict.method})")
    emit(as_json, {**verdict.to_dict(), "layers": layers} if explain else verdict.to_dict(), "\n".join(lines))


def _word(verdict: Verdict) -> str:
    if verdict.correct is None:
        return f"not judged ({verdict.status.value})"
    return "correct" if verdict.correct else f"wrong{' (unparsed)' if verdict.status is Status.UNPARSED else ''}"


def _bare(answer: str) -> Extraction:
    return Extraction(answer, "the answer") if answer.strip() else Extraction(None, "the answer is empty")


def _verify_file(verifier: MathVerifier, source: Path, output: Path, *, as_json: bool) -> None:
    if not source.is_file():
        raise UsageError(f"--input {source}: there is no such file")
    if not output.parent.is_dir():
        raise UsageError(f"--output {output}: the folder {output.parent} does not exist")
    if output.exists() and output.samefile(source):
        raise UsageError(f"--output {output} is the input: it would be lost")
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    try:
        with replacing(output) as file:
            for batch in _batches(source):
                for row in _judge_rows(verifier, batch):
                    counts[row["status"]] += 1
                    counts["correct"] += row["correct"] is True
                    file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8"))
    finally:
        verifier.close()
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


def _judge_rows(verifier: MathVerifier, lines: list[tuple[int, bytes]]) -> Iterator[dict[str, Any]]:
    """One row out for each line in, in order, whatever a line holds."""
    ids: list[Any] = []
    mistakes: list[str] = []
    extractions: list[Extraction] = []
    references: list[dict[str, Any]] = []
    for number, line in lines:
        row, mistake = _read_row(line)
        ids.append(row.get("id", number))
        mistakes.append(mistake)
        text = row.get("response")
        extractions.append(
            Extraction(None, mistake)
            if mistake
            else extract(text, verifier.mode)
            if text is not None
            else _bare(row["answer"])
        )
        references.append({"answer": row.get("gold")})
    for name, mistake, verdict in zip(ids, mistakes, verifier.judge(extractions, references), strict=True):
        if mistake:
            verdict = Verdict(None, None, Status.ERROR, None, "input", mistake, 0.0)
        yield {
            "id": name,
            "correct": verdict.correct,
            "status": verdict.status.value,
            "extracted": verdict.extracted,
            "method": verdict.method,
            "reason": verdict.reason,
            "seconds": round(verdict.seconds, 6),
        }


def _read_row(line: bytes) -> tuple[dict[str, Any], str]:
    """The row, and what is wrong with it; empty if nothing is."""
    try:
        row = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return {}, f"not readable JSON: {error}"
    if not isinstance(row, dict):
        return {}, 'a JSON object is expected: {"id": ..., "gold": ..., "response" or "answer": ...}'
    if "gold" not in row:
        return row, f'no "gold" (it has: {", ".join(map(repr, row)) or "nothing"})'
    if ("response" in row) == ("answer" in row):
        return row, 'either "response" (a whole text) or "answer" (the bare answer) is needed'
    text = row.get("response", row.get("answer"))
    if isinstance(text, int | float) and not isinstance(text, bool) and "answer" in row:
        row["answer"] = str(text)
    elif not isinstance(text, str):
        return row, f'"{"response" if "response" in row else "answer"}" is a {type(text).__name__}; write a text'
    return row, ""
