"""Thinking tags through the public commands: what was taught gets the same verdicts on every tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from tests.e2e.commands import reasonrl
from tests.e2e.made_models import make_model, teach, write_rows

UNFINISHED, FINISHED = "<think>or \\boxed{3}", "<think>hm</think>\\boxed{3}"
Thinking = Literal["special", "added", "plain"]


def recipe_of(folder: Path, model: Path, **changes: Any) -> Path:
    rows = write_rows(folder / "rows.jsonl", [{"prompt": "1 + 2", "answer": "3"}])
    recipe = {
        "name": "thinking",
        "model": {"path": str(model)},
        "data": {"train": {"source": str(rows)}, "prompt": {"style": "chat"}},
        "verifier": {"name": "math", "mode": "strict"},
        "reward": {"correctness": 1.0, "fmt": {"verifier": {"name": "format", "pattern": "<think>.*</think>.*"}}},
        "rollout": {"rollouts_per_prompt": 2, "max_new_tokens": 40, "temperature": 0.01},
        "train": {"steps": 1, "prompts_per_step": 1},
        **changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def assert_read(folder: Path, model: Path, response: str, *, correct: bool) -> None:
    """Response and rewards in a training step and in an evaluation."""
    trained = reasonrl("train", recipe_of(folder, model), f"run_dir={folder / 'run'}", "--quiet")
    assert trained.code == 0, trained.err
    settings = ["data.prompt.style=chat", "verifier.mode=strict", "rollout.max_new_tokens=40"]
    options = [word for setting in settings for word in ("--set", setting)]
    output = folder / "out"
    evaluated = reasonrl("eval", model, "--data", folder / "rows.jsonl", "--n", "0", "--output", output, *options)
    assert evaluated.code == 0, evaluated.err
    rewards = {"correctness": float(correct), "fmt": float(correct)}
    for samples, parts in ((folder / "run" / "samples.jsonl", rewards), (output / "samples.jsonl", None)):
        for row in map(json.loads, samples.read_text(encoding="utf-8").splitlines()):
            assert row["response"] == response
            assert row["verdicts"]["correctness"]["correct"] is correct
            assert parts is None or row["reward_parts"] == parts


@pytest.mark.slow
@pytest.mark.parametrize("answer", [FINISHED, UNFINISHED])
@pytest.mark.parametrize("thinking", ["special", "added", "plain"])
def test_a_thought_is_judged_the_same_whether_its_tags_are_special_added_or_characters(
    answer: str, thinking: Thinking, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "model", thinking=thinking)
    teach(model, {"<user>1 + 2<end><assistant>": answer + "<eos>"})
    assert_read(tmp_path, model, answer, correct=answer == FINISHED)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["hm</think>\\boxed{3}", "or \\boxed{3}"])
def test_a_thought_that_the_template_opens_must_be_closed(answer: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", thinking="special", template="opens_think")
    teach(model, {"<user>1 + 2<end><assistant><think>\n": answer + "<eos>"})
    assert_read(tmp_path, model, f"<think>\n{answer}", correct="</think>" in answer)


def test_a_dry_run_shows_which_special_tokens_stay(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", thinking="special", template="opens_think", special=["<tool>"])
    planned = reasonrl("train", recipe_of(tmp_path, model), "--dry-run")
    assert planned.code == 0, planned.err
    line = next(line for line in planned.out.splitlines() if "special tokens" in line)
    assert "keeps <s>, <tool>, <think>, </think>; drops <pad>, <eos>, <unk>" in line
    assert "begins with '<think>\\n', which the prompt opens: without </think> nothing is read as the answer" in line
    assert "reward.fmt" not in planned.out


def test_teaching_an_answer_within_the_thought_that_the_prompt_opens_is_warned_of(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="opens_think")
    sft = {"kind": "sft", "train": {"steps": 1}, "rollout": {"max_new_tokens": 40}}
    words = "never closes it, so its answer is part of the thought. Write </think> into sft.response"
    recipe = yaml.safe_load(recipe_of(tmp_path, model, **sft).read_text())
    del recipe["reward"]
    for response, warned in (("{gold}", True), ("hm</think>{gold}", False)):
        recipe["sft"] = {"response": response}
        (tmp_path / "sft.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        planned = reasonrl("train", tmp_path / "sft.yaml", "--dry-run")
        assert planned.code == 0, planned.err
        assert (words in " ".join(planned.out.split())) is warned
