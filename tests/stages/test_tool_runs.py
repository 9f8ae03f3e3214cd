"""Training runs of a policy with tools: an untrained model, of which every turn is a call."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from reasonrl.environments.rollouts import roll_out
from reasonrl.stages.rl import RLStage
from reasonrl.trainer.timer import Timer
from tests.e2e.commands import reasonrl_in
from tests.environments.scripted_partner import THREE_TURNS
from tests.stages.test_kill import count_rows, start_and_signal, without_clock
from tests.tiny_runs import context, rows, write_recipe

MADE = "tests.environments.tools.made_tools"


def recipe(tools: list[Any], **environment: Any) -> dict[str, Any]:
    """Letters and digits end a turn, and what stands before them is a call."""
    options = {
        "name": "tool_use",
        "tools": tools,
        "format": "tests.environments.tools.every_turn_calls:EveryTurnCalls",
        "max_turns": 3,
        "result_tokens": 40,
    } | environment
    return {
        **THREE_TURNS,
        "rollout": {
            "environment": options,
            "rollouts_per_prompt": 4,
            "max_new_tokens": 80,
            "max_response_tokens": 500,
            "stop": list("abcdefghijklmnopqrstuvwxyz0123456789"),
        },
    }


def first_rollouts(folder: Path, tools: list[Any], **environment: Any) -> Any:
    stage = RLStage(context(folder, recipe(tools, **environment)))
    return stage, stage.gather_rollouts(1, Timer())


def test_a_tool_that_hangs_masks_its_rows_and_no_other_row_changes(tmp_path: Path) -> None:
    """Trap 8. Both runs: the same seeds, the same weights."""
    _, plain = first_rollouts(tmp_path / "plain", [f"{MADE}:Echo"])
    stage, hung = first_rollouts(tmp_path / "hung", [f"{MADE}:HangsAtTimes"])
    broken = [episode.tool_use.ended == "broken" for episode in hung.episodes]
    assert 2 <= sum(broken) <= 14
    for sound, other, is_broken in zip(plain.episodes, hung.episodes, broken, strict=True):
        if is_broken:
            assert other.verdicts["correctness"].correct is None and "no answer within 0.3 s" in other.failure
        else:
            assert other.trained_trajectory == sound.trained_trajectory
    prepared = stage.pipeline.prepare(hung, step=1, **stage.scores(hung))
    assert prepared.batch.judged.tolist() == [not is_broken for is_broken in broken]
    metrics = stage.pipeline.record(hung, prepared, step=1).metrics
    assert metrics["tools/broken"] == sum(broken) == metrics["rollouts/error"]


def test_neither_order_nor_workers_change_an_episode(tmp_path: Path) -> None:
    """Trap 19: the same seed, the problems in another order and another number of workers: the same bytes."""
    one = [{"name": "python", "stateful": True, "workers": 1}]
    stage, rollouts = first_rollouts(tmp_path / "one", one)
    other, _ = first_rollouts(tmp_path / "four", [one[0] | {"workers": 4}])
    problems = list({episode.problem.id: episode.problem for episode in rollouts.episodes}.values())
    played = []
    for setting, order in ((stage, problems), (other, problems[::-1])):
        episodes = roll_out(setting.environment, setting.context.engine, order, [4] * len(order), seed=("trap", 19))
        played.append({(e.problem.id, e.rollout): (e.trained_trajectory, e.tool_use.ended) for e in episodes})
    assert played[0] == played[1] and len(played[0]) == 4 * len(problems)


def test_void_turns_that_are_masked_stay_in_the_baseline(tmp_path: Path) -> None:
    """Trap 21: no token of theirs carries loss, and their reward counts in the group."""
    stage, rollouts = first_rollouts(
        tmp_path, ["calculator"], format={"name": "line", "call": "Zz"}, void="mask", answer_mark="1"
    )
    void = [episode.tool_use.ended == "void" for episode in rollouts.episodes]
    assert any(void)
    prepared = stage.pipeline.prepare(rollouts, step=1, **stage.scores(rollouts))
    for row, is_void in enumerate(void):
        if is_void:
            assert not prepared.batch.loss_mask[row].any() and prepared.batch.judged[row]
    outcome = stage.update(1, rollouts, prepared)
    assert outcome is not None
    metrics = stage.pipeline.record(rollouts, prepared, step=1).metrics
    assert metrics["tools/void"] == sum(void)


def test_credit_runs_across_the_tokens_of_tools(tmp_path: Path) -> None:
    """Trap 20: all tokens of the policy have the advantage of their rollout, before a result and behind it."""
    stage, rollouts = first_rollouts(tmp_path, [f"{MADE}:Echo"])
    prepared = stage.pipeline.prepare(rollouts, step=1, **stage.scores(rollouts))
    batch = prepared.batch
    assert bool((batch.token_mask & ~batch.loss_mask).any())
    for row in range(len(rollouts.episodes)):
        values = prepared.token_advantages[row][batch.loss_mask[row]]
        assert values.tolist() == pytest.approx([float(prepared.rollout_advantages[row])] * len(values))
        assert not prepared.token_advantages[row][~batch.loss_mask[row]].any()


def test_a_run_with_tools_from_the_command_line(tmp_path: Path) -> None:
    """Samples have the calls, metrics the shares; `view`'s transcript and the report read them."""
    path = write_recipe(tmp_path, recipe([{"name": "python", "stateful": True}]))
    result = reasonrl_in(tmp_path, "train", path, f"run_dir={tmp_path / 'run'}", "--offline")
    assert result.code == 0, result.err
    samples = [row for row in rows(tmp_path / "run" / "samples.jsonl") if row["kind"] == "train"]
    called = [row for row in samples if row["calls"]]
    assert len(called) > 16 and all(row["ended"] in ("turns", "length", "void", "budget") for row in samples)
    assert {call["tool"] for row in called for call in row["calls"]} == {"python"}
    for row in rows(tmp_path / "run" / "metrics.jsonl"):
        if row["kind"] == "train":
            assert row["tools/call_rate"] > 0.5 and row["tools/broken"] == 0 and row["time/tool_call_s"] > 0
    report = reasonrl_in(tmp_path, "report", str(tmp_path / "run"))
    assert report.code == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "tool (environment)" in page and "python: error in" in page


def test_an_environment_with_a_mistake_is_refused_by_the_dry_run(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, recipe(["calculater"]))
    result = reasonrl_in(tmp_path, "train", path, "--dry-run", "--offline")
    assert result.code == 2 and "rollout.environment.tools[0]: 'calculater' is not known" in result.err
    heavy = recipe(["calculator"])
    heavy["reward"] = {
        "correctness": 1.0,
        "cost": {"weight": 0.6, "function": "reasonrl.rewards.tools:call_cost"},
        "success": {"weight": 0.5, "function": "reasonrl.rewards.tools:call_success"},
    }
    result = reasonrl_in(tmp_path, "train", write_recipe(tmp_path, heavy), "--dry-run", "--offline")
    assert result.code == 2 and "weigh 1.1 together" in result.err


def test_killed_with_a_stateful_session_alive_and_resumed_is_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe([f"{MADE}:MarkedPython"])
    made["train"] = {"steps": 5, "prompts_per_step": 4}
    made["checkpoint"] = {"every_steps": 2}
    path = write_recipe(tmp_path, made)
    whole = reasonrl_in(tmp_path, "train", path, "run_dir=whole", "--offline")
    assert whole.code == 0, whole.err
    monkeypatch.setenv("TOOL_MARK", str(tmp_path / "mark"))

    def in_a_session(steps: int) -> Any:
        """True once a session with a cell makes another call after so many steps."""
        seen: dict[str, int] = {}

        def moment(folder: Path) -> bool:
            if count_rows(folder / "metrics.jsonl", "train") < steps:
                return False
            size = (tmp_path / "mark").stat().st_size if (tmp_path / "mark").exists() else 0
            return size > seen.setdefault("size", size)

        return moment

    for number, steps in enumerate((0, 3)):
        more = ["--resume"] if number else []
        assert start_and_signal(path, "killed", in_a_session(steps), signal.SIGKILL, *more) == -signal.SIGKILL
    done = reasonrl_in(tmp_path, "train", path, "run_dir=killed", "--resume", "--offline")
    assert done.code == 0, done.err
    for name in ("metrics.jsonl", "samples.jsonl"):
        assert without_clock(rows(tmp_path / "killed" / name)) == without_clock(rows(tmp_path / "whole" / name)), name
    weights = "checkpoints/step-000005/model.safetensors"
    assert (tmp_path / "killed" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
