"""`train RUN --resume --dry-run`: what the resume would refuse, and nothing is changed. (The same comparison as in the
resumed run: test_resume_inputs.py.)
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from reasonrl.cli import main
from reasonrl.errors import UsageError
from reasonrl.runs.lock import locked
from tests.stages.resumable import RECIPE, dry_run, sums, write_rows


def test_another_recipe_or_another_writer_is_refused_in_the_dry_run(stopped: Path) -> None:
    with pytest.raises(UsageError, match="was started with another recipe"):
        dry_run(recipe=RECIPE | {"seed": 7})
    with (
        locked(Path("run"), "Wait"),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(UsageError, match="is being written"),
    ):
        pool.submit(dry_run).result()


def test_the_command_refuses_with_one_message_and_lists_what_is_allowed(
    stopped: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*options: str) -> tuple[Any, str, str]:
        monkeypatch.setattr(sys, "argv", ["reasonrl", "train", "run", "--dry-run", "--offline", *options])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, *capsys.readouterr()

    write_rows(stopped / "train.jsonl", [{**row, "answer": "0"} for row in sums(0, 12)])
    code, out, err = command("--resume")
    assert (code, out) == (2, "")
    assert err.startswith("error: run cannot be resumed: what it was trained with has changed.")
    code, out, err = command("--resume", "--allow-changes")
    assert (code, err) == (0, "")
    assert "resume          changed since the run began: data.train: 11 of 12 rows differ" in out
    code, out, err = command("--allow-changes", "run_dir=other")
    assert (code, out) == (2, "")
    assert "add --resume" in err
