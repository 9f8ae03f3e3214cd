"""The folder that `reasonrl eval` and `reasonrl critic eval` write: results.json and samples.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.files import replace_text
from reasonrl.runs.folder import append_rows


def refuse_old_results(output: Path | None) -> None:
    """Raises UsageError for a folder that already holds results."""
    if output is not None and (output / "results.json").exists():
        raise UsageError(f"{output} already holds results; name another folder with --output")


def write_results(output: Path, results: Mapping[str, Any], samples: list[dict[str, Any]]) -> None:
    """Write both files. Replaces the samples of an attempt that stopped before its results."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "samples.jsonl").unlink(missing_ok=True)
    append_rows(output / "samples.jsonl", samples)
    replace_text(output / "results.json", json.dumps(results, indent=1) + "\n")
