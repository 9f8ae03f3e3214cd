"""Float32 master weights, schedules, refusal of broken gradients, and a state that survives being saved."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2Config, Qwen2ForCausalLM

from reasonrl.errors import TrainingError
from reasonrl.models import tiny
from reasonrl.models.logprobs import TokenRow, response_logprobs
from reasonrl.recipe.training import OptimSpec
from reasonrl.trainer.optimizer import MasterAdamW, join, split

ROWS = [TokenRow([4, 5], [6, 7]), TokenRow([4, 5], [8])]


def backward(model: Any) -> None:
    (-response_logprobs(model, ROWS).logprobs.sum()).backward()


def weights(model: Any) -> list[torch.Tensor]:
    return [p.detach().clone() for p in model.parameters()]


def test_small_steps_move_the_masters_of_a_bfloat16_model() -> None:
    """lr 1e-6 is below the spacing of bfloat16: AdamW on the weights themselves changes nothing, ours adds the steps
    up.
    """
    plain = tiny.build_model(0, torch.bfloat16)
    large = [p.abs() > 0.01 for p in plain.parameters()]  # near 0 the numbers are dense, and even a small step is kept
    start = weights(plain)
    adam = torch.optim.AdamW(plain.parameters(), lr=1e-6, weight_decay=0.0)
    model = tiny.build_model(0, torch.bfloat16)
    ours = MasterAdamW(model, OptimSpec(lr=1e-6), 10)
    masters = [m.clone() for _, m in ours.masters()]
    for step in (1, 2, 3):
        backward(plain)
        adam.step()
        adam.zero_grad()
        backward(model)
        ours.step(step)
    assert all(torch.equal(a[k], b[k]) for a, b, k in zip(weights(plain), start, large, strict=True))
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())
    moved = torch.cat([(a - b)[k].abs() for (_, a), b, k in zip(ours.masters(), masters, large, strict=True)])
    assert 1e-6 < float(moved.max()) < 4e-6
    # 3000 more such steps would be seen: the model is the rounding of its masters
    for p, (_, master) in zip(model.parameters(), ours.masters(), strict=True):
        assert torch.equal(p, split(master)[0])
        assert float((p.detach().float() - master).abs().max()) <= float(
            (master.bfloat16().float() - master).abs().max()
        )


def test_gradients_of_micro_batches_are_summed_in_float32() -> None:
    model = tiny.build_model(0, torch.bfloat16)
    ours = MasterAdamW(model, OptimSpec(), 1)
    backward(model)
    once = [slot.gradient.clone() for slot in ours._slots]
    backward(model)
    assert all(p.grad is None for p in model.parameters())
    for slot, first in zip(ours._slots, once, strict=True):
        assert slot.gradient.dtype == torch.float32
        torch.testing.assert_close(slot.gradient, 2 * first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_state_survives_a_round_trip(dtype: Any) -> None:
    spec = OptimSpec(lr=1e-3, warmup_steps=2, schedule="cosine")
    model = tiny.build_model(0, dtype)
    ours = MasterAdamW(model, spec, 10)
    for step in (1, 2):
        backward(model)
        ours.step(step)
    saved = {key: value.detach().clone() for key, value in ours.tensors().items()}
    assert any(key.startswith("lower/") for key in saved) == (dtype == torch.bfloat16)
    other = tiny.build_model(5, dtype)
    other.load_state_dict(model.state_dict())
    restored = MasterAdamW(other, spec, 10)
    restored.load_tensors(saved)
    for step in (3, 4):
        for subject, optimizer in ((model, ours), (other, restored)):
            backward(subject)
            optimizer.step(step)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    for key, value in ours.tensors().items():
        assert torch.equal(value, restored.tensors()[key]), key


def test_learning_rates() -> None:
    model = tiny.build_model(0, torch.float32)

    def rates(**spec: Any) -> list[float]:
        made = MasterAdamW(model, OptimSpec(lr=1.0, **spec), 6)
        return [round(made.learning_rate(step), 4) for step in range(1, 7)]

    assert rates() == [1.0] * 6
    assert rates(warmup_steps=2) == [0.3333, 0.6667, 1, 1, 1, 1]
    assert rates(schedule="linear") == [1.0, 0.8333, 0.6667, 0.5, 0.3333, 0.1667]
    assert rates(schedule="cosine", warmup_steps=2) == [0.3333, 0.6667, 1.0, 0.8536, 0.5, 0.1464]


def test_the_norm_is_clipped_and_reported_unclipped() -> None:
    sizes = []
    for limit in (None, 0.1):
        model = tiny.build_model(0, torch.float32)
        optimizer = MasterAdamW(model, OptimSpec(max_grad_norm=limit), 1)
        backward(model)
        sizes.append(optimizer.step(1))
        moment = torch.cat(
            [value.flatten() for key, value in optimizer.tensors().items() if key.startswith("exp_avg/")]
        )
        # the first moment is a tenth of the gradient
        assert float(moment.norm()) == pytest.approx(0.1 * (limit or sizes[0]), rel=1e-3)
    assert sizes[0] == pytest.approx(sizes[1])
    assert sizes[0] > 0.1


def test_a_broken_gradient_is_named_and_touches_nothing() -> None:
    model = tiny.build_model(0, torch.float32)
    optimizer = MasterAdamW(model, OptimSpec(), 1)
    backward(model)
    model.model.layers[1].mlp.up_proj.weight.grad[0, 0] = float("nan")
    before = weights(model)
    with pytest.raises(TrainingError, match=r"step 7: .*layers.1.mlp.up_proj"):
        optimizer.step(7)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_frozen_model_cannot_be_trained() -> None:
    model = tiny.build_model(0, torch.float32)
    model.requires_grad_(False)
    with pytest.raises(TrainingError, match="no trainable parameters"):
        MasterAdamW(model, OptimSpec(), 1)


def test_float32_survives_being_split() -> None:
    """Every exponent, both signs, random mantissas, ties, zeros, subnormals."""
    generator = torch.Generator().manual_seed(0)
    mantissa = torch.randint(0, 1 << 23, (255, 2, 400), generator=generator, dtype=torch.int64)
    mantissa[:, :, :3] = torch.tensor([0, 1 << 15, (1 << 15) - 1])
    exponent = torch.arange(255)[:, None, None] << 23
    bits = mantissa | exponent | (torch.tensor([0, 1])[None, :, None] << 31)
    master = bits.to(torch.int32).flatten().view(torch.float32)
    upper, lower = split(master)
    assert torch.equal(join(upper, lower).view(torch.int32), master.view(torch.int32))
    finite = upper.isfinite()  # the very largest numbers round to infinity, as in any rounding to bfloat16
    assert finite.float().mean() > 0.999
    spacing = (master.bfloat16().float() - master).abs()
    assert torch.all((upper.float() - master).abs()[finite] <= spacing[finite])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_against_torchs_own_adamw(dtype: Any) -> None:
    """Same gradients, same float32 weights: decay, clipping, bias correction and schedule as torch.optim.AdamW has
    them.
    """
    spec = OptimSpec(lr=1e-3, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-7, max_grad_norm=0.5, warmup_steps=2)
    model = tiny.build_model(0, dtype)
    ours = MasterAdamW(model, spec, 10)
    theirs = [torch.nn.Parameter(m.clone()) for _, m in ours.masters()]
    adam = torch.optim.AdamW(theirs, lr=1.0, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-7)
    for step in range(1, 6):
        backward(model)
        for mirror, slot in zip(theirs, ours._slots, strict=True):
            mirror.grad = slot.gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        adam.param_groups[0]["lr"] = ours.learning_rate(step)
        adam.step()
        assert ours.step(step) == pytest.approx(float(norm), rel=1e-6)
    for mirror, (name, master) in zip(theirs, ours.masters(), strict=True):
        torch.testing.assert_close(master, mirror.detach(), rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tied_head_stays_tied_and_both_gradients_count(tmp_path: Any, dtype: torch.dtype) -> None:
    config = Qwen2Config(
        vocab_size=30,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=6,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(config).eval().to(dtype)
    alike = copy.deepcopy(model)
    backward(alike)  # autograd adds the two parts up in the dtype of the weights
    backward(alike)
    ours = MasterAdamW(model, OptimSpec(lr=1e-2, max_grad_norm=None), 3)
    assert len(ours._slots) == len(list(alike.parameters()))
    backward(model)
    backward(model)  # a second micro-batch
    weight = model.get_input_embeddings().weight
    embedding = next(slot for slot in ours._slots if slot.param.data_ptr() == weight.data_ptr())
    most = 0.02 if dtype is torch.bfloat16 else 1e-6
    torch.testing.assert_close(
        embedding.gradient, alike.get_input_embeddings().weight.grad.float(), rtol=most, atol=most
    )
    before = model.get_input_embeddings().weight.detach().clone()
    ours.step(1)
    assert not torch.equal(before, model.get_input_embeddings().weight)
    assert torch.equal(model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    model.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    loaded = Qwen2ForCausalLM.from_pretrained(tmp_path, dtype=dtype)
    assert torch.equal(loaded.get_output_embeddings().weight, model.get_output_embeddings().weight)


class TwoLayers(torch.nn.Module):
    """An embedding and a head of one weight, registered in either order."""

    def __init__(self, head_first: bool) -> None:
        super().__init__()
        embedding, head = torch.nn.Embedding(30, 4), torch.nn.Linear(4, 30, bias=False)
        head.weight = embedding.weight
        for name, module in (("head", head), ("embedding", embedding))[:: 1 if head_first else -1]:
            self.add_module(name, module)

    def get_input_embeddings(self) -> Any:
        return self.embedding

    def get_output_embeddings(self) -> Any:
        return self.head

    def backward(self, ids: torch.Tensor) -> None:
        self.head(self.embedding(ids).tanh()).logsumexp(-1).sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("head_first", [False, True])
def test_tied_weights_in_either_order_and_tokens_that_repeat(head_first: bool, dtype: torch.dtype) -> None:
    model = TwoLayers(head_first).to(dtype)
    alike = copy.deepcopy(model)
    ours = MasterAdamW(model, OptimSpec(lr=1e-2), 3)
    for ids in ([3, 3, 3, 29], [0, 3], [5]):  # micro-batches
        model.backward(torch.tensor(ids))
        alike.backward(torch.tensor(ids))
    (slot,) = ours._slots
    most = 0.03 if dtype is torch.bfloat16 else 1e-6
    assert alike.embedding.weight.grad is not None and slot.gradient is not None
    torch.testing.assert_close(slot.gradient, alike.embedding.weight.grad.float(), rtol=most, atol=most)
    ours.step(1)
    assert slot.gradient is None and model.head.weight.grad is None and model.embedding.weight.grad is None
