"""The decoder of packed weights against the model's own modules, and which models it leaves to them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.local import decoder as decoder_module
from reasonrl.engines.local import engine as engine_module
from reasonrl.engines.local.decoder import Decoder, Unsuitable, decodes_alike
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.kernel import layers_for
from reasonrl.engines.local.linear import pack, packing_dtype
from reasonrl.engines.plain import PlainEngine
from reasonrl.models.loading import LanguageModel
from tests.e2e.made_models import make_tokenizer
from tests.engines.test_architectures import build

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", {}),
    "llama, biases": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, long rope": (
        "Llama",
        {
            "rope_parameters": {
                "rope_type": "llama3", "rope_theta": 5000.0, "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
            }
        },
    ),
    "qwen2": ("Qwen2", {}),
    "qwen3": ("Qwen3", {}),
    "qwen3, odd sizes": ("Qwen3", {"hidden_size": 36, "intermediate_size": 50, "head_dim": 10}),
    "mistral, window": ("Mistral", {"sliding_window": 6}),
    "one head of keys": ("Llama", {"num_key_value_heads": 1}),
}  # fmt: skip

pytestmark = pytest.mark.skipif(
    packing_dtype(torch.float32) is None or layers_for(torch.float32) is None, reason="no oneDNN, or no C compiler"
)


def scrambled(family: str, options: dict[str, Any]) -> Any:
    """Norms and biases are not 1 and 0, as they are in a new model."""
    model = build(family, **options)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "bias" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def requests(count: int = 8, new_tokens: int = 40) -> list[Request]:
    source = torch.Generator().manual_seed(2)
    prompts = [torch.randint(3, 100, (5 + 7 * (i % 4),), generator=source).tolist() for i in range(4)]
    return [Request(tuple(prompts[i % 4]), Sampling(new_tokens, ignore_eos=True), i) for i in range(count)]


class Watched(CachedEngine):
    decoded = False

    def _states(self, *arguments: Any) -> torch.Tensor:
        self.decoded = self._decoder is not None
        return super()._states(*arguments)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_says_what_the_model_says(name: str) -> None:
    model = LanguageModel(scrambled(*FAMILIES[name]), make_tokenizer(), name)
    engine = Watched(model)
    made = engine.generate_batch(requests())
    assert engine.decoded
    for ours, plain in zip(made, PlainEngine(model).generate_batch(requests()), strict=True):
        assert ours.token_ids == plain.token_ids
        assert ours.logprobs == pytest.approx(plain.logprobs, abs=1e-4)


@pytest.mark.parametrize("bfloat16", [torch.bfloat16, torch.float32], ids=["as it is", "packed as float32"])
def test_a_model_in_bfloat16_says_nearly_the_same(bfloat16: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasonrl.engines.local.linear.has_bfloat16", lambda: bfloat16 is torch.bfloat16)
    packing_dtype.cache_clear()
    try:
        if packing_dtype(torch.bfloat16) is not bfloat16:
            pytest.skip("this processor packs no bfloat16")
        model = scrambled("Qwen3", {"initializer_range": 0.1}).to(torch.bfloat16)
        decoder = Decoder(model)
        assert decoder.dtype is bfloat16 and decodes_alike(decoder, model)
        engine = CachedEngine(LanguageModel(model, make_tokenizer(), "m"))
        together = engine.generate_batch(requests())
        assert [engine.generate_batch([request]) for request in requests()] == [[made] for made in together]
    finally:
        packing_dtype.cache_clear()


@pytest.mark.parametrize(
    ("family", "options"),
    [("Gemma2", {"sliding_window": 6}), ("Granite", {}), ("Llama", {"hidden_act": "gelu"}), ("Olmo2", {})],
)
def test_other_layers_are_left_to_the_model(family: str, options: dict[str, Any]) -> None:
    with pytest.raises(Unsuitable):
        Decoder(build(family, **options))
    engine = Watched(LanguageModel(build(family, **options), make_tokenizer(), family))
    assert len(engine.generate_batch(requests(2, 3))) == 2 and not engine.decoded


def test_a_model_that_computes_something_else_is_noticed() -> None:
    model = scrambled("Llama", {})
    decoder = Decoder(model)
    assert decodes_alike(decoder, model)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(-1.5)
    assert not decodes_alike(decoder, model)


def test_the_copy_follows_the_weights() -> None:
    model = LanguageModel(scrambled("Qwen2", {}), make_tokenizer(), "m")
    counted = 0
    engine, other = CachedEngine(model, updates=lambda: counted), CachedEngine(model)
    for _ in range(3):
        plain = PlainEngine(model).generate_batch(requests())
        for kind in (engine, other):
            assert [made.token_ids for made in kind.generate_batch(requests())] == [p.token_ids for p in plain]
        with torch.no_grad():
            for parameter in model.model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        counted += 1


def test_adapters_are_part_of_the_weights_while_they_are_on() -> None:
    pytest.importorskip("peft")
    from reasonrl.recipe.model import LoraSpec
    from reasonrl.setup.models import add_lora

    model = LanguageModel(scrambled("Llama", {}), make_tokenizer(), "m")
    bare = PlainEngine(model).generate_batch(requests())
    model.model = add_lora(model.model, LoraSpec(rank=2), 0)
    with torch.no_grad():
        for parameter in model.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    engine = Watched(model, updates=lambda: 0)
    plain = [made.token_ids for made in PlainEngine(model).generate_batch(requests())]
    assert [made.token_ids for made in engine.generate_batch(requests())] == plain
    assert engine.decoded
    with model.model.disable_adapter():
        assert [made.token_ids for made in engine.generate_batch(requests())] == [made.token_ids for made in bare]
    assert plain != [made.token_ids for made in bare]


def test_products_side_by_side() -> None:
    torch.manual_seed(0)
    weights, rows = [torch.randn(n, 20) for n in (3, 5, 40)], torch.randn(7, 20)
    biases = [torch.randn(3), None, torch.randn(40)]
    with torch.inference_mode():
        made = pack(weights, biases, torch.float32)(rows)
    expected = [torch.nn.functional.linear(rows, w, b) for w, b in zip(weights, biases, strict=True)]
    assert torch.allclose(made, torch.cat(expected, 1), atol=1e-5)


def test_a_missing_compiler_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "layers_for", lambda dtype: None)
    engine = CachedEngine(LanguageModel(scrambled("Llama", {}), make_tokenizer(), "m"))
    with pytest.warns(UserWarning, match="no C compiler"):
        engine.generate_batch(requests(2, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.generate_batch(requests(2, 3))


def test_the_copy_stays_until_it_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(scrambled("Llama", {}), make_tokenizer(), "m")
    made: list[Decoder] = []

    class Counted(Decoder):
        def __init__(self, model: Any) -> None:
            super().__init__(model)
            made.append(self)

    monkeypatch.setattr(engine_module, "Decoder", Counted)
    engine = CachedEngine(model, updates=lambda: 0)
    for count in (1, 1):
        engine.generate_batch(requests(2, 3))
        assert len(made) == count
    engine.sleep()
    engine.generate_batch(requests(2, 3))
    assert len(made) == 2
    with torch.no_grad():  # written to without a word of the counter
        model.model.model.norm.weight.mul_(1.5)
    after = engine.generate_batch(requests(2, 3))
    assert len(made) == 3
    assert [m.token_ids for m in after] == [m.token_ids for m in PlainEngine(model).generate_batch(requests(2, 3))]
