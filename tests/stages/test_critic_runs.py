"""Critic recipes of several stages as a user runs them: one command, every file, killed and resumed, inspected,
evaluated.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from critics.canaries import KINDS
from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import load_recipe
from reasonrl.setup.run_models import model_for_role
from reasonrl.stages.run import train
from tests.e2e.commands import Result, reasonrl_in
from tests.engines.fake_server import running
from tests.tiny_runs import (
    command,
    environment,
    rows,
    run,
    write_recipe,
)

FORMAT = {"name": "step_sentence", "instruction": "Check.", "refine_instruction": "Again."}
ROOT = Path(__file__).parents[2]
COLLECTED = {"train": {"source": "stage:solutions/train"}, "heldout": {"sums": {"source": "stage:solutions/sums"}}}

CRITIC: dict[str, Any] = {
    "name": "critic",
    "seed": 1,
    "threads": 1,
    "model": {"path": "tiny-critic"},
    "verifier": {"name": "math", "mode": "lenient"},
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 6},
    "evaluation": {"samples_per_problem": 0},
    "optim": {"lr": 1e-3},
    "train": {"steps": 2, "prompts_per_step": 3},
    "critic": {"format": FORMAT, "refine": {"refinements": 2, "actor": {"model": "stage:actor", "max_new_tokens": 5}}},
    "stages": [
        {
            "name": "actor",
            "kind": "sft",
            "critic": None,
            "data": {
                "train": {
                    "source": "step_arithmetic",
                    "options": {"size": 12, "terms": 3, "tasks": {"solve": 1, "refine": 1}, "format": FORMAT},
                }
            },
            "sft": {"steps": 2, "rows_per_step": 4, "response": "{demonstration}"},
        },
        {
            "name": "solutions",
            "kind": "collect",
            "data": {
                "train": {"source": "step_arithmetic", "options": {"size": 20, "terms": 3, "seed": 2}},
                "heldout": {
                    "sums": {"source": "step_arithmetic", "options": {"size": 12, "terms": 3, "split": "test"}}
                },
            },
            "rollout": {"engine": "tests.environments.fake_engines:HalfRight", "max_new_tokens": 48},
            "collect": {
                "samples_per_problem": 2,
                "steps": "lines",
                "labeller": "reasonrl.data.step_demonstrations:label",
                "demonstrator": "reasonrl.data.step_demonstrations:demonstration",
            },
        },
        {
            "name": "demonstrations",
            "kind": "sft",
            "init_from": "actor",
            "data": COLLECTED,
            "sft": {"steps": 2, "rows_per_step": 4, "response": "{demonstration}"},
        },
        {"name": "judge", "kind": "rl", "data": COLLECTED},
        {"name": "help", "kind": "rl", "data": COLLECTED, "critic": {"phase": 2}, "checkpoint": {"every_steps": 1}},
    ],
}


def runs(folder: Path, *arguments: str | Path, code: int = 0) -> Result:
    result = reasonrl_in(folder, *arguments)
    assert result.code == code, result.out + result.err
    return result


def runs_alone(folder: Path, *arguments: str | Path) -> None:
    """The command in a process of its own, as the one that is killed has."""
    made = run(folder, *arguments, env={**environment(), "PYTHONPATH": str(ROOT)})
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("critic")
    runs_alone(folder, "critic", "train", write_recipe(folder, CRITIC), "run_dir=whole", "-q", "--offline")
    return folder


def test_every_stage_leaves_its_files(finished: Path) -> None:
    stages = sorted((finished / "whole" / "stages").iterdir())
    assert [stage.name for stage in stages] == ["01-actor", "02-solutions", "03-demonstrations", "04-judge", "05-help"]
    counts = json.loads((stages[1] / "collect.json").read_text())
    assert counts["train"]["sampled"] == 40 and counts["train"]["kept"] > 0
    collected = rows(stages[1] / "train.jsonl")
    assert sum(row["reference"]["correct"] for row in collected) * 2 == len(collected), "balanced"
    for row in collected:
        reference = row["reference"]
        assert (reference["first_error"] == -1) == reference["correct"] and reference["demonstration"].count(
            "Step sentence"
        ) >= 1
    assert not {row["meta"]["question"] for row in collected} & {
        row["meta"]["question"] for row in rows(stages[1] / "sums.jsonl")
    }


def test_a_run_in_stages_has_one_page(finished: Path) -> None:
    page = (finished / "whole" / "report.html").read_text()
    for name in ("01-actor", "03-demonstrations", "04-judge", "05-help"):
        assert (
            f'href="stages/{name}/report.html"' in page
            and (finished / "whole" / "stages" / name / "report.html").exists()
        )
    assert "40 sampled" in page and "right after refinement" in page and "errors found" in page
    assert "&lt;- the first wrong step" in page, "rows of what was collected"
    (finished / "whole" / "report.html").unlink()
    assert runs(finished, "report", "whole").out.strip() == "whole/report.html"
    assert (finished / "whole" / "report.html").read_text() == page


def test_a_stop_while_solutions_are_collected_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gathered in one piece; the stage after it is not begun."""
    gathered: list[Path] = []

    def gather(kind: Any, recipe: Any, folder: Path, session: Any) -> Path:
        gathered.append(folder)
        os.kill(os.getpid(), signal.SIGTERM)
        return folder

    monkeypatch.setattr("reasonrl.stages.collect.Collect.run", gather)
    stages = [CRITIC["stages"][1], {**CRITIC["stages"][2], "init_from": "tiny-critic"}]
    recipe = write_recipe(tmp_path, {**CRITIC, "stages": stages, "critic": {"format": FORMAT}})
    with pytest.raises(KeyboardInterrupt):
        train(load_recipe(str(recipe)), tmp_path / "run", offline=True, quiet=True)
    assert len(gathered) == 1 and not (tmp_path / "run" / "stages" / "02-demonstrations").exists()


def test_refinements_are_in_samples_and_metrics(finished: Path) -> None:
    last = finished / "whole" / "stages" / "05-help"
    trained = [row for row in rows(last / "samples.jsonl") if row["kind"] == "train"]
    assert len(trained) == 2 * 3 * 4
    for row in trained:
        assert [other["role"] for other in row["others"]] == ["actor", "actor"] and len(
            row["critique"]["refinements"]
        ) == 2
        assert (
            set(row["reward_parts"]) == {"correctness", "critic", "refined"}
            and row["reward"] == row["reward_parts"]["critic"]
        )
    before = next(row for row in rows(last / "metrics.jsonl") if row["kind"] == "eval")
    assert before["eval/sums/greedy_refine_before"] == 0.5 and before["eval/sums/greedy_parse_rate"] <= 1
    # Stage I asks no actor in training, but held-out critiques are refined on.
    first = finished / "whole" / "stages" / "04-judge"
    assert all("others" not in row for row in rows(first / "samples.jsonl") if row["kind"] == "train")
    assert any("eval/sums/greedy_refine" in row for row in rows(first / "metrics.jsonl"))


def test_evaluation_of_a_run_and_of_a_moved_one(finished: Path) -> None:
    made = json.loads(runs(finished, "eval", "whole", "--n", "0", "--json", "--offline").out)
    assert made["metrics"]["eval/sums/greedy_refine_before"] == 0.5
    compared = json.loads(runs(finished, "eval", "whole", "--n", "0", "--json", "--offline", "--controls").out)[
        "metrics"
    ]
    for control in ("empty", "shuffled", "indicative"):
        name = f"eval/sums/greedy_refine_{control}"
        assert compared[f"{name}_low"] <= compared[name] <= compared[f"{name}_high"]
    assert (
        "--controls needs refinements"
        in runs(finished, "eval", "whole/stages/01-actor", "--controls", "--data", "x.jsonl", code=2).err
    )
    moved = finished / "moved" / "elsewhere"
    shutil.copytree(finished / "whole", moved)
    again = json.loads(runs(finished, "eval", moved, "--n", "0", "--json", "--offline").out)
    assert again["metrics"] == made["metrics"]


def test_critic_eval_of_a_run(finished: Path) -> None:
    data = finished / "whole" / "stages" / "02-solutions" / "sums.jsonl"
    text = runs(finished, "critic", "eval", "whole", "--data", data, "--output", "out", "--n", "2", "--offline").out
    for figure in (
        "parsed",
        "error accuracy",
        "false alarms",
        "f1",
        "f1 (vote)",
        "answer accuracy",
        "answer false alarms",
    ):
        assert figure in text, text
    kept = rows(finished / "out" / "samples.jsonl")
    assert {row["rollout"] for row in kept} == {0, 1} and json.loads((finished / "out" / "results.json").read_text())[
        "format"
    ] == "step_sentence"
    assert (
        "already holds results"
        in runs(finished, "critic", "eval", "whole", "--data", data, "--output", "out", code=2).err
    )


def test_critic_eval_judges_canaries(finished: Path) -> None:
    data = finished / "whole" / "stages" / "02-solutions" / "sums.jsonl"
    words = ("critic", "eval", "whole", "--data", data, "--offline", "--limit", "6", "--temperature", "1")
    plain = json.loads(runs(finished, *words, "--json").out)
    text = runs(finished, *words, "--canaries", "3", "--output", "canaries").out
    for kind in KINDS:
        assert kind in text, text
    results = json.loads((finished / "canaries" / "results.json").read_text())
    assert "canaries" not in plain and results["subsets"] == plain["subsets"], "the other figures stay as they are"
    samples = rows(finished / "canaries" / "samples.jsonl")
    assert [row["mode"] for row in samples] == ["sampled"] * 6 + ["greedy"] * (len(samples) - 6)
    counts = Counter(row["canary"]["kind"] for row in samples if "canary" in row)
    assert counts == {kind: figures["n"] for kind, figures in results["canaries"].items()}
    # tiny-critic has 512 positions: what is too long for it is left out and counted
    assert counts["blank"] == counts["incorrect"] == 3
    assert sum(counts.values()) + results["canaries_too_long"] == 3 * len(KINDS)
    again = json.loads(runs(finished, *words, "--canaries", "3", "--json").out)
    assert again["canaries"] == results["canaries"]
    assert "--canaries" in runs(finished, *words, "--canaries", "-1", code=2).err


def test_commands_refuse_what_is_no_critic(finished: Path) -> None:
    assert "trains no critic" in runs(finished, "critic", "train", "smoke", code=2).err
    data = finished / "whole" / "stages" / "02-solutions" / "sums.jsonl"
    actor = finished / "whole" / "stages" / "01-actor"
    assert "trained no critic" in runs(finished, "critic", "eval", actor, "--data", data, code=2).err
    assert (
        "no OpenAI-compatible server"
        in runs(finished, "critic", "eval", "http://127.0.0.1:9/v1", "--data", data, code=2).err
    )
    plain = finished / "plain.jsonl"
    plain.write_text('{"prompt": "1 + 1", "kind": "math", "answer": "2"}\n')
    assert "a critic judges solutions" in runs(finished, "critic", "eval", "whole", "--data", plain, code=2).err


def test_a_critic_is_no_actor_and_a_run_stands_for_its_newest_model(finished: Path) -> None:
    stages = finished / "whole" / "stages"
    assert model_for_role("actor", str(stages / "01-actor")) == str(stages / "01-actor" / "checkpoints" / "step-000002")
    assert model_for_role("critic", str(finished / "whole")).endswith("05-help/checkpoints/step-000002")
    for name in (finished / "whole", stages / "04-judge", stages / "04-judge" / "checkpoints" / "step-000002"):
        with pytest.raises(RecipeError, match=r"was trained as a critic .*which does not solve"):
            model_for_role("actor", str(name))
    assert model_for_role("actor", "smollm2-135m") == "smollm2-135m"


def test_a_stage_stands_for_its_model(finished: Path) -> None:
    """A run is begun where another one has ended, by its folder: what the control of critique_rl does."""
    stages = finished / "whole" / "stages"
    data = {"train": {"source": str(stages / "02-solutions" / "train.jsonl"), "limit": 4}}
    sft = {
        **{k: CRITIC[k] for k in ("name", "seed", "threads", "verifier", "evaluation")},
        "kind": "sft",
        "critic": {"format": FORMAT},
    }
    recipe = write_recipe(
        finished,
        {**sft, "model": {"path": str(stages / "03-demonstrations")}, "data": data, "sft": {"steps": 1}},
        "go-on.yaml",
    )
    assert "0.8 M parameters" in runs(finished, "train", recipe, "--dry-run", "--offline").out
    text = runs(finished, "train", recipe, "run_dir=gone-on", "--offline").out
    assert "03-demonstrations/checkpoints/step-000002" in text


def test_a_dry_run_names_what_is_collected_later(finished: Path) -> None:
    text = runs(finished, "critic", "train", finished / "tiny.yaml", "--dry-run", "--offline").out
    assert "comes from stage:solutions/train" in text and "collects        " in text
    assert "is taught       " in text and "  gold response   " in text


@pytest.mark.slow
def test_the_actor_can_be_a_server(tmp_path: Path) -> None:
    """One key of the recipe. A server that breaks masks the episodes, and the run says why."""
    recipe = write_recipe(tmp_path, CRITIC)
    with running() as server:
        server.models = ("m",)
        address = f"critic.refine.actor.model=http://127.0.0.1:{server.server_port}/v1"
        runs(tmp_path, "critic", "train", recipe, address, "run_dir=served", "-q", "--offline")
        assert server.asked and all(body["model"] == "m" and body["max_tokens"] == 5 for body in server.asked)
        trained = [
            row for row in rows(tmp_path / "served" / "stages" / "05-help" / "samples.jsonl") if row["kind"] == "train"
        ]
        assert all(
            other["text"].isupper() or not other["text"].strip("0123456789 +-=\n")
            for row in trained
            for other in row["others"]
        )
        server.mode = "broken"
        address += " run_dir=broken health.max_unjudged_share=1.0"
        made = runs(tmp_path, "critic", "train", recipe, *address.split(), "--offline")
        broken = [
            row for row in rows(tmp_path / "broken" / "stages" / "05-help" / "samples.jsonl") if row["kind"] == "train"
        ]
        assert all(row["reward"] is None and row["verdicts"]["refined"]["status"] == "error" for row in broken)
        assert "the answer cannot be read" in made.out + made.err
        first = rows(tmp_path / "broken" / "stages" / "05-help" / "metrics.jsonl")
        assert next(row for row in first if row["kind"] == "train")["rollouts/masked"] == 12


def comparable(folder: Path) -> dict[str, Any]:
    """Everything of a run but times, memory and what names a session."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name in ("metrics.jsonl",):
            found[name] = [
                {k: v for k, v in row.items() if not k.startswith(("time/", "memory/"))} for row in rows(path)
            ]
        elif path.name in ("samples.jsonl", "train.jsonl", "sums.jsonl"):
            found[name] = [_timeless(row) for row in rows(path)]
        elif path.suffix == ".safetensors":
            found[name] = path.read_bytes()
    return found


def _timeless(value: Any) -> Any:
    """Without the seconds that a verdict took."""
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key != "seconds"}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize(
    "marker",
    ["stages/02-solutions", "stages/03-demonstrations/metrics.jsonl", "stages/05-help/checkpoints/step-000001"],
)
def test_killed_in_any_stage_and_resumed_it_ends_the_same(finished: Path, tmp_path: Path, marker: str) -> None:
    recipe = write_recipe(tmp_path, CRITIC)
    arguments = command("critic", "train", recipe, "run_dir=killed", "-q", "--offline")
    env = {**environment(), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(arguments, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 100
    while not (tmp_path / "killed" / marker).exists():
        assert process.poll() is None and time.monotonic() < deadline, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    runs_alone(tmp_path, "critic", "train", recipe, "run_dir=killed", "-q", "--offline", "--resume")
    assert comparable(tmp_path / "killed") == comparable(finished / "whole")
