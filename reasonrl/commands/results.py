"""The folder that `reasonrl eval` and `reasonrl critic eval` write: results.json and samples.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.files import replace_text
from reasonrl.runs.folder import append_rows, claimed_run_dir
from reasonrl.runs.lock import locked, refuse_locked

ADVICE = "Wait for it, or name another folder with --output"


def refuse_old_results(output: Path | None) -> None:
    """Raises UsageError for a folder that already holds results or a run, or that another process writes."""
    if output is None:
        return
    refuse_locked(output, ADVICE)
    if holds := _content(output):
        raise UsageError(f"{output} already holds {holds}; name another folder with --output")


def write_results(output: Path, results: Mapping[str, Any], samples: list[dict[str, Any]]) -> None:
    """Write both files. Replaces the samples of an attempt that stopped before its results.

    Raises:
        UsageError: another process has written `output`, or writes it, since the evaluation began. The results are then
            in a new folder beside it, which the message names.
    """
    try:
        with locked(output, ADVICE):
            holds = _content(output)
            if holds is None:
                _write(output, results, samples)
                return
        reason = f"{output} holds {holds} that another process wrote in the meantime"
    except UsageError as error:
        reason = str(error).removesuffix(f" {ADVICE}").removesuffix(".")
    with claimed_run_dir(output.parent, output.name) as beside:
        _write(beside, results, samples)
    raise UsageError(f"{reason}. The results of this evaluation are in {beside}")


def _content(output: Path) -> str | None:
    """What a folder holds that these results must not replace."""
    files = {"results.json": "results", "recipe.yaml": "a run"}
    return next((what for name, what in files.items() if (output / name).exists()), None)


def _write(output: Path, results: Mapping[str, Any], samples: list[dict[str, Any]]) -> None:
    (output / "samples.jsonl").unlink(missing_ok=True)
    append_rows(output / "samples.jsonl", samples)
    replace_text(output / "results.json", json.dumps(results, indent=1) + "\n")
