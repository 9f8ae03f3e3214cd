"""The vLLM engine against the trainer: the same probabilities after every change of weights, tied and untied, and how
responses end.

These run in the environment of vLLM (`make test-vllm`); what can be said without it is tested below in every
environment.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import ModelError
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.models.logprobs import TokenRow, response_logprobs
from reasonrl.models.tiny import build_tokenizer
from tests.environments.scripted_partner import THREE_TURNS
from tests.tiny_runs import merged, write_recipe

HAS_VLLM = importlib.util.find_spec("vllm") is not None
needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason="needs vLLM: make test-vllm")


class Counter:
    """The optimiser's count of updates, by hand."""

    def __init__(self) -> None:
        self.value = 0

    def __call__(self) -> int:
        return self.value


def small_model(*, tied: bool) -> LanguageModel:
    """Llama with random weights and heads of 32; the embedding tied to the output head, or not."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = build_tokenizer("tiny-critic")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=tied,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
        initializer_range=0.2,
    )
    return LanguageModel(LlamaForCausalLM(config).eval(), tokenizer, "small")


@pytest.fixture
def vllm_stopped() -> Iterator[None]:
    yield
    from reasonrl.engines.vllm import stop_vllm

    stop_vllm()


def largest_gap(model: LanguageModel, requests: list[Request], made: list[Generation]) -> float:
    """Largest difference between the engine's log-prob of a token and the trainer's."""
    rows = [TokenRow(r.token_ids, g.token_ids) for r, g in zip(requests, made, strict=True)]
    temperature = requests[0].sampling.temperature or 1.0
    with torch.no_grad():
        scored = response_logprobs(model.model, rows, temperature=temperature, packing="rows").logprobs
    return max(
        float((scored[i, : len(g.token_ids)] - torch.tensor(g.logprobs)).abs().max()) for i, g in enumerate(made)
    )


def nudge(parameters: Any, seed: int, size: float = 0.05) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(size * torch.randn_like(parameter))


@pytest.mark.vllm
@needs_vllm
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_the_copy_follows_every_part_of_the_weights(tied: bool, vllm_stopped: None) -> None:
    """Embedding and head one at a time: with a tied model an update without lm_head.weight would leave the old head in
    place.
    """
    from reasonrl.engines.vllm import VLLMEngine

    model, updates = small_model(tied=tied), Counter()
    engine = VLLMEngine(model, updates=updates, kv_cache_gib=1)
    requests = [Request(tuple(range(3, 20 + i)), Sampling(12, 0.8, ignore_eos=True), i) for i in range(6)]
    assert largest_gap(model, requests, engine.generate_batch(requests)) < 1e-3
    inner = model.model.model
    parts = {
        "embedding": [inner.embed_tokens.weight],
        "head": [model.model.lm_head.weight],
        "layers": inner.layers.parameters(),
        "norm": [inner.norm.weight],
    }
    for i, (name, part) in enumerate(parts.items()):
        nudge(part, i)
        stale = largest_gap(model, requests, engine.generate_batch(requests))
        assert stale > 1e-2, f"{name}: nothing was changed, so nothing is tested"
        updates.value += 1
        assert largest_gap(model, requests, engine.generate_batch(requests)) < 1e-3, name


@pytest.mark.vllm
@needs_vllm
def test_more_prompt_tokens_than_one_pass_takes(vllm_stopped: None) -> None:
    """A prompt that vLLM cuts in two would end in "CPU Generator does not use offset": requests have noise of their
    own.
    """
    from reasonrl.engines.vllm import VLLMEngine

    model = small_model(tied=True)
    engine = VLLMEngine(model, kv_cache_gib=1)
    requests = [
        Request(tuple(3 + (i + k) % 40 for k in range(230)), Sampling(4, ignore_eos=True), i) for i in range(60)
    ]
    made = engine.generate_batch(requests)
    assert [len(g.token_ids) for g in made] == [4] * 60 and largest_gap(model, requests, made) < 1e-3


@pytest.mark.vllm
@pytest.mark.model
@needs_vllm
def test_the_pretrained_model_says_the_same_and_ends_the_same(vllm_stopped: None) -> None:
    from reasonrl.engines.vllm import VLLMEngine

    model, updates = load_model("smollm2-135m"), Counter()
    engine = VLLMEngine(model, updates=updates, max_model_len=512)
    ids = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}], add_generation_prompt=True, return_dict=False
    )
    greedy = [Request(tuple(ids), Sampling(24, 0.0), 0), Request(tuple(ids), Sampling(24, 0.0, stop=("is P",)), 0)]
    ours, theirs = PlainEngine(model).generate_batch(greedy), engine.generate_batch(greedy)
    for mine, its in zip(ours, theirs, strict=True):
        assert (its.token_ids, its.finish_reason) == (mine.token_ids, mine.finish_reason)
        assert its.logprobs == pytest.approx(mine.logprobs, abs=1e-3)
    assert theirs[0].token_ids[-1] in model.eos_ids, "the end token is part of the response: it was chosen"
    drawn = [Request(tuple(ids), Sampling(16, 0.9), i) for i in range(12)]
    made = engine.generate_batch(drawn)
    assert len({tuple(g.token_ids) for g in made}) > 6
    assert [g.token_ids for g in engine.generate_batch(drawn[:3])] == [g.token_ids for g in made[:3]], (
        "a row's noise is its own"
    )
    assert largest_gap(model, drawn, made) < 1e-3
    for step in range(3):
        # Small: with embeddings that are mostly noise, rounding alone moves the log-probs by 1e-3.
        nudge([p for name, p in model.model.named_parameters() if "norm" in name or "embed" in name], step, 0.005)
        assert largest_gap(model, drawn, engine.generate_batch(drawn)) > 1e-2, "nothing was changed"
        updates.value += 1
        assert largest_gap(model, drawn, engine.generate_batch(drawn)) < 1e-3
    with pytest.raises(ValueError, match=r"rollout.vllm.max_model_len or lower rollout.max_new_tokens"):
        engine.generate_batch([Request(tuple(ids), Sampling(500), 0)])


@pytest.mark.vllm
@needs_vllm
def test_adapters_are_merged_into_the_copy(vllm_stopped: None) -> None:
    pytest.importorskip("peft")
    from reasonrl.engines.vllm import VLLMEngine
    from reasonrl.recipe.model import LoraSpec
    from reasonrl.setup.models import add_lora

    model, updates = small_model(tied=True), Counter()
    model.model = add_lora(model.model, LoraSpec(rank=4), 0)
    engine = VLLMEngine(model, updates=updates, kv_cache_gib=1)
    requests = [Request(tuple(range(3, 30)), Sampling(12, ignore_eos=True), i) for i in range(4)]
    nudge([p for p in model.model.parameters() if p.requires_grad], 1)
    assert largest_gap(model, requests, engine.generate_batch(requests)) < 1e-3


STAGES = """
name: two-stages
seed: 0
threads: 1
model: {path: tiny-critic}
verifier: {name: math, mode: whole}
data:
  train:
    source: arithmetic
    options: &sums {operations: "+", terms: [2, 2], low: 0, high: 9, size: 60, split: train, test_share: 0.25}
  heldout: {sums: {source: arithmetic, options: {<<: *sums, size: 20, split: test}}}
  prompt: {style: text, template: "{question} ="}
rollout: {engine: vllm, rollouts_per_prompt: 4, max_new_tokens: 4, stop: ["\\n"], vllm: {kv_cache_gib: 1}}
evaluation: {samples_per_problem: 1}
stages:
  - {name: warm-up, kind: sft, sft: {steps: 40, rows_per_step: 32, response: " {gold}\\n"}, optim: {lr: 3.0e-3}}
  - name: grpo
    kind: rl
    train: {steps: 4, prompts_per_step: 16, updates_per_step: 2, kl: {coefficient: 0.01}}
    optim: {lr: 1.0e-3}
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reasonrl.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=280, check=False)


@pytest.mark.vllm
@needs_vllm
def test_a_run_of_two_stages_samples_from_the_weights_of_the_moment(tmp_path: Path) -> None:
    """The gap of each step is that of the updates before it: were a sync left out, it would show at once."""
    (tmp_path / "recipe.yaml").write_text(STAGES)
    made = run("train", "recipe.yaml", "run_dir=out", cwd=tmp_path)
    assert made.returncode == 0, made.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "out/stages/02-grpo/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "train"]
    assert len(steps) == 4 and sum(row["optim/updates"] for row in steps) >= 4
    # Of the first of two optimiser steps: the second compares what was sampled with weights that have moved on purpose.
    assert steps[0]["policy/rollout_gap"] < 0.2
    assert "Traceback" not in made.stderr


@pytest.mark.vllm
@pytest.mark.model
@needs_vllm
def test_grpo_on_the_pretrained_model(tmp_path: Path) -> None:
    """Done-when 4: after each sync the log-probs of sampling and training differ by less than 0.001."""
    changes = [
        "rollout.engine=vllm",
        "train.steps=3",
        "train.refill.enabled=false",
        "evaluation.before=false",
        "evaluation.greedy=false",
        "evaluation.samples_per_problem=0",
        "train.prompts_per_step=4",
        "rollout.vllm.max_model_len=512",
    ]
    made = run("train", "quickstart", *changes, "run_dir=out", cwd=tmp_path)
    assert made.returncode == 0, made.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "train"]
    assert len(steps) == 3 and sum(row["optim/updates"] for row in steps) >= 2
    assert max(row["policy/rollout_gap_max"] for row in steps) < 1e-3


@pytest.mark.vllm
@needs_vllm
def test_episodes_of_several_turns_with_a_slow_partner(tmp_path: Path) -> None:
    """While a partner is busy, vLLM runs in a thread; the trainer scores the tokens that were sampled."""
    recipe = merged(
        THREE_TURNS, {"rollout": {"engine": "vllm", "environment": {"slow": 0.1}}, "model": {"attention": "sdpa"}}
    )
    path = write_recipe(tmp_path, recipe)
    made = run("train", str(path), f"run_dir={tmp_path / 'out'}", "--offline", cwd=Path(__file__).parents[2])
    assert made.returncode == 0, made.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["kind"] == "train"]
    assert [row["response/turns"] for row in steps] == [3, 3]
    assert max(row["policy/rollout_gap_max"] for row in steps) < 1e-4


@pytest.mark.vllm
@needs_vllm
def test_a_model_that_vllm_has_no_kernel_for_is_refused_before_anything_is_sampled() -> None:
    from reasonrl.engines.vllm import VLLMEngine

    with pytest.raises(
        ModelError, match=r"no attention for heads of 24 numbers, which tiny-arithmetic has .* Write rollout.engine: hf"
    ):
        VLLMEngine(load_model("tiny-arithmetic"))


@pytest.mark.skipif(HAS_VLLM, reason="here vLLM is installed")
def test_without_vllm_the_message_says_how_to_get_it() -> None:
    from reasonrl.engines.vllm import VLLMEngine

    with pytest.raises(ModelError, match=r"vLLM cannot be imported .*make venv-vllm"):
        VLLMEngine(load_model("tiny-critic"))


def test_weights_of_a_tied_model_name_the_head_too() -> None:
    from reasonrl.engines.vllm import weights

    for tied in (True, False):
        model = small_model(tied=tied)
        sent = dict(weights(model.model))
        assert {"lm_head.weight", "model.embed_tokens.weight"} <= set(sent)
        assert (sent["lm_head.weight"].data_ptr() == sent["model.embed_tokens.weight"].data_ptr()) is tied


def test_settings_of_vllm_without_vllm_are_refused() -> None:
    from reasonrl.recipe.schema import Recipe

    recipe = yaml.safe_load(STAGES) | {"kind": "rl"}
    del recipe["stages"]
    Recipe(**recipe)
    recipe["rollout"]["engine"] = "hf"
    with pytest.raises(ValueError, match=r"rollout.vllm: the engine is hf; write rollout.engine: vllm"):
        Recipe(**recipe)
