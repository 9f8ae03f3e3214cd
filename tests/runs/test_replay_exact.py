"""Under its own settings a replay gives the run's own rewards, advantages and budgets, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import RecipeError, UsageError
from reasonrl.runs.replay import Replay, replay
from reasonrl.stages.rl import RLStage
from tests.environments.scripted_partner import THREE_TURNS
from tests.runs.fake_run import write_rows
from tests.stages.test_rl import Scripted, gold
from tests.tiny_runs import context, merged, rows, tiny

COLUMNS = ("reward", "advantage", "token_advantages")
MIXED = {
    "reward": {
        "form": {"weight": 0.1, "verifier": {"name": "format", "pattern": "integer"}},
        "letters": {"weight": 0.3, "function": "tests.environments.scripted_partner:by_letters"},
        "correctness": 0.7,
    },
    "budget": {"name": "knapsack", "low": 2, "high": 9},
    "success_rates": {"min_count": 2},
}


def difficult(question: str, seen: int) -> tuple[str, str]:
    """Small sums are always solved, large ones seldom; some answers are cut off."""
    value = eval(question)
    text = gold(question) if value < 8 or (seen * 7 + value) % (value // 3) == 0 else f" {90 + value}\n"
    return text, "length" if (seen + value) % 11 == 0 else "stop"


def trained(folder: Path, recipe: dict[str, Any], steps: int, *, scripted: bool = True) -> Path:
    """A run folder of a few steps that were made in this process."""
    made = context(folder, recipe)
    if scripted:
        made.engine = Scripted(made, difficult)
    stage = RLStage(made)
    for step in range(1, steps + 1):
        made.folder.add_metrics(stage.run_step(step))
    made.folder.close()
    (made.folder.path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return made.folder.path


def own_numbers(run: Path) -> Replay:
    """The replay under the run's own settings, after the comparison with the run."""
    result, saved = replay(run, []), rows(run / "samples.jsonl")
    for column in COLUMNS:
        assert [row.get(column) for row in result.rows] == [row.get(column) for row in saved], column
    assert all(step.budgets == step.replayed_budgets for step in result.steps)
    metrics = rows(run / "metrics.jsonl")
    assert [len(step.budgets) for step in result.steps] == [row["groups/total"] for row in metrics]
    assert [step.replayed_mixed for step in result.steps] == [row["groups/mixed"] for row in metrics]
    assert any(row["advantage"] for row in saved), "a run without signal tests nothing"
    return result


@pytest.mark.parametrize("masks", [False, True])
def test_budgets_of_a_refill_are_given_out_round_by_round(tmp_path: Path, masks: bool) -> None:
    refill = {"enabled": True, "max_rounds": 3}
    changes: dict[str, Any] = {
        "budget": MIXED["budget"], "success_rates": MIXED["success_rates"],
        "train": {"refill": refill, "mask_truncated": masks}, "data": {"train": {"options": {"size": 12}}},
    }  # fmt: skip
    run = trained(tmp_path, tiny(**changes), 8)
    result = own_numbers(run)
    assert max(len(step.budgets) for step in result.steps) > 4, "no refill tests nothing"
    assert any(len(set(step.budgets)) > 1 for step in result.steps), "uniform budgets test nothing"
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("enabled: true", "enabled: false"))
    at_once = replay(run, [])
    assert [step.replayed_budgets for step in at_once.steps] != [step.budgets for step in result.steps]


def test_sums_of_several_parts_are_the_trainers(tmp_path: Path) -> None:
    run = trained(tmp_path, tiny(**MIXED, train={"credit": "tempo"}), 3)
    own_numbers(run)
    assert len({row["reward"] for row in rows(run / "samples.jsonl")}) > 4


def test_episodes_of_several_turns_are_replayed(tmp_path: Path) -> None:
    run = trained(tmp_path, merged(THREE_TURNS, {"train": {"credit": "tempo"}}), 2, scripted=False)
    result = own_numbers(run)
    assert all(0 < sum(row["loss_mask"]) < len(row["loss_mask"]) for row in result.rows)
    assert replay(run, ["train.advantage=rloo"]).rows != result.rows


def test_an_episode_whose_partner_failed_stays_unjudged(tmp_path: Path) -> None:
    rollout = {**THREE_TURNS["rollout"], "environment": "tests.environments.scripted_partner:Unreachable"}
    run = trained(tmp_path, {**THREE_TURNS, "rollout": rollout}, 1, scripted=False)
    own_numbers(run)
    part = "reward.form={weight: 0.5, verifier: {name: format, pattern: integer}}"
    for overrides in (["verifier.mode=strict"], ["verifier.mode=strict", part]):
        result = replay(run, overrides)
        for row in result.rows:
            assert (row["reward"] is None) == bool(row["rollout"] % 2)
        assert result.notes and "verdicts: those of the environment" in result.notes[0]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("logprobs", None, "its field 'logprobs' is not a list of numbers"),
        ("logprobs", [None, None], "its field 'logprobs' holds null"),
        ("advantage", None, "its field 'advantage' is null"),
        ("group", "0", "its field 'group' is not a whole number"),
        ("verdicts", {}, "its field 'verdicts' lacks 'correctness'"),
        ("reward_parts", {}, "its field 'reward_parts' is empty"),
        ("response_ids", ..., "it lacks 'response_ids'"),
        ("reference", ..., "it lacks 'reference'"),
    ],
)
def test_a_row_without_what_a_replay_needs_is_named(tmp_path: Path, field: str, value: Any, says: str) -> None:
    row = {
        "kind": "train", "step": 1, "mode": "train", "problem_id": "a", "problem_kind": "math", "rollout": 0,
        "prompt": "1 + 1 =", "response": " 2", "finish_reason": "stop", "reference": {"answer": "2"}, "group": 0,
        "response_ids": [1, 2], "logprobs": [-1.0, -1.0], "reward": 1.0, "reward_parts": {"correctness": 1.0},
        "verdicts": {"correctness": {"correct": True, "score": 1.0, "status": "judged"}}, "advantage": 0.0,
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny()))
    bad = {key: inner for key, inner in (row | {field: value}).items() if inner is not ...}
    write_rows(tmp_path / "samples.jsonl", [row, row])
    assert len(replay(tmp_path, []).rows) == 2
    write_rows(tmp_path / "samples.jsonl", [row, bad])
    with pytest.raises(UsageError, match=rf"samples.jsonl, row 2: {says}"):
        replay(tmp_path, [])


def test_what_needs_a_value_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny()))
    with pytest.raises(RecipeError, match=r"train.advantage: shrinkage needs the predictions of a value model"):
        replay(tmp_path, ["train.advantage=shrinkage"])
