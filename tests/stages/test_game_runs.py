"""SPC as a recipe: collect, play, learn offline; rounds that use what earlier ones left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.stages.test_critic_runs import runs
from tests.tiny_runs import rows, write_recipe

TAG = {"name": "answer_tag", "instruction": "Check."}
COLLECTED = {"source": "stage:solutions/train"}
HELDOUT = {"steps": {"source": "stage:judged/steps"}}
LABELS = {"steps": "lines", "labeller": "reasonrl.data.step_demonstrations:label"}
WORLD = {"terms": 3, "high": 9}
SHOWN = {"source": "step_arithmetic", "options": {**WORLD, "size": 8, "tasks": {"critique": 1}, "format": TAG}}

SPC: dict[str, Any] = {
    "name": "spc",
    "seed": 1,
    "threads": 1,
    "model": {"path": "tiny-critic"},
    "verifier": {"name": "math", "mode": "lenient"},
    "rollout": {"rollouts_per_prompt": 2, "max_new_tokens": 48},
    "evaluation": {"samples_per_problem": 0},
    "optim": {"lr": 1e-3},
    "critic": {"format": TAG, "target": "last_step", "reward": "spc"},
    "stages": [
        {
            "name": "start",
            "kind": "sft",
            "critic": None,
            "data": {
                "train": {
                    "source": "step_arithmetic",
                    "options": {
                        **WORLD,
                        "size": 12,
                        "tasks": {"solve": 1, "spoil": 1},
                        "sneaky_prompt": {"instruction": "Spoil."},
                    },
                }
            },
            "sft": {"steps": 2, "rows_per_step": 4, "response": "{demonstration}"},
        },
        {
            "name": "solutions",
            "kind": "collect",
            "data": {"train": {"source": "step_arithmetic", "options": {**WORLD, "size": 20, "seed": 2}}},
            "rollout": {"engine": "tests.environments.fake_engines:HalfRight"},
            "collect": {**LABELS, "balance": "none"},
        },
        {
            "name": "judged",
            "kind": "collect",
            "data": {
                "train": {"source": "step_arithmetic", "options": {**WORLD, "size": 12, "seed": 3}},
                "heldout": {"steps": {"source": "step_arithmetic", "options": {**WORLD, "size": 12, "split": "test"}}},
            },
            "rollout": {"engine": "tests.environments.fake_engines:HalfRight"},
            "collect": {
                **LABELS,
                "cut": "last_step",
                "demonstrator": "reasonrl.data.step_demonstrations:demonstration",
            },
        },
        {
            "name": "game-1",
            "kind": "game",
            "data": {"train": COLLECTED},
            "rollout": {"engine": "tests.environments.fake_engines:Players"},
            "game": {
                "sneaky": "stage:start",
                "solver": "stage:start",
                "critic": "stage:start",
                "completions": 2,
                "prompt": {"instruction": "Spoil."},
            },
        },
        {
            "name": "critic-1",
            "kind": "offline",
            "init_from": "start",
            "data": {
                "train": {"source": "stage:game-1/critic"},
                "replay": [{"source": "stage:judged/train"}, SHOWN],
                "heldout": HELDOUT,
            },
            "offline": {"steps": 2, "rows_per_step": 8, "replay_rows_per_step": 4},
        },
        {
            "name": "sneaky-1",
            "kind": "offline",
            "init_from": "start",
            "critic": None,
            "data": {"train": {"source": "stage:game-1/sneaky"}},
            "offline": {"steps": 1, "rows_per_step": 8},
        },
    ],
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spc")
    runs(folder, "critic", "train", write_recipe(folder, SPC), "run_dir=run", "--offline")
    return folder / "run" / "stages"


def test_the_game_is_recorded(played: Path) -> None:
    counts = json.loads((played / "04-game-1" / "game.json").read_text())
    assert counts["validated"] == counts["games"] > 0
    for figure in ("sneaky wins", "critic: error recall", "critic: correct recall"):
        assert (
            counts[figure]["n"] == counts["validated"]
            and counts[figure]["low"] <= counts[figure]["estimate"] <= counts[figure]["high"]
        )
    games = rows(played / "04-game-1" / "games.jsonl")
    assert all(game["before"] == 1.0 and game["after"] == 0.0 and game["original"] != game["spoilt"] for game in games)
    said = rows(played / "04-game-1" / "critic.jsonl")
    page = (played.parent / "report.html").read_text()
    assert "critic: error recall" in page and "game-1: the first games" in page
    assert len(said) == 2 * len(games) and {row["reference"]["reward"] for row in said} == {1.0, -1.0}


def test_critic_and_generator_learn_from_it(played: Path) -> None:
    critic = rows(played / "05-critic-1" / "metrics.jsonl")
    steps = [row for row in critic if row["kind"] == "offline"]
    assert len(steps) == 2 and all(row["loss/sft"] != 0 and row["optim/grad_norm"] > 0 for row in steps)
    assert steps[0]["loss/policy"] == pytest.approx(-steps[0]["reward/mean"], abs=1e-4), "the ratio is 1 at first"
    evaluated = [row for row in critic if row["kind"] == "eval"]
    assert [row["step"] for row in evaluated] == [0, 2] and "eval/steps/greedy" in evaluated[0]
    assert {f"eval/steps/greedy_{name}" for name in ("error_recall", "correct_recall", "false_alarm")} <= set(
        evaluated[0]
    )
    assert "eval/steps/greedy_process_f1" not in evaluated[0], "one step is judged; which one is wrong is no question"
    assert rows(played / "06-sneaky-1" / "metrics.jsonl")[-1]["kind"] == "offline"


def test_steps_to_judge_end_where_they_should(played: Path) -> None:
    for row in rows(played / "03-judged" / "steps.jsonl"):
        reference = row["reference"]
        assert reference["correct"] is None and reference["first_error"] in (-1, len(reference["steps"]) - 1)


def offline_recipe(folder: Path, played: Path, **data: Any) -> Path:
    stage = {"kind": "offline", "data": {"train": {"source": str(played / "04-game-1" / "critic.jsonl")}, **data}}
    return write_recipe(folder, {key: value for key, value in SPC.items() if key != "stages"} | stage)


def test_the_dry_run_shows_what_was_said(played: Path, tmp_path: Path) -> None:
    told = runs(tmp_path, "train", offline_recipe(tmp_path, played, replay=SHOWN), "--dry-run", "--offline").out
    assert "was said" in told and "<Answer>" in told


def test_what_is_replayed_shows_what_to_say(played: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.jsonl"
    bare.write_text(json.dumps({"id": "b7", "prompt": "1 + 1", "answer": "2"}) + "\n")
    recipe = offline_recipe(tmp_path, played, replay=[SHOWN, {"source": str(bare)}])
    failed = runs(tmp_path, "train", recipe, "run_dir=run", "--offline", code=2)
    assert (
        "data.replay.1: problem b7 is not a solution to judge" in failed.err
        and not (tmp_path / "run" / "checkpoints").exists()
    )


def test_bad_games(tmp_path: Path) -> None:
    first = SPC["stages"][:2]
    for change, message in (
        ({"game": {"prompt": {"instructions": "x"}}}, "unknown text instructions"),
        ({"game": {"prompt": {"error_types": []}}}, "expected a list of at least one text, got []"),
        ({"game": {"prompt": {"instruction": ["x"]}}}, "expected one text, got"),
        ({"game": {"sneaky": "stage:solutions"}}, "writes problems, not a model"),
        ({"critic": None}, "a game needs this section"),
        ({"critic": {"reward": "spc", "target": "answer"}}, "write target: last_step"),
    ):
        game = {**SPC["stages"][3], **change}
        recipe = write_recipe(tmp_path, {**SPC, "stages": [*first, game]}, f"{len(message)}.yaml")
        code = 2
        assert message in runs(tmp_path, "train", recipe, f"run_dir={len(message)}", "-q", "--offline", code=code).err
