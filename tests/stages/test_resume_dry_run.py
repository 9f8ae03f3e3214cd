"""`train RUN --resume --dry-run`: what the resume would refuse, and nothing is changed. (The same comparison as in the
resumed run: test_resume_inputs.py.)
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.cli import main
from reasonrl.errors import RecipeError, UsageError
from reasonrl.plan.resume import check_resume
from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.lock import locked
from reasonrl.stages.run import train
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


@pytest.mark.slow
def test_the_stages_of_a_run_are_looked_at_one_after_another(tmp_path: Path) -> None:
    silent = {"greedy": False, "samples_per_problem": 0}
    sums = {"source": "step_arithmetic", "options": {"terms": 3, "high": 9, "size": 8}}
    sft = {
        "kind": "sft",
        "data": {"train": {"source": "stage:sampled/train"}},
        "sft": {"steps": 1, "rows_per_step": 2, "response": "{demonstration}"},
    }
    recipe = {
        "name": "staged",
        "threads": 1,
        "device": "cpu",
        "model": {"path": "tiny-critic"},
        "verifier": {"name": "math", "mode": "lenient"},
        "evaluation": silent,
        "stages": [
            {
                "name": "sampled",
                "kind": "collect",
                "data": {"train": sums},
                "rollout": {"engine": "tests.environments.fake_engines:HalfRight", "max_new_tokens": 48},
                "collect": {"make": "responses", "samples_per_problem": 2},
            },
            {"name": "taught", **sft},
            {"name": "again", **sft},
        ],
    }
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    run_dir = tmp_path / "run"

    def planned() -> list[str]:
        return check_resume(loaded, run_dir, offline=True, allow_changes=False)

    train(loaded, run_dir, offline=True, quiet=True)
    assert planned() == ["stage sampled is complete", "stage taught is complete", "stage again is complete"]
    shutil.rmtree(run_dir / "stages" / "03-again")
    assert planned()[-1] == "stage again has not begun"
    shutil.rmtree(run_dir / "stages" / "02-taught" / "checkpoints")
    assert "02-taught has no complete checkpoint, so it starts over" in planned()[1]
    assert planned()[2] == "stage taught starts from its beginning"
    rows = run_dir / "stages" / "01-sampled" / "train.jsonl"
    rows.write_text(rows.read_text().replace('"demonstration": "', '"demonstration": " ', 1))
    with pytest.raises(UsageError, match=r"02-taught cannot be resumed.*\n  - data\.train: 1 of \d+ rows differ"):
        planned()
    rows.unlink()
    with pytest.raises(RecipeError, match=r"data\.train\.source: stage:sampled/train does not exist yet"):
        planned()
