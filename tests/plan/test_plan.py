"""The estimates of a dry run, its checks of rewards, and how it is written."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from transformers import LlamaConfig

from reasonrl.models import devices
from reasonrl.models.devices import dtype_warning
from reasonrl.models.sizes import states_gb, weights_gb
from reasonrl.plan.checks import constant_warning, without_links
from reasonrl.plan.estimate import Speed, estimate_memory_gb, estimate_minutes
from reasonrl.plan.preflight import cache_gb
from reasonrl.plan.prompt_view import PromptToken, PromptView
from reasonrl.plan.stage_plan import Plan, StagePlan
from reasonrl.plan.text import plan_text
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.stages import stage_kind
from reasonrl.stages.base import Workload
from tests.environments.scripted import TOKENIZER
from verifiers.loading import load_verifier
from verifiers.types import Problem


def stage(**settings: Any) -> Recipe:
    return parse_recipe(
        yaml.safe_dump({"name": "n", "data": {"train": {"source": "x.jsonl"}}, **settings}), "test"
    ).stages[0]


def memory_gb(parameters: int = 1_000_000_000, **settings: Any) -> float:
    recipe = stage(**settings)
    return estimate_memory_gb(recipe, stage_kind(recipe.kind), parameters)


def test_states_of_the_optimiser() -> None:
    assert states_gb(1_000_000_000, lora=False, dtype="bfloat16") == 16
    assert states_gb(1_000_000_000, lora=True, dtype="bfloat16") == pytest.approx(2.1)
    assert weights_gb(1_000_000_000, "float32") == 4


def test_memory_of_each_kind() -> None:
    training = memory_gb(kind="sft")
    assert memory_gb(kind="rl") == training, "without a KL term there is no reference"
    assert memory_gb(kind="rl", train={"kl": {"coefficient": 0.1}}) == pytest.approx(training + 4)
    assert memory_gb(kind="offline") == pytest.approx(training + 4)
    assert memory_gb(kind="collect") == pytest.approx(training - 12), "weights alone"
    adapters = memory_gb(kind="rl", train={"kl": {"coefficient": 0.1}}, model={"lora": {"rank": 4}})
    assert adapters == pytest.approx(training - 16 + 4.2), "the base without its adapters is the reference"


def test_minutes_count_what_a_stage_does() -> None:
    speed = Speed(1_000_000, 1e9, prompt_tokens=10, response_tokens=20, rows_per_batch=64)
    quiet = stage(evaluation={"samples_per_problem": 0, "greedy": False})
    sampling = Workload(10, 4, 32)
    training = Workload(10, 4, 0, trained_rows_per_step=32, updates_per_step=1)
    both = Workload(10, 4, 32, trained_rows_per_step=32, updates_per_step=1)
    assert estimate_minutes(quiet, sampling, speed, 100) == pytest.approx(10 * speed.sampling_s(4, 32) / 60)
    assert estimate_minutes(quiet, training, speed, 100) == pytest.approx(10 * speed.training_s(4, 32, 1.0) / 60)
    expected = speed.sampling_s(4, 32) + speed.training_s(4, 32, 0.6)
    assert estimate_minutes(quiet, both, speed, 100) == pytest.approx(10 * expected / 60)
    measured = stage(evaluation={"samples_per_problem": 3, "every_steps": 5})
    more = estimate_minutes(measured, both, speed, 100) - estimate_minutes(quiet, both, speed, 100)
    assert more == pytest.approx(3 * speed.evaluation_s(400) / 60), "before, and after 5 and 10 steps"


def test_data_of_earlier_stages_are_named_and_left_out() -> None:
    data = {
        "train": [{"source": "stage:a/train"}, {"source": "x.jsonl"}],
        "heldout": {"b": {"source": "stage:a/b"}, "c": {"source": "c.jsonl"}},
    }
    present, later = without_links(stage(data=data))
    assert [source.source for source in present.data.train_sources] == ["x.jsonl"]
    assert list(present.data.heldout) == ["c"] and set(later) == {"train", "b"}
    assert later["train"] == "comes from stage:a/train; checked when that stage has run"


def test_rewards_that_teach_nothing() -> None:
    problem = Problem("p", [{"role": "user", "content": "1 + 1"}], "math", {"answer": "2"})
    for pattern, message in ((r"[\s\S]*", "gives the same score to every response"), (r"\s*\d+\s*", None)):
        warning = constant_warning("shape", load_verifier("format", pattern=pattern), problem, TOKENIZER)
        assert warning is None if message is None else warning is not None and message in warning


def test_lines_have_one_column_of_labels() -> None:
    plan = StagePlan(
        name="s",
        kind="sft",
        train_problems=1200,
        heldout_problems={"test": 3},
        longest_prompt_tokens=9,
        first_prompts=["a\nb"],
        first_prompt_tokens=[PromptView(2, [PromptToken(4, "a", False), PromptToken(1, "<eos>", True)], [])],
        gold_responses=["c\n"],
        gold_label="is taught",
        data_checks={"train": "fine"},
        steps=1,
        prompts_per_step=1,
        rollouts_per_step=0,
        optimizer_updates=1,
        most_tokens_sampled_per_step=0,
        work={"each step": "1 response"},
        trainable_parameters=1_500_000,
        memory_gb=0.51,
        minutes=0.5,
        warnings=["look"],
    )
    assert plan_text(Plan("r", [plan])).split("\n") == [
        "stage s (sft)",
        "  problems        1,200 to train on; held out: test (3); longest prompt 9 tokens",
        "  check train     fine",
        "  prompt          a",
        "                  b",
        "  prompt ids      2 tokens, id:text  4:'a' 1:<eos>",
        "  is taught       'c\\n'",
        "  each step       1 response",
        "  model           1.5 M parameters",
        "  memory          about 0.5 GB",
        "  time            about 30 s (a rough guess from this machine's speed)",
        "  WARNING         look",
        "",
        "nothing was trained (--dry-run)",
    ]


def test_the_copy_of_the_local_engine_counts_where_it_is_larger_than_a_micro_batch() -> None:
    small = {"train": {"positions_per_micro_batch": 1}}
    plain = memory_gb(rollout={"engine": "hf_plain"}, **small)
    assert memory_gb(**small) == pytest.approx(plain + 4, abs=0.01)
    recipe = stage(**small)
    assert estimate_memory_gb(recipe, stage_kind(recipe.kind), 10**9, 3.0) == pytest.approx(plain + 7, abs=0.01)
    assert memory_gb(train={"positions_per_micro_batch": 10**5}) > plain + 4


def test_the_cache_is_counted_up_to_its_limit() -> None:
    config = LlamaConfig(num_hidden_layers=2, num_key_value_heads=1, num_attention_heads=1, hidden_size=32)
    recipe = stage(rollout={"max_new_tokens": 100, "rows_per_batch": 4}, model={"path": "x", "dtype": "float32"})
    row = 2 * 2 * 32 * 4 * (64 + 100 + 28 + 32) / 1e9  # whole blocks, and one that nobody reads
    assert cache_gb(recipe, config, 64, Workload(1, 1, 32)) == pytest.approx(4 * row)
    assert cache_gb(recipe, config, 64, Workload(1, 1, 3)) == pytest.approx(3 * row)
    tight = recipe.model_copy(update={"rollout": recipe.rollout.model_copy(update={"cache_gib": row / 2})})
    assert cache_gb(tight, config, 64, Workload(1, 1, 32)) == pytest.approx(row / 2 * 2**30 / 1e9)


def test_bfloat16_without_instructions_for_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    for has in (True, False):
        monkeypatch.setattr(devices, "has_bfloat16", lambda has=has: has)
        said = dtype_warning("bfloat16", cpu)
        assert (said is None) == has
        assert has or "Write model.dtype: float32" in str(said)
        assert dtype_warning("float32", cpu) is None and dtype_warning("bfloat16", gpu) is None
