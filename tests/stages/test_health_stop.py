"""A run that its recipe's section `health` ends shows why: the rows of the last step and a report are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import rows, tiny, write_recipe

UNFIT = {"rollouts_per_prompt": 2, "max_new_tokens": 1, "stop": []}
"""A token is cut off before it can be an answer: no rollout is right."""


def unfit(**changes: object) -> dict[str, object]:
    return tiny(
        rollout=UNFIT,
        verifier={"mode": "strict"},
        health={"stop_after_steps_without_signal": 2},
        evaluation={"before": False, "samples_per_problem": 0},
        **changes,
    )


@pytest.mark.parametrize("staged", [False, True])
def test_the_step_that_ends_a_run_is_written_and_reported(tmp_path: Path, staged: bool) -> None:
    changes = {"stages": [{"name": "only", "kind": "rl"}]} if staged else {}
    stopped = reasonrl_in(tmp_path, "train", write_recipe(tmp_path, unfit(**changes)), "run_dir=run", "--offline")

    assert stopped.code == 1 and "step 2: stopped. no signal for 2 steps" in stopped.err, stopped.err
    folder = tmp_path / "run/stages/01-only" if staged else tmp_path / "run"
    assert [row["step"] for row in rows(folder / "metrics.jsonl")] == [1, 2]
    assert {row["step"] for row in rows(folder / "samples.jsonl")} == {1, 2}
    assert (folder / "report.html").exists() and "report: " in stopped.out + stopped.err


def test_a_run_that_breaks_before_its_first_step_leaves_no_report(tmp_path: Path) -> None:
    (tmp_path / "breaks.py").write_text("def reward(responses, problems):\n    raise KeyError('x')\n")
    recipe = unfit(reward={"correctness": {"weight": 1.0}, "mine": {"weight": 1.0, "function": "breaks:reward"}})
    broken = reasonrl_in(tmp_path, "train", write_recipe(tmp_path, recipe), "run_dir=run", "--offline")

    assert broken.code in (1, 2) and "KeyError" in broken.err, broken.err
    assert not (tmp_path / "run/report.html").exists()
