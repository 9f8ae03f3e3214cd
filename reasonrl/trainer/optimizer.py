"""AdamW on float32 master weights, whatever the model computes in.

At lr 1e-6 an update is smaller than the spacing of bfloat16 numbers, so bfloat16 weights round it away and the run looks alive but learns
nothing. With `dtype: bfloat16` the model holds a rounded copy; gradients are summed and weights are updated in float32.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from reasonrl.errors import TrainingError
from reasonrl.recipe import OptimSpec


class MasterAdamW:
    """Owns gradients, moments and float32 weights of all trainable parameters of `model`."""

    def __init__(self, model: Any, spec: OptimSpec, total_steps: int) -> None:
        self._spec = spec
        self._total_steps = total_steps
        self._named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        if not self._named:
            raise TrainingError("the model has no trainable parameters")
        self._masters = [p if p.dtype == torch.float32 else p.detach().float() for _, p in self._named]
        self._adam = torch.optim.AdamW(
            self._masters, lr=spec.lr, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=True
        )
        for (_, param), master in zip(self._named, self._masters, strict=True):
            if master is not param:
                param.register_post_accumulate_grad_hook(_sum_into(master))

    def learning_rate(self, step: int) -> float:
        """Learning rate of 1-based `step`: linear warm-up, then constant, or down to 0 just after the last step."""
        spec = self._spec
        if step <= spec.warmup_steps:
            return spec.lr * step / (spec.warmup_steps + 1)
        if spec.schedule == "constant":
            return spec.lr
        progress = (step - 1 - spec.warmup_steps) / max(1, self._total_steps - spec.warmup_steps)
        remaining = 1 - progress if spec.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        return spec.lr * max(0.0, remaining)

    def step(self, step: int) -> float:
        """Clip, update, clear the gradients. Returns the gradient norm before clipping. Raises TrainingError if it is not finite."""
        gradients = [m.grad for m in self._masters if m.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not bool(torch.isfinite(norm)):
            broken = [
                name for (name, _), m in zip(self._named, self._masters, strict=True) if m.grad is not None and not m.grad.isfinite().all()
            ]
            raise TrainingError(
                f"step {step}: the gradient is not finite (first in {broken[0] if broken else 'its norm'}). The weights were not touched. "
                "Lower optim.lr, lower rollout.temperature, or use model.dtype: float32, then resume"
            )
        if self._spec.max_grad_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._masters, self._spec.max_grad_norm, norm)
        for setting in self._adam.param_groups:
            setting["lr"] = self.learning_rate(step)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            for (_, param), master in zip(self._named, self._masters, strict=True):
                if master is not param:
                    param.copy_(master)
        return float(norm)

    def zero_grad(self) -> None:
        self._adam.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """Everything that a resumed run needs, by name: moments, step counts, and the master weights where the model does not hold them."""
        out: dict[str, Tensor] = {}
        for (name, param), master in zip(self._named, self._masters, strict=True):
            if master is not param:
                out[f"master/{name}"] = master
            for key, value in self._adam.state.get(master, {}).items():
                out[f"{key}/{name}"] = value
        return out

    def load_tensors(self, tensors: dict[str, Tensor], *, parameters: bool = False) -> None:
        """Restore what `tensors` gave. With `parameters`, trainable float32 weights are in there too (LoRA)."""
        with torch.no_grad():
            for (name, param), master in zip(self._named, self._masters, strict=True):
                if f"master/{name}" in tensors:
                    master.copy_(tensors[f"master/{name}"])
                    param.copy_(master)
                elif parameters:
                    param.copy_(tensors[f"parameter/{name}"])
                state = {key: tensors[f"{key}/{name}"].clone() for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}/{name}" in tensors}
                if state:
                    self._adam.state[master] = {k: v if k == "step" else v.to(master.device) for k, v in state.items()}

    def parameters_by_name(self) -> dict[str, Tensor]:
        return {f"parameter/{name}": p.detach() for name, p in self._named}


def _sum_into(master: Tensor) -> Any:
    def hook(param: Tensor) -> None:
        if param.grad is None:
            return
        gradient = param.grad.float()
        master.grad = gradient if master.grad is None else master.grad.add_(gradient)
        param.grad = None

    return hook
