"""The engine on architectures other than the tiny model's: the same as plain decoding, or refused, or warned of."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import ModelError
from reasonrl.models.architecture import steady_positions, tree_is_exact
from reasonrl.models.loading import LanguageModel
from reasonrl.models.logprobs import TokenRow, response_logprobs
from tests.e2e.made_models import make_tokenizer
from tests.engines.test_architectures import PROMPTS, SCALED, SIZES, build

FAMILIES: dict[str, dict[str, Any]] = {
    **SCALED,
    "Qwen3": {},
    "Mistral": {"sliding_window": 6},
    "Gemma3Text": {"sliding_window": 6},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_other_architectures_give_the_same_as_plain_decoding(family: str) -> None:
    import transformers

    sizes = {} if family == "GPT2" else SIZES
    config = getattr(transformers, f"{family}Config")(**{**sizes, "vocab_size": 100, **FAMILIES[family]})
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    model.set_attn_implementation("eager")  # Gemma 2 caps its scores, and sdpa does not
    language_model = LanguageModel(model, make_tokenizer(), family)
    requests = [Request(PROMPTS[i % 3], Sampling(40, ignore_eos=True), i) for i in range(6)]
    made = CachedEngine(language_model).generate_batch(requests)
    for ours, plain in zip(made, PlainEngine(language_model).generate_batch(requests), strict=True):
        assert ours.token_ids == plain.token_ids
        assert ours.logprobs == pytest.approx(plain.logprobs, abs=1e-4)


@pytest.mark.parametrize("family", ["Bloom", "Mpt"])
def test_an_architecture_that_tells_places_by_a_mask_is_refused(family: str) -> None:
    import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=100, hidden_size=32, n_layer=2, n_head=4, n_heads=4, n_layers=2, d_model=32
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    with pytest.raises(ModelError, match=r"does not attend through the cache .* Write rollout.engine: hf_plain"):
        CachedEngine(LanguageModel(model, make_tokenizer(), family))


@pytest.mark.parametrize("kind", ["longrope", "linear"])
def test_rows_for_which_longrope_turns_keys_otherwise_are_refused(kind: str) -> None:
    config = {"rope_type": kind, "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
    factors = {"short_factor": [1.0] * 4, "long_factor": [2.0] * 4} if kind == "longrope" else {}
    tuned = build("Llama", rope_parameters=config | factors)
    engine = CachedEngine(LanguageModel(tuned, make_tokenizer(), "m"))
    request = Request((5, 6, 7), Sampling(40, ignore_eos=True), 1)
    if kind == "linear":
        assert steady_positions(tuned.config) is None and tree_is_exact(tuned, tolerance=1e-3)
        assert len(engine.generate_batch([request])[0].token_ids) == 40
        return
    assert steady_positions(tuned.config) == 32 and not tree_is_exact(tuned, tolerance=1e-3)
    with pytest.raises(ValueError, match="exceed the 32 tokens up to which LongRoPE turns the keys of all rows alike"):
        engine.generate_batch([request])
    short = [Request((5, 6, 7), Sampling(20, ignore_eos=True), 1)]
    (made,), (plain,) = engine.generate_batch(short), PlainEngine(engine._lm).generate_batch(short)
    assert made.token_ids == plain.token_ids


def test_attention_sinks_are_refused() -> None:
    sinks = build("GptOss", num_local_experts=2, num_experts_per_tok=1, layer_types=["full_attention"] * 2)
    with pytest.raises(ModelError, match="does not attend through the cache"):
        CachedEngine(LanguageModel(sinks, make_tokenizer(), "m"))


def test_experts_are_warned_of() -> None:
    mixture = build("Qwen3Moe", num_experts=2, num_experts_per_tok=1, moe_intermediate_size=16)
    engine = CachedEngine(LanguageModel(mixture, make_tokenizer(), "m"))
    with pytest.warns(UserWarning, match="each expert of this model computes as many rows"):
        (made,) = engine.generate_batch([Request((5, 6), Sampling(2, ignore_eos=True), 1)])
    assert len(made.token_ids) == 2, "and computes all the same"


def test_llama_has_no_window_whatever_its_config_says() -> None:
    language_model = LanguageModel(build("Llama"), make_tokenizer(), "m")
    language_model.model.config.sliding_window = 8
    requests = [Request(PROMPTS[1], Sampling(30, ignore_eos=True), i) for i in range(2)]
    engine = CachedEngine(language_model, updates=lambda: 0)
    with warnings.catch_warnings(action="error"):
        made = engine.generate_batch(requests)
    assert engine._decoder is not None
    rows = [TokenRow(r.token_ids, g.token_ids) for r, g in zip(requests, made, strict=True)]
    with torch.no_grad():
        scored = response_logprobs(language_model.model, rows, packing="rows").logprobs
    for generation, row in zip(made, scored, strict=True):
        assert generation.logprobs == pytest.approx(row.tolist(), abs=1e-4)
