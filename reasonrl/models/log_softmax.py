"""Log-probs of picked tokens and entropies, from logits.

Autograd would keep three float32 tables of [S, V]. Here the logits are all that is kept, and their gradient is written
over them. On a CPU both passes are compiled C, which reads the logits once where torch does ten operations.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.models.compiled import NoKernel, load_library

SLICE = 32
"""Rows of logits that stand in memory as float32 at a time where torch computes."""

_LOWEST = torch.finfo(torch.float32).min
"""0 times this is 0: a token that is masked has no part in an entropy."""


class LogSoftmaxAt(torch.autograd.Function):
    """Log-probs of P picked (state, token) pairs and the entropies of their states, from logits [S, V] in the model's
    dtype. A second backward pass through the same graph is refused by torch.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, state: Tensor, token: Tensor, temperature: float, entropy_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        normaliser, entropy = _normalise(logits, temperature)
        picked = logits[state, token].float() / temperature - normaliser[state]
        ctx.save_for_backward(logits, state, token, normaliser, entropy)
        ctx.temperature = temperature
        ctx.set_materialize_grads(False)
        of_pairs = entropy[state]
        if not entropy_gradient:
            ctx.mark_non_differentiable(of_pairs)
        return picked, of_pairs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_picked: Tensor | None, grad_entropy: Tensor | None
    ) -> tuple[Tensor, None, None, None, None]:
        logits, state, token, normaliser, entropy = ctx.saved_tensors
        if grad_picked is None:
            grad_picked = torch.zeros(len(state), device=logits.device)
        # A state that several rows share gets the sum of what they ask; so does a token of it.
        pull, pull_entropy = torch.zeros_like(normaliser), torch.zeros_like(normaliser)
        pull.index_add_(0, state, grad_picked.float())
        if grad_entropy is not None:
            pull_entropy.index_add_(0, state, grad_entropy.float())
        pairs, which = torch.unique(state * logits.shape[1] + token, return_inverse=True)
        place = (pairs // logits.shape[1], pairs % logits.shape[1])
        # In float32, and before the logits are gone: near a probability of 1 the two parts cancel.
        gradient = _gradient(
            logits[place],
            normaliser[place[0]],
            pull[place[0]],
            entropy[place[0]],
            pull_entropy[place[0]],
            ctx.temperature,
        )
        gradient.index_add_(0, which, grad_picked.float() / ctx.temperature)
        _write_gradient(logits, normaliser, pull, entropy, pull_entropy, ctx.temperature)
        logits[place] = gradient.to(logits.dtype)
        return logits.detach(), None, None, None, None


def _normalise(logits: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log sum exp and entropy of each row of logits / temperature [S]."""
    normaliser, entropy = torch.empty(2, len(logits), dtype=torch.float32, device=logits.device)
    functions = _functions(logits)
    if functions is not None:
        functions.normalise(
            *map(_address, (logits, normaliser, entropy)), *logits.shape, temperature, torch.get_num_threads()
        )
        return normaliser, entropy
    for here in _slices(len(logits)):
        z = logits[here].to(torch.float32, copy=True).div_(temperature)
        torch.logsumexp(z, -1, out=normaliser[here])
        p = (z - normaliser[here, None]).exp_()
        entropy[here] = normaliser[here] - p.mul_(z.clamp_(min=_LOWEST)).sum(-1)
    return normaliser, entropy


def _write_gradient(
    logits: Tensor, normaliser: Tensor, pull: Tensor, entropy: Tensor, pull_entropy: Tensor, temperature: float
) -> None:
    """Over the logits, without what pulls at picked tokens themselves."""
    functions = _functions(logits)
    if functions is not None:
        functions.softmax_gradient(
            *map(_address, (logits, normaliser, pull, entropy, pull_entropy)),
            *(*logits.shape, temperature, torch.get_num_threads()),
        )
        return
    for here in _slices(len(logits)):
        n, a, e, b = (tensor[here, None] for tensor in (normaliser, pull, entropy, pull_entropy))
        logits[here] = _gradient(logits[here], n, a, e, b, temperature).to(logits.dtype)


def _gradient(
    logits: Tensor, normaliser: Tensor, pull: Tensor, entropy: Tensor, pull_entropy: Tensor, temperature: float
) -> Tensor:
    """-p (pull + pull_entropy (log p + entropy)) / temperature in float32: d log p of another token / d z = -p, and
    d entropy / d z = -p (log p + entropy).
    """
    log_p = logits.to(torch.float32, copy=True).div_(temperature).sub_(normaliser)
    p = log_p.exp()
    return log_p.clamp_(min=_LOWEST).add_(entropy).mul_(pull_entropy).add_(pull).mul_(p).div_(-temperature)


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, min(start + SLICE, count)) for start in range(0, count, SLICE))


def _functions(logits: Tensor) -> ctypes.CDLL | None:
    """Those of log_softmax.c for these logits; None where torch has to compute."""
    if logits.device.type != "cpu" or not logits.is_contiguous():
        return None
    return _functions_for(logits.dtype)


@functools.cache
def _functions_for(dtype: torch.dtype) -> ctypes.CDLL | None:
    try:
        library = load_library(Path(__file__).with_name("log_softmax.c"), dtype)
    except NoKernel:
        return None
    pointer, whole, number, threads = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int32
    library.normalise.argtypes = [*[pointer] * 3, whole, whole, number, threads]
    library.softmax_gradient.argtypes = [*[pointer] * 5, whole, whole, number, threads]
    for function in (library.normalise, library.softmax_gradient):
        function.restype = None
    return library


def _address(tensor: Tensor) -> int:
    return tensor.data_ptr()
