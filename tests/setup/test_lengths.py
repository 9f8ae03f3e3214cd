"""What does not fit is refused before anything is trained, by every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig

from reasonrl.errors import RecipeError
from reasonrl.models.loading import load_tokenizer_and_config
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.lengths import check_lengths
from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import tiny
from verifiers.types import Problem

PROBLEMS = [Problem("p", "1 + 2 =", "math", {"answer": "3"}), Problem("q", "1 + 2 + 3 + 4 =", "math", {"answer": "10"})]


def check(config: Any = None, **changes: Any) -> int:
    recipe = parse_recipe(yaml.safe_dump(tiny(**changes)), "test").stages[0]
    tokenizer, own = load_tokenizer_and_config(recipe.model.path, offline=True)
    return check_lengths(recipe, tokenizer, config or own, PROBLEMS)


def test_a_row_that_the_cache_does_not_hold() -> None:
    assert check(rollout={"cache_gib": 1.0}) == len("1 + 2 + 3 + 4 =")
    with pytest.raises(RecipeError, match=r"rollout.cache_gib: 1e-05 GiB does not hold one row of \d+ tokens"):
        check(rollout={"cache_gib": 0.00001})
    check(rollout={"cache_gib": 0.00001, "engine": "hf_plain"})


def test_a_response_that_vllm_does_not_take() -> None:
    vllm = {"engine": "vllm", "max_new_tokens": 30, "vllm": {"max_model_len": 44}}
    with pytest.raises(RecipeError, match=r"the longest prompt has 15 tokens, and with 30 response .* at least 45"):
        check(rollout=vllm)
    check(rollout=vllm | {"vllm": {"max_model_len": 45}})


def test_a_row_beyond_what_longrope_was_trained_on_first() -> None:
    rope = {
        "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
        "original_max_position_embeddings": 40, "factor": 4.0,
    }  # fmt: skip
    config = LlamaConfig(max_position_embeddings=160, head_dim=8, rope_parameters=rope)
    check(config, rollout={"max_new_tokens": 25})
    with pytest.raises(RecipeError, match=r"more than 40 tokens \(LongRoPE\), and a row here may have 45"):
        check(config, rollout={"max_new_tokens": 30})
    with pytest.raises(RecipeError, match="LongRoPE"):
        check(config, rollout={"max_new_tokens": 30, "engine": "hf_plain"})


def test_a_run_says_it_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(tiny(rollout={"cache_gib": 0.00001})))
    refused = reasonrl_in(tmp_path, "train", "r.yaml", "--offline").refusal()
    assert "rollout.cache_gib: 1e-05 GiB does not hold one row" in refused
    assert not list(tmp_path.glob("runs/*/metrics.jsonl"))
