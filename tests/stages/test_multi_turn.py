"""Training in environments of several turns: what is learnt from, what is counted, and that no speed matters."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.models.tiny import CRITIC, build_tokenizer
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.rl import RLStage
from reasonrl.trainer.timer import Timer
from reasonrl.update.rollouts import StepRollouts
from tests.e2e.commands import reasonrl_in
from tests.environments.scripted_partner import REPLIES, THREE_TURNS
from tests.tiny_runs import context, merged, rows, write_recipe


def partner(**options: Any) -> dict[str, Any]:
    return merged(THREE_TURNS, {"rollout": {"environment": options}})


def train(folder: Path, name: str, recipe: dict[str, Any]) -> Path:
    path = write_recipe(folder, recipe, f"{name}.yaml")
    result = reasonrl_in(folder, "train", path, f"run_dir={folder / name}", "--offline")
    assert result.code == 0, result.err
    return folder / name


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith(("time/", "memory/"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("multi-turn")
    return train(folder, "plain", partner())


def test_turns_masks_and_counts_of_a_run(finished: Path) -> None:
    tokenizer = build_tokenizer(CRITIC)
    samples = [row for row in rows(finished / "samples.jsonl") if row["kind"] == "train"]
    assert len(samples) == 2 * 16
    retokenised = 0
    for row in samples:
        assert [turn["role"] for turn in row["turns"]] == ["policy", "user"] * 2 + ["policy"]
        assert all(turn["text"] in REPLIES for turn in row["turns"] if turn["role"] == "user")
        assert row["response"] == row["turns"][-1]["text"]
        expected = [int(turn["role"] == "policy") for turn in row["turns"] for _ in range(turn["tokens"])]
        assert row["loss_mask"] == expected
        assert len(row["response_ids"]) == len(row["logprobs"]) == len(expected)
        assert row["response_tokens"] == sum(expected)
        assert all(value == 0 for value, mask in zip(row["logprobs"], expected, strict=True) if not mask)
        retokenised += tokenizer(tokenizer.decode(row["response_ids"]))["input_ids"] != row["response_ids"]
    assert retokenised > 5, "the model's tokens are not those that the tokenizer would choose"
    steps = [row for row in rows(finished / "metrics.jsonl") if row["kind"] == "train"]
    for step, row in enumerate(steps, 1):
        own = [sample for sample in samples if sample["step"] == step]
        assert row["response/turns"] == 3
        assert row["response/tokens_mean"] == pytest.approx(sum(s["response_tokens"] for s in own) / len(own))
        assert row["response/environment_tokens"] == pytest.approx(
            sum(len(s["response_ids"]) - s["response_tokens"] for s in own) / len(own)
        )
        assert row["policy/rollout_gap_max"] < 1e-4, "the trainer scores the tokens that were sampled"


def test_two_runs_are_equal_to_the_bit_whatever_the_speed_of_the_partner(finished: Path, tmp_path: Path) -> None:
    slow = train(tmp_path, "slow", partner(slow=0.2))
    for name in ("metrics.jsonl", "samples.jsonl"):
        fast_rows, slow_rows = rows(finished / name), rows(slow / name)
        for row in (*fast_rows, *slow_rows):
            for verdict in row.get("verdicts", {}).values():
                verdict.pop("seconds")
        assert [numbers(row) for row in fast_rows] == [numbers(row) for row in slow_rows]
    weights = [next((path / "checkpoints").glob("step-*/model.safetensors")).read_bytes() for path in (finished, slow)]
    assert weights[0] == weights[1]


def test_log_probs_of_the_environments_tokens_change_nothing(tmp_path: Path) -> None:
    """0 by convention; garbage in their place must leave the update bit-equal."""

    def updated(folder: Path, garbage: float) -> list[torch.Tensor]:
        recipe = merged(
            partner(),
            {"train": {"credit": "tempo", "kl": {"coefficient": 0.1}, "mismatch": {"name": "tis"}, "steps": 1}},
        )
        stage = RLStage(context(folder, recipe))
        rollouts = stage.gather_rollouts(1, Timer())
        rollouts.episodes = [with_garbage(episode, garbage) for episode in rollouts.episodes]
        assert isinstance(rollouts, StepRollouts)
        prepared = stage.pipeline.prepare(rollouts, step=1, **stage.scores(rollouts))
        stage.update(1, rollouts, prepared)
        return [parameter.detach().clone() for parameter in stage.context.model.parameters()]

    plain, garbage = updated(tmp_path / "a", 0.0), updated(tmp_path / "b", -31.0)
    assert all(torch.equal(a, b) for a, b in zip(plain, garbage, strict=True))


def with_garbage(episode: Episode, value: float) -> Episode:
    trajectory = episode.trained_trajectory
    logprobs = [p if mask else value for p, mask in zip(trajectory.logprobs, trajectory.loss_mask, strict=True)]
    assert not all(trajectory.loss_mask)
    return dataclasses.replace(episode, trajectories=[dataclasses.replace(trajectory, logprobs=logprobs)])


def test_length_shaping_counts_what_the_policy_wrote(tmp_path: Path) -> None:
    """18 tokens of the policy at most, in responses of 60 with the partner's: a buffer that starts at 20 spares all."""
    spared = merged(partner(), {"train": {"overlong": {"buffer_tokens": 40}, "steps": 1}})
    punished = merged(partner(), {"train": {"overlong": {"buffer_tokens": 50}, "steps": 1}})
    shaped = []
    for name, recipe in (("spared", spared), ("punished", punished)):
        stage = RLStage(context(tmp_path / name, recipe))
        rollouts = stage.gather_rollouts(1, Timer())
        prepared = stage.pipeline.prepare(rollouts, step=1, **stage.scores(rollouts))
        lengths = prepared.batch.loss_mask.sum(1)
        assert int(prepared.batch.token_mask.sum(1).max()) > 20 >= int(lengths.max()) > 10
        shaped.append(prepared.shaped_rewards - prepared.batch.rewards)
    assert bool((shaped[0] == 0).all())
    assert bool((shaped[1] < 0).any())


def test_a_reward_function_may_look_at_whole_episodes(tmp_path: Path) -> None:
    turns = {"weight": 0.5, "function": "tests.environments.scripted_partner:by_turns"}
    stage = RLStage(context(tmp_path, merged(partner(turns=2), {"reward": {"turns": turns}})))
    rollouts = stage.gather_rollouts(1, Timer())
    assert {episode.reward_parts["turns"] for episode in rollouts.episodes} == {2.0}


def test_an_environment_may_bring_its_own_verdict(tmp_path: Path) -> None:
    """The verifier is not asked then."""
    environment = {"name": "tests.environments.scripted_partner:Referee"}
    stage = RLStage(context(tmp_path, {**partner(), "rollout": {**THREE_TURNS["rollout"], "environment": environment}}))
    rollouts = stage.gather_rollouts(1, Timer())
    assert {episode.verdicts["correctness"].method for episode in rollouts.episodes} == {"referee"}
    assert {episode.reward_parts["correctness"] for episode in rollouts.episodes} == {0.75}


def test_an_episode_whose_partner_failed_is_masked_and_counted(tmp_path: Path) -> None:
    environment = {"name": "tests.environments.scripted_partner:Unreachable"}
    stage = RLStage(context(tmp_path, {**partner(), "rollout": {**THREE_TURNS["rollout"], "environment": environment}}))
    rollouts = stage.gather_rollouts(1, Timer())
    prepared = stage.pipeline.prepare(rollouts, step=1, **stage.scores(rollouts))
    for episode, trainable in zip(rollouts.episodes, prepared.trainable.tolist(), strict=True):
        verdict = episode.verdicts["correctness"]
        assert (verdict.correct is None) == (episode.failure is not None) == (not trainable)
        assert verdict.reason == episode.failure or episode.failure is None
    assert stage.pipeline.record(rollouts, prepared, step=1).metrics["rollouts/error"] == 8


def test_turns_that_share_the_limit_of_one_are_warned_of() -> None:
    recipe = merged(THREE_TURNS, {"rollout": {"max_response_tokens": None}})
    warnings = parse_recipe(yaml.safe_dump(recipe), "test").stages[0].warnings()
    assert len(warnings) == 1 and "rollout.max_response_tokens: not set, so all turns of" in warnings[0]
    assert parse_recipe(yaml.safe_dump(THREE_TURNS), "test").stages[0].warnings() == []


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        ({"environment": "singel_turn"}, "rollout.environment: 'singel_turn' is not known; did you mean 'single_turn'"),
        ({"environment": {"turn": 3}}, "rollout.environment.turn: .*ScriptedPartner has no such option; did you mean"),
        ({"environment": "tests.environments.scripted_partner:Nobody"}, "has no 'Nobody'"),
        ({"environment": "tests.environments.scripted_partner:by_letters"}, "by_letters is not an environment: write"),
        ({"max_response_tokens": 5}, r"max_response_tokens \(line \d+\): 5 is less than max_new_tokens"),
        (
            {"environment": {"name": "single_turn", "turns": 2}, "max_response_tokens": None},
            "single_turn has no such option; it takes no options",
        ),
        (
            {"environment": {"name": "single_turn"}},
            r"max_response_tokens \(line \d+\): has no effect in an environment of one",
        ),
        (
            {"max_response_tokens": 600},
            r"rollout.max_response_tokens: the prompt of problem .* exceeds the model's 512",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_named(tmp_path: Path, rollout: dict[str, Any], message: str) -> None:
    recipe = merged(THREE_TURNS, {"rollout": rollout})
    if "name" in rollout.get("environment", ()) or isinstance(rollout.get("environment"), str):
        recipe["rollout"]["environment"] = rollout["environment"]  # instead of the partner, not laid over it
    path = write_recipe(tmp_path, recipe)
    result = reasonrl_in(tmp_path, "train", path, f"run_dir={tmp_path / 'run'}", "--offline", "--dry-run")
    assert result.code == 2, result.out + result.err
    assert re.search(message, " ".join(result.err.split())), result.err
    assert not (tmp_path / "run").exists()


def test_a_trajectory_of_one_turn_needs_no_turns() -> None:
    plain = Trajectory("policy", [1], [2, 3], [True, True], [0.0, 0.0], "x", "stop")
    assert (plain.policy_turns, plain.policy_tokens) == (1, 2)
    assert Sampling(7).response_limit == 7 and Sampling(7, max_response_tokens=70).response_limit == 70
