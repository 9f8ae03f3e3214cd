"""The packed forward pass against the plain one and against direct sums, in value and in gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from reasonrl.models import architecture, log_softmax, tiny
from reasonrl.models import logprobs as module
from reasonrl.models.architecture import logits_are_heads, tree_is_exact
from reasonrl.models.checkpointing import compute_activations_again
from reasonrl.models.logprobs import TokenRow, forward_and_backward, response_logprobs
from reasonrl.models.prefix_tree import PrefixTree

SMALL = {"vocab_size": 30, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def seeded(kind: Any, config: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config).eval()


def llama() -> Any:
    return tiny.build_model(0, torch.float32).eval()


def qwen2() -> Any:
    """Grouped key-value heads, biases in attention, tied embeddings."""
    return seeded(Qwen2ForCausalLM, Qwen2Config(**SMALL, num_key_value_heads=1, tie_word_embeddings=True))


def gpt2() -> Any:
    """Learned positions, no rotary embedding: wrong position ids would show at once."""
    return seeded(GPT2LMHeadModel, GPT2Config(vocab_size=30, n_embd=32, n_layer=2, n_head=4, n_positions=64))


def mistral(window: int | None) -> Any:
    return seeded(
        MistralForCausalLM,
        MistralConfig(**SMALL, num_key_value_heads=2, sliding_window=window, max_position_embeddings=64),
    )


ROWS = [
    TokenRow([5, 6, 7, 8], [9, 10, 11]),
    TokenRow([5, 6, 7, 8], [9, 10, 12, 13, 14]),  # shares the beginning of a response
    TokenRow([5, 6, 7, 8], [9]),  # a beginning of the others
    TokenRow([5, 6, 7, 8], [9, 10, 11]),  # the same row again
    TokenRow([5, 6], [7, 8, 9]),  # its response runs along the prompt of the others
    TokenRow([20], [21, 22]),
]


def direct(model: Any, row: TokenRow, temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probs and entropies from the model's own logits, one row alone."""
    ids = torch.tensor([[*row.prompt, *row.response]])
    logits = model(input_ids=ids).logits[0].float() / temperature
    table = torch.log_softmax(logits, -1)[len(row.prompt) - 1 : -1]
    picked = table[torch.arange(len(row.response)), torch.tensor(list(row.response))]
    return picked, -(table.exp() * table).sum(-1)


def gradients(model: Any, value: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(value, [p for p in model.parameters() if p.requires_grad]))


def assert_same_gradients(made: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    for a, b in zip(made, expected, strict=True):
        assert float((a - b).norm()) <= 1e-4 * float(b.norm()) + 1e-7


@pytest.mark.parametrize(("build", "temperature"), [(llama, 1.0), (llama, 0.7), (qwen2, 0.7), (gpt2, 0.7)])
def test_tree_rows_and_direct_agree(build: Any, temperature: float) -> None:
    model = build()
    weight = torch.randn(len(ROWS), 5, generator=torch.Generator().manual_seed(1))
    made = {
        p: response_logprobs(model, ROWS, temperature=temperature, packing=p)
        for p in ("tree_runs", "tree_mask", "rows")
    }  # type: ignore[arg-type]
    by_hand = [direct(model, row, temperature) for row in ROWS]
    expected_sum = sum((weight[i, : len(values)] * values).sum() for i, (values, _) in enumerate(by_hand))
    expected = gradients(model, expected_sum)  # type: ignore[arg-type]
    for packed in made.values():
        assert packed.logprobs.shape == packed.entropy.shape == (len(ROWS), 5)
        for i, (values, entropy) in enumerate(by_hand):
            torch.testing.assert_close(packed.logprobs[i, : len(values)], values, atol=1e-5, rtol=0)
            torch.testing.assert_close(packed.entropy[i, : len(values)], entropy, atol=1e-5, rtol=0)
            assert packed.logprobs[i, len(values) :].abs().sum() == 0
        assert not packed.entropy.requires_grad
        assert_same_gradients(gradients(model, (packed.logprobs * weight).sum()), expected)
    # Nodes: 4 prompt, 9 10 11, 12 13 14, then 9 after 5 6 7 8 is shared; the last row's 3. The padded way computes 6
    # rows of 9.
    assert made["tree_runs"].positions == made["tree_mask"].positions == 4 + 6 + 3
    assert made["rows"].positions == 6 * 9


@pytest.mark.parametrize("packing", ["tree_runs", "tree_mask", "rows"])
@pytest.mark.parametrize("entropy", [False, True])
def test_logits_in_blocks_and_slices_change_nothing(
    packing: Any, entropy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = llama()
    vocabulary = model.config.vocab_size

    def objective(made: Any) -> torch.Tensor:
        return made.logprobs.sum() - (0.3 * made.entropy.square().sum() if entropy else 0)

    whole = response_logprobs(model, ROWS, temperature=0.7, packing=packing, entropy_gradient=entropy)
    expected = gradients(model, objective(whole))
    monkeypatch.setattr(log_softmax, "_functions", lambda logits: None)
    for block, rows in ((1, 1), (2, 32), (3, 2), (7, 3), (100, 1), (100, 4)):
        monkeypatch.setattr(module, "HEAD_ELEMENTS", block * vocabulary)
        monkeypatch.setattr(log_softmax, "SLICE", rows)
        cut = response_logprobs(model, ROWS, temperature=0.7, packing=packing, entropy_gradient=entropy)
        torch.testing.assert_close(cut.logprobs, whole.logprobs, atol=1e-6, rtol=0)
        torch.testing.assert_close(cut.entropy, whole.entropy, atol=1e-6, rtol=0)
        assert_same_gradients(gradients(model, objective(cut)), expected)


@pytest.mark.parametrize("packing", ["tree_runs", "tree_mask", "rows"])
def test_the_gradient_of_the_entropy(packing: Any) -> None:
    """An entropy bonus, alone and beside log-probs, against autograd through the model's own logits."""
    model = llama()
    weight = torch.randn(len(ROWS), 5, generator=torch.Generator().manual_seed(1))
    by_hand = [direct(model, row, 0.7) for row in ROWS]
    for scale in (0.0, 1.0):
        made = response_logprobs(model, ROWS, temperature=0.7, packing=packing, entropy_gradient=True)
        expected = sum(
            (weight[i, : len(values)] * (scale * values + 2.0 * entropy)).sum()
            for i, (values, entropy) in enumerate(by_hand)
        )
        wanted = list(torch.autograd.grad(expected, list(model.parameters()), retain_graph=True))  # type: ignore[call-overload]
        objective = (made.entropy * weight * 2.0).sum() + (scale * (made.logprobs * weight).sum() if scale else 0.0)
        assert_same_gradients(gradients(model, objective), wanted)


def test_a_second_backward_pass_is_refused() -> None:
    made = response_logprobs(llama(), ROWS)
    made.logprobs.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        made.logprobs.sum().backward()


def test_repeated_rows_count_repeatedly() -> None:
    model = llama()
    once = response_logprobs(model, ROWS[:1])
    thrice = response_logprobs(model, ROWS[:1] * 3)
    assert thrice.positions == once.positions
    torch.testing.assert_close(thrice.logprobs, once.logprobs.expand(3, -1))
    expected = [3 * g for g in gradients(model, once.logprobs.sum())]
    assert_same_gradients(gradients(model, thrice.logprobs.sum()), expected)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = llama()
    expected = gradients(model, response_logprobs(model, ROWS).logprobs.sum())
    compute_activations_again(model)
    model.enable_input_require_grads()
    model.train()
    assert_same_gradients(gradients(model, response_logprobs(model, ROWS).logprobs.sum()), expected)
    # Without the block around it, a layer that is computed again would meet another attention: it is a mask then.
    assert_same_gradients(
        gradients(model, response_logprobs(model, ROWS, packing="tree_runs").logprobs.sum()), expected
    )
    with forward_and_backward(model, "tree_runs"):
        for packing in ("tree_runs", "tree_mask"):
            made = response_logprobs(model, ROWS, packing=packing).logprobs.sum()  # type: ignore[arg-type]
            assert_same_gradients(gradients(model, made), expected)


@pytest.mark.parametrize("build", [llama, qwen2, gpt2, lambda: mistral(None)])
@pytest.mark.parametrize("packing", ["tree_mask", "tree_runs"])
def test_full_attention_is_found_to_be_exact(build: Any, packing: Any) -> None:
    assert tree_is_exact(build(), tolerance=1e-4, packing=packing)


def test_a_model_that_drops_attention_gets_a_mask() -> None:
    """GPT-2 names its rate otherwise than Llama; in training it is not 0."""
    model = gpt2().train()
    rows = [TokenRow([3, 4], [5 + (i + j) % 20 for j in range(60)]) for i in range(2)]
    assert torch.isfinite(response_logprobs(model, rows, packing="tree_runs").logprobs).all()


def test_long_rows_build_no_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a mask")

    model, prompt = llama(), list(range(3, 20))
    rows = [TokenRow(prompt, [3 + (7 * i + j) % 20 for j in range(150)]) for i in range(3)]
    expected = response_logprobs(model, rows, packing="rows").logprobs
    monkeypatch.setattr(PrefixTree, "attention_mask", refuse)
    torch.testing.assert_close(response_logprobs(model, rows).logprobs, expected, atol=1e-5, rtol=0)
    assert model.config._attn_implementation == "sdpa"
    model.config._attn_implementation = "eager"  # asked for by the user
    with pytest.raises(AssertionError, match="a mask"):
        response_logprobs(model, rows)


@pytest.mark.parametrize("window", [4, 40])
def test_a_sliding_window_is_found_even_if_longer_than_the_rows_that_are_tried(window: int) -> None:
    assert not tree_is_exact(mistral(window), tolerance=1e-3)


def test_a_window_that_covers_all_positions_is_none() -> None:
    assert tree_is_exact(mistral(64), tolerance=1e-4)


def test_the_comparison_itself_finds_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a config not tell: a short window shows in the numbers."""
    monkeypatch.setattr(architecture, "_has_window", lambda config: False)
    assert not tree_is_exact(mistral(4), tolerance=1e-3)


def test_logits_that_are_capped_behind_the_head_are_found() -> None:
    for cap in (None, 0.5):
        config = Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=8, final_logit_softcapping=cap, pad_token_id=0)
        assert logits_are_heads(seeded(Gemma2ForCausalLM, config), tolerance=1e-4) == (cap is None)
    assert logits_are_heads(llama(), tolerance=1e-4)


@pytest.mark.parametrize("build", [llama, qwen2, gpt2, lambda: mistral(None)])
def test_the_logits_of_an_ordinary_model_in_bfloat16_are_those_of_its_head(build: Any) -> None:
    assert logits_are_heads(build().to(torch.bfloat16), tolerance=0.6)


@pytest.mark.parametrize("cap", [10.0, 20.0])
def test_a_weak_cap_is_found_in_bfloat16_though_rounding_between_two_passes_is_larger(cap: float) -> None:
    config = Gemma2Config(**SMALL, num_key_value_heads=2, head_dim=8, final_logit_softcapping=cap, pad_token_id=0)
    model = seeded(Gemma2ForCausalLM, config).to(torch.bfloat16)
    with torch.no_grad():
        model.lm_head.weight.mul_(10)
    assert not logits_are_heads(model, tolerance=0.6)
