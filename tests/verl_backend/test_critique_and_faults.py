"""Two turns on verl, and what happens when something of it dies (more of that in `make soak-verl`)."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.environments.base import Episode, Review, Trajectory
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.reviews import review_rewards
from reasonrl.runs.checkpoint import list_checkpoints
from tests.verl_backend.conftest import DEATHS, FaultyRun
from tests.verl_backend.recipes import EVERYTHING, launch, processes_of
from verifiers.types import Problem, Status, Verdict

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_critic_is_trained_on_what_becomes_of_its_critiques(critic_run: Path) -> None:
    """Critique, then two refinements by the same weights; only the critique carries loss."""
    stage = critic_run / "stages" / "03-critic"
    steps = [row for row in rows(stage / "metrics.jsonl") if row["kind"] == "train"]
    assert [row["step"] for row in steps] == [1, 2] and all(row["rollouts/failed"] == 0 for row in steps)
    assert all(row["policy/rollout_gap_max"] < 1e-3 for row in steps)
    samples = [row for row in rows(stage / "samples.jsonl") if row["kind"] == "train"]
    assert len(samples) == 2 * 4 * 4
    judged_wrong = [row for row in samples if row["critique"]["judgement"] == "incorrect"]
    assert judged_wrong and all(len(row["others"]) == 2 for row in judged_wrong), (
        "two refinements of what was judged wrong"
    )
    assert all(turn["role"] == "actor" and turn["text"] for row in judged_wrong for turn in row["others"])
    found = [row for row in rows(stage / "metrics.jsonl") if row["kind"] == "eval"][-1]
    assert (
        0
        <= found["eval/balanced/greedy_low"]
        <= found["eval/balanced/greedy"]
        <= found["eval/balanced/greedy_high"]
        <= 1
    )


def test_a_critic_in_the_reward_is_worth_what_the_trainer_has_seen(critic_run: Path) -> None:
    """Workers ask the critic, the trainer calibrates: the values of the second step follow from the reviews of the
    first.
    """
    stage = critic_run / "stages" / "04-policy"
    samples = [row for row in rows(stage / "samples.jsonl") if row["kind"] == "train"]
    steps = {row["step"]: row for row in rows(stage / "metrics.jsonl") if row["kind"] == "train"}
    assert len(samples) == 2 * 4 * 4 and set(steps) == {1, 2}
    recipe = parse_recipe((stage / "recipe.yaml").read_text(), "test").stages[0]
    (part,) = review_rewards(recipe)
    for step in (1, 2):
        episodes = [episode_of(row) for row in samples if row["step"] == step]
        assert any(episode.reviews["process"].score is not None for episode in episodes), "the critic was asked"
        assert steps[step].items() >= part.metrics(episodes).items()
        part.assign(episodes, step=step, drawn=0)
        for episode, row in zip(episodes, [row for row in samples if row["step"] == step], strict=True):
            assert episode.reward_parts == pytest.approx(row["reward_parts"])
            total = row["reward_parts"]["correctness"] + 0.3 * row["reward_parts"]["process"]
            assert row["reward"] == pytest.approx(total)
        part.observe(episodes)


def episode_of(row: dict[str, Any]) -> Episode:
    verdict = row["verdicts"]["correctness"]
    return Episode(
        Problem(row["problem_id"], "", "math", {}),
        row["rollout"],
        0,
        [Trajectory("policy", [1], [2], [True], [0.0], row["response"], row["finish_reason"])],
        {"correctness": Verdict(**verdict | {"status": Status(verdict["status"])})},
        {"correctness": row["reward_parts"]["correctness"]},
        reviews={"process": Review(**row["reviews"]["process"])},
    )


def test_what_dies_ends_the_run_with_its_name_and_the_next_continues(faulty_run: FaultyRun) -> None:
    """A launch ends because something of it dies in the middle of a step, and the next continues from there."""
    for victim in faulty_run.victims:
        step, name, ended = int(victim[-1]), DEATHS[victim], faulty_run.launches[victim]
        assert ended.code == 1, ended.output[-3000:]
        assert (
            re.search(rf"verl ended with 1: step {step}: .*{name}.* has died; its last output", ended.output)
            and "--resume" in ended.output
        ), ended.output[-2000:]
        assert "Traceback" not in ended.output
        assert ended.saved_steps == list(range(1, step))
    train = [row for row in rows(faulty_run.stage / "metrics.jsonl") if row["kind"] == "train"]
    assert [row["step"] for row in train] == [1, 2, 3]


def test_what_is_stuck_is_masked_and_counted_and_the_others_are_learnt_from(faulty_run: FaultyRun) -> None:
    train = [row for row in rows(faulty_run.stage / "metrics.jsonl") if row["kind"] == "train"]
    samples = [row for row in rows(faulty_run.stage / "samples.jsonl") if row["kind"] == "train"]
    assert not any(int(row["reference"]["answer"]) % 4 == 0 for row in samples)
    stuck = [row["rollouts/failed"] for row in train]
    assert sum(stuck) > 0 and len(samples) == 3 * 32 - sum(stuck), "every rollout is kept or counted"
    log = (faulty_run.stage / "verl" / "log.txt").read_text(errors="replace")
    assert "no verdict after 2 s (verl.judge_timeout_s)" in log and "they are left out" in log


@pytest.mark.soak
def test_ctrl_c_stops_behind_a_checkpoint_and_twice_at_once(tmp_path: Path) -> None:
    recipe = yaml.safe_load(yaml.safe_dump(EVERYTHING))
    recipe |= {"curriculum": {"name": "uniform"}, "evaluation": {"before": False, "samples_per_problem": 0}}
    train = {"steps": 500, "prompts_per_step": 8, "updates_per_step": 2, "loss_aggregation": "sequence_mean"}
    recipe["stages"][1]["train"] = train | {"refill": {"enabled": True, "max_rounds": 2}}
    recipe["stages"][1] |= {"checkpoint": {}}
    recipe["budget"] = {"name": "uniform"}
    recipe["stages"][0]["sft"]["steps"] = 20
    stage = tmp_path / "run" / "stages" / "02-grpo"

    def wait_for_a_step(process: subprocess.Popen[str], shown: str) -> None:
        deadline = time.monotonic() + 200
        while (
            shown not in (tmp_path / "out.txt").read_text() and process.poll() is None and time.monotonic() < deadline
        ):
            time.sleep(0.1)
        assert process.poll() is None and shown in (tmp_path / "out.txt").read_text(), (
            tmp_path / "out.txt"
        ).read_text()[-3000:]

    process = launch(recipe, tmp_path)
    wait_for_a_step(process, " 2/500 ")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=100) == 130, (tmp_path / "out.txt").read_text()[-3000:]
    said = (tmp_path / "out.txt").read_text()
    assert "stopping after this step and its checkpoint" in said and "--resume" in said and "Traceback" not in said
    (saved,) = list_checkpoints(stage / "checkpoints")
    steps = rows(stage / "metrics.jsonl")
    assert [row["step"] for row in steps] == list(range(1, saved.step + 1))
    assert any(row["rollouts/total"] > 32 for row in steps), (
        "more prompts were drawn where too few groups had something to compare"
    )
    for row in steps:
        assert row["groups/mixed"] >= 8 or row["rollouts/total"] >= 32 + 2 * 4, (
            "and as many rounds as the recipe allows"
        )
        assert row["rollouts/trained"] == 4 * row["groups/mixed"] < row["rollouts/total"] and math.isfinite(
            row["loss/policy"]
        )

    process = launch(recipe, tmp_path, "--resume")
    wait_for_a_step(process, f" {saved.step + 1}/500 ")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130, (tmp_path / "out.txt").read_text()[-3000:]
    deadline = time.monotonic() + 20
    while (left := processes_of(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, f"still there: {left}"
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "run", "out.txt"}, (
        "nothing is written beside the run"
    )
