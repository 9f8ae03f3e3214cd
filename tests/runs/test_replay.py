"""A saved run under other settings: its own settings give back its own numbers; others give those of a run that had
them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import RecipeError, UsageError
from reasonrl.runs.replay import replay
from tests.tiny_runs import rows, run, tiny, write_recipe

WARM = {
    "name": "warm-up",
    "kind": "sft",
    "sft": {"steps": 60, "rows_per_step": 16, "response": " {gold}\n"},
    "optim": {"lr": 3e-3},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    recipe = tiny(
        stages=[WARM, {"name": "rl", "kind": "rl", "train": {"steps": 4, "prompts_per_step": 15}}],
        evaluation={"before": False, "samples_per_problem": 0}, optim={"lr": 1e-6},
    )  # fmt: skip
    done = run(folder, "train", write_recipe(folder, recipe), "run_dir=run")
    assert done.returncode == 0, done.stderr
    return folder / "run" / "stages" / "02-rl"


def samples(folder: Path) -> list[dict[str, Any]]:
    return [row for row in rows(folder / "samples.jsonl") if row["kind"] == "train"]


def test_its_own_settings_give_back_its_own_numbers(trained: Path) -> None:
    made = replay(trained, [])
    saved = samples(trained)
    assert [row["reward"] for row in made.rows] == [row["reward"] for row in saved]
    assert [row["advantage"] for row in made.rows] == pytest.approx([row["advantage"] for row in saved], abs=1e-6)
    metrics = [row for row in rows(trained / "metrics.jsonl") if row["kind"] == "train"]
    for step, row in zip(made.steps, metrics, strict=True):
        assert (step.mixed, step.replayed_mixed, step.groups) == (
            row["groups/mixed"],
            row["groups/mixed"],
            row["groups/total"],
        )
        assert step.effective_share == pytest.approx(row["rollouts/effective_share"])
        assert step.budgets == step.replayed_budgets == [4] * 15
        assert step.verdicts_changed == 0
        assert step.replayed_reward == pytest.approx(step.reward) and step.replayed_advantage == pytest.approx(
            step.advantage, abs=1e-6
        )
    assert sum(step.mixed for step in made.steps) > 0, "a run without signal tests nothing"


def test_other_methods_and_other_weights(trained: Path) -> None:
    dr_grpo = replay(trained, ["train.advantage=dr_grpo"])
    for row, saved in zip(dr_grpo.rows, samples(trained), strict=True):
        assert (row["advantage"] == 0) == (saved["advantage"] == 0) and abs(row["advantage"]) <= 1
    doubled = replay(trained, ["reward.correctness.weight=2"])
    assert doubled.steps[0].replayed_reward == pytest.approx(2 * doubled.steps[0].reward)
    tempo = replay(trained, ["train.credit=tempo"])
    assert any(len(set(row["token_advantages"])) > 1 for row in tempo.rows)
    knapsack = replay(trained, ["budget={name: knapsack, high: 16}", "success_rates.min_count=2"])
    assert all(sum(step.replayed_budgets) == 60 for step in knapsack.steps)
    assert knapsack.steps[-1].replayed_budgets != [4] * 15


def test_another_verifier_judges_again(trained: Path) -> None:
    made = replay(trained, ["verifier.mode=strict"])
    assert sum(step.verdicts_changed for step in made.steps) > 0
    assert all(step.replayed_reward == 0 for step in made.steps)  # nothing is boxed


def test_what_cannot_be_replayed_says_so(trained: Path) -> None:
    with pytest.raises(RecipeError, match="remax needs the greedy"):
        replay(trained, ["train.advantage=remax"])
    with pytest.raises(RecipeError, match="KL penalty in the reward"):
        replay(trained, ["train.kl={coefficient: 0.1, estimator: k1, where: reward}"])
    with pytest.raises(RecipeError, match="d3s: needs the entropy"):
        replay(trained, ["train.d3s={}"])
    with pytest.raises(RecipeError, match="'grop' is not known"):
        replay(trained, ["train.advantage=grop"])
    with pytest.raises(UsageError, match="kind sft: it has no rewards"):
        replay(trained.parent / "01-warm-up", [])
    with pytest.raises(RecipeError, match="did you mean"):
        replay(trained, ["train.advantge=grpo"])
    assert replay(trained, ["curriculum=pcl"]).notes


def test_the_command(trained: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "replay", trained.parents[1], "train.advantage=rloo", "--output", "new.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["steps"]) == 4
    assert len(rows(tmp_path / "new.jsonl")) == 240
    shown = run(tmp_path, "replay", trained, "train.credit=tempo")
    assert shown.returncode == 0 and "mixed groups" in shown.stdout
    assert run(tmp_path, "replay", tmp_path).returncode == 2
