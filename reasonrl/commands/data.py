"""`reasonrl data`."""

from __future__ import annotations

from pathlib import Path

from reasonrl.commands.output import emit, key_values
from reasonrl.data import load_problems
from reasonrl.host.outputs import check_file
from reasonrl.host.terminal import json_text


def show_command(
    source: str, options: list[str], columns: list[str], *, limit: int, offline: bool, as_json: bool
) -> None:
    problems = load_problems(
        source,
        options=key_values(options, "--option"),
        columns=key_values(columns, "--column") or None,
        limit=limit,
        offline=offline,
    )
    rows = [
        {"id": p.id, "kind": p.kind, "prompt": p.prompt, "reference": p.reference, "meta": p.meta} for p in problems
    ]
    emit(as_json, {"problems": rows}, "\n".join(json_text(row, indent=1) for row in rows))


def convert_command(
    source: str,
    target: Path,
    form: str | None,
    options: list[str],
    columns: list[str],
    *,
    limit: int | None,
    offline: bool,
    as_json: bool,
) -> None:
    from reasonrl.data import write_problems

    check_file(target, "TARGET", inputs=[source])
    problems = load_problems(
        source,
        options=key_values(options, "--option"),
        columns=key_values(columns, "--column") or None,
        limit=limit,
        offline=offline,
    )
    path = write_problems(problems, target, form=form)
    emit(as_json, {"path": str(path), "problems": len(problems)}, f"{len(problems)} problems written to {path}")
