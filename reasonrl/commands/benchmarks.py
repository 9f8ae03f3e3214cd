"""`reasonrl eval MODEL --benchmarks gsm8k,math500`: scores with intervals, kept as they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import typer

from reasonrl.commands.benchmark_run import BenchmarkRun, load_benchmarks
from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.evaluation.selfcheck import checks_of, known_models
from reasonrl.setup.benchmarks import AnswerSettings


def benchmarks_command(
    model: str,
    wanted: str,
    settings: AnswerSettings,
    *,
    limit: int | None,
    output: Path | None,
    overrides: Sequence[str],
    offline: bool,
    as_json: bool,
    known_errors: str = "count",
    selfcheck: bool = False,
    served: dict[str, Any] | None = None,
) -> None:
    """Answers drawn by an earlier session in `output` are not drawn again."""
    loaded = load_benchmarks(wanted_benchmarks(wanted), limit=limit, offline=offline, known_errors=known_errors)
    benchmarks = [one.benchmark for one in loaded]
    if selfcheck and not any(PurePath(model).name.lower() == name.lower() for name in known_models(benchmarks)):
        raise UsageError(
            f"--selfcheck: no score of {model} is known on {', '.join(one.name for one in benchmarks)}; there are some"
            f" of {', '.join(known_models(benchmarks)) or 'no model'}"
        )
    run = BenchmarkRun(
        model, loaded, settings, output=output, overrides=overrides, served=served, offline=offline, tell=_tell
    )
    result = run.evaluate()
    value, text = result.to_json(), str(result) + (f"\nwritten to {output}" if output else "")
    if selfcheck:
        checks = checks_of(model, benchmarks, list(result.results.values()))
        value["selfcheck"] = [{"benchmark": c.benchmark, "agrees": c.is_covered, "text": c.text()} for c in checks]
        text += "\n\n" + "\n".join(check.text() for check in checks)
    emit(as_json, value, text)


def _tell(text: str) -> None:
    typer.echo(text, err=True)


def refuse_with_benchmarks(options: dict[str, Any]) -> None:
    """Raises UsageError for an option that says what a benchmark says itself."""
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} cannot stand beside --benchmarks, which say themselves what is asked and how")


def wanted_benchmarks(text: str) -> list[tuple[str, str | None]]:
    """`gsm8k,math500=copy.jsonl` as names and files. Raises UsageError."""
    pairs: list[tuple[str, str | None]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, path = part.partition("=")
        if equals and not path:
            raise UsageError(f"--benchmarks {part}: write a file behind the =")
        if any(name == known for known, _ in pairs):
            raise UsageError(f"--benchmarks: {name} is named twice")
        pairs.append((name, path or None))
    if not pairs:
        raise UsageError("--benchmarks: write names such as gsm8k,math500, or NAME=FILE")
    return pairs
