"""AdamW on float32 master weights, whatever the model computes in.

At lr 1e-6 an update is smaller than the spacing of bfloat16 numbers, so bfloat16 weights round it away and the run
looks alive but learns nothing. With `dtype: bfloat16` gradients are summed and weights are updated in float32, yet no
second copy of the model is held: a bfloat16 weight is the upper half of its float32 master, and the lower half, 16
bits, is kept beside it. The two give the master back exactly (`join`), one tensor at a time. Moments are float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from reasonrl.errors import NotFiniteError, TrainingError
from reasonrl.models.weights import is_finite
from reasonrl.recipe.training import OptimSpec
from reasonrl.update.schedule import learning_rate

MOMENTS = ("exp_avg", "exp_avg_sq")
SLICE = 2**20
"""The number of weights whose float32 masters are in memory at a time."""


@dataclass
class _Slot:
    """One trainable tensor and what the optimiser knows of it."""

    name: str
    param: Tensor
    lower: Tensor | None
    """int16, the part of the float32 master that a bfloat16 parameter does not hold; None for a float32 parameter."""
    moments: dict[str, Tensor]
    step: Tensor
    """Updates so far, a float32 scalar beside the weights, as the fused kernels want it."""
    summed: Tensor | None
    """float32 gradient of a bfloat16 parameter, summed over micro-batches; a float32 parameter has it in `.grad`."""
    touched: bool = False
    """Whether `summed` holds a gradient."""

    @property
    def gradient(self) -> Tensor | None:
        if self.lower is None:
            return self.param.grad
        return self.summed if self.touched else None

    def master(self) -> Tensor:
        """The float32 weights: the parameter itself, or a new copy."""
        return self.param.detach() if self.lower is None else join(self.param.detach(), self.lower)

    def slices(self) -> Iterator[list[Tensor]]:
        """Master, gradient and the two moments, to be updated in place, cut alike; what is done to the master is
        kept.
        """
        gradient = self.gradient
        assert gradient is not None
        if self.lower is None:
            yield [self.param.detach(), gradient, *self.moments.values()]
            return
        whole = [t.view(-1) for t in (self.param.detach(), self.lower, gradient, *self.moments.values())]
        for start in range(0, len(whole[0]), SLICE):
            param, lower, *others = (t[start : start + SLICE] for t in whole)
            master = join(param, lower)
            yield [master, *others]
            for part, bits in zip((param, lower), split(master), strict=True):
                part.copy_(bits)

    def clear(self) -> None:
        """The buffer of sums stays: a block that is given back and asked for again in every update leaves holes in the
        heap.
        """
        self.param.grad = None
        if self.touched and self.summed is not None:
            self.summed.zero_()
        self.touched = False


class MasterAdamW:
    """Owns gradients, moments and the lower halves of the weights of all trainable parameters of `model`."""

    def __init__(self, model: Any, spec: OptimSpec, total_steps: int) -> None:
        self._spec = spec
        self._total_steps = total_steps
        _untie_leaves(model)
        by_storage: dict[int, _Slot] = {}
        for name, param in model.named_parameters():
            if not param.requires_grad:
                continue
            if param.data_ptr() not in by_storage:
                by_storage[param.data_ptr()] = _slot(name, param)
            slot = by_storage[param.data_ptr()]
            if param.dtype == torch.bfloat16:
                param.register_post_accumulate_grad_hook(_sum_into(slot))
            elif slot.param is not param:  # the second leaf of a tied weight
                slot.param.register_post_accumulate_grad_hook(_add_to(param))
                slot.param = param
        self.updates = 0
        """Changes of the weights so far, for engines that keep a copy of them."""
        self._slots = list(by_storage.values())
        if not self._slots:
            raise TrainingError("the model has no trainable parameters")

    def learning_rate(self, step: int) -> float:
        """Of 1-based `step`."""
        return learning_rate(self._spec, step, self._total_steps)

    @torch.no_grad()
    def step(self, step: int) -> float:
        """Clip, update, clear the gradients. Returns the gradient norm before clipping.

        Raises NotFiniteError if it is not finite, or if the weights are not, or too large to compute with, afterwards.
        """
        spec = self._spec
        pairs = [(slot, slot.gradient) for slot in self._slots]
        norm = torch.nn.utils.get_total_norm([gradient for _, gradient in pairs if gradient is not None])
        if not bool(torch.isfinite(norm)):
            broken = [slot.name for slot, gradient in pairs if gradient is not None and not gradient.isfinite().all()]
            raise NotFiniteError(
                f"step {step}: the gradient is not finite (first in {broken[0] if broken else 'its norm'}). The weights"
                " were not touched"
            )
        # As torch.nn.utils.clip_grad_norm_ has it.
        shrink = None if spec.max_grad_norm is None else (spec.max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
        lr = self.learning_rate(step)
        for slot, gradient in pairs:
            if gradient is None:
                continue
            if shrink is not None:
                gradient.mul_(shrink.to(gradient.device))
            for master, grad, first, second in slot.slices():
                adamw(
                    [master],
                    [grad],
                    [first],
                    [second],
                    max_exp_avg_sqs=[],
                    state_steps=[slot.step.clone()],
                    fused=True,
                    amsgrad=False,
                    beta1=spec.betas[0],
                    beta2=spec.betas[1],
                    lr=lr,
                    weight_decay=spec.weight_decay,
                    eps=spec.eps,
                    maximize=False,
                )
            slot.step.add_(1)
            slot.clear()
        self.updates += 1
        broken = [slot.name for slot in self._slots if not is_finite(slot.param, square=True)]
        if broken:
            raise NotFiniteError(
                f"step {step}: this update at the learning rate {lr:g} made weights infinite, NaN or larger than"
                f" float32 can square (first in {broken[0]})"
            )
        return float(norm)

    def zero_grad(self) -> None:
        for slot in self._slots:
            slot.clear()

    def masters(self) -> Iterator[tuple[str, Tensor]]:
        """Name and float32 weights of each trainable tensor; bfloat16 ones are made as they are asked for."""
        for slot in self._slots:
            yield slot.name, slot.master()

    def tensors(self) -> dict[str, Tensor]:
        """What a resumed run needs besides the weights of the model, by name: moments, step counts, lower halves of
        bfloat16 weights.
        """
        out: dict[str, Tensor] = {}
        for slot in self._slots:
            if slot.lower is not None:
                out[f"lower/{slot.name}"] = slot.lower
            for key, value in (*slot.moments.items(), ("step", slot.step)):
                out[f"{key}/{slot.name}"] = value
        return out

    @torch.no_grad()
    def load_tensors(self, tensors: dict[str, Tensor], *, parameters: bool = False) -> None:
        """Restore what `tensors` gave, into a model that has its weights already. With `parameters` they are in there
        too (LoRA).
        """
        self.updates += 1
        for slot in self._slots:
            if parameters:
                slot.param.copy_(tensors[f"parameter/{slot.name}"])
            if slot.lower is not None:
                slot.lower.copy_(tensors[f"lower/{slot.name}"])
            for key, value in (*slot.moments.items(), ("step", slot.step)):
                value.copy_(tensors[f"{key}/{slot.name}"])

    def parameters_by_name(self) -> dict[str, Tensor]:
        return {f"parameter/{slot.name}": slot.param.detach() for slot in self._slots}


def split(master: Tensor) -> tuple[Tensor, Tensor]:
    """float32 as its nearest bfloat16 (ties away from zero) and the int16 difference of the bit patterns. Exact for
    every finite number.
    """
    bits = master.view(torch.int32)
    upper = (bits + 0x8000) >> 16
    lower = (bits - (upper << 16)).to(torch.int16)
    return upper.to(torch.int16).view(torch.bfloat16), lower


def join(upper: Tensor, lower: Tensor) -> Tensor:
    """The float32 tensor that `split` took apart."""
    bits = upper.view(torch.int16).to(torch.int32) << 16
    return bits.add_(lower).view(torch.float32)


def _slot(name: str, param: Tensor) -> _Slot:
    if param.dtype not in (torch.float32, torch.bfloat16):
        raise TrainingError(
            f"{name} is {param.dtype}; trainable weights must be float32 or bfloat16. Write model.dtype: bfloat16"
        )

    def zeros(dtype: torch.dtype) -> Tensor:
        return torch.zeros(param.shape, dtype=dtype, device=param.device)

    small = param.dtype == torch.bfloat16
    return _Slot(
        name,
        param,
        lower=zeros(torch.int16) if small else None,
        moments={key: zeros(torch.float32) for key in MOMENTS},
        step=torch.zeros((), dtype=torch.float32, device=param.device),
        summed=zeros(torch.float32) if small else None,
    )


def _untie_leaves(model: Any) -> None:
    """Gives a head that is tied to the embedding a leaf of its own over the same storage, and the embedding a sparse
    gradient on a CPU: rows of the tokens that were read.

    Autograd holds the head's gradient, a table as large as the embedding, through the whole backward pass, then makes
    another of zeros for the embedding's, and a third for the sum. With two leaves the rows are added where the head's
    gradient is.
    """
    if not hasattr(model, "get_output_embeddings") or hasattr(model, "peft_config"):
        return
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is not embedding.weight or not head.weight.requires_grad:
        return
    is_plain = type(embedding) is torch.nn.Embedding and embedding.max_norm is None and not embedding.scale_grad_by_freq
    if is_plain and embedding.weight.device.type == "cpu":
        embedding.sparse = True
    elif head.weight.dtype != torch.bfloat16:
        return
    head.weight = torch.nn.Parameter(embedding.weight.detach())


def _sum_into(slot: _Slot) -> Any:
    def hook(param: Tensor) -> None:
        if param.grad is None or slot.summed is None:
            return
        if param.grad.is_sparse:
            slot.summed.index_add_(0, *_rows_of(param.grad))
            slot.touched, param.grad = True, None
            return
        # In slices, since torch makes a float32 copy of all that it adds.
        for total, part in zip(slot.summed.view(-1).split(SLICE), param.grad.reshape(-1).split(SLICE), strict=True):
            total.add_(part)
        slot.touched = True
        param.grad = None

    return hook


def _add_to(other: Tensor) -> Any:
    """For one of two leaves over the same storage in float32: its gradient goes to that of the other."""

    def hook(param: Tensor) -> None:
        if param.grad is None:
            return
        if other.grad is None:
            other.grad = torch.zeros_like(other)
        if param.grad.is_sparse:
            other.grad.index_add_(0, *_rows_of(param.grad))
        else:
            other.grad.add_(param.grad)
        param.grad = None

    return hook


def _rows_of(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows of a table a sparse gradient is about, with repetitions [n], and what it adds to them, in float32."""
    return gradient._indices()[0], gradient._values().float()
