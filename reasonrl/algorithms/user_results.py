"""What an advantage or a loss of the user's own returns: numbers that an update can use, or one message."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from reasonrl.algorithms.moments import PromptMoments
from reasonrl.errors import TrainingError
from reasonrl.user_code.guards import kind_of, shown


def sound_advantages(estimate: Any, rewards: Tensor, subject: str) -> Tensor:
    """[B] the estimate without its graph.

    Args:
        rewards: [B] what it was computed from.
        subject: the beginning of a message.

    Raises TrainingError for anything but one real number for each row.
    """
    what = f"{subject} must return one advantage for each row, {list(rewards.shape)}"
    _require_numbers(estimate, rewards, what)
    return estimate.detach()  # type: ignore[no-any-return]


def sound_token_losses(
    returned: Any, logprobs: Tensor, advantages: Tensor, mask: Tensor, subject: str
) -> tuple[Tensor, Tensor | None]:
    """Loss [B, T] of each token, 0 outside the mask where it is not finite, and where a bound was active [B, T].

    Args:
        returned: the losses, or the pair of them and the bounds.
        logprobs, advantages, mask: [B, T] what the loss was computed from.

    Raises TrainingError for another shape or type, for losses without a gradient, and for a loss that is not finite
    though the log-prob and the advantage of its token are.
    """
    if isinstance(returned, tuple) and len(returned) != 2:
        raise TrainingError(
            f"{subject} returned {len(returned)} values; return the loss of each token, {list(logprobs.shape)}, or the"
            " pair of it and where a bound was active"
        )
    losses, clipped = returned if isinstance(returned, tuple) else (returned, None)
    what = f"{subject} must return the loss of each token, {list(logprobs.shape)}"
    _require_numbers(losses, logprobs, what, "; train.loss_aggregation combines them into one number")
    if logprobs.requires_grad and torch.is_grad_enabled() and not losses.requires_grad:
        raise TrainingError(
            f"{subject} returned losses without a gradient, which train nothing: compute them from logprobs, without"
            " detach() and no_grad()"
        )
    if clipped is not None and not (
        isinstance(clipped, Tensor) and clipped.dtype is torch.bool and clipped.shape == logprobs.shape
    ):
        raise TrainingError(
            f"{subject} must return where a bound was active as bool, {list(logprobs.shape)}, not {_what(clipped)}"
        )
    bad = ~torch.isfinite(losses.detach())
    if not bool(bad.any()):
        return losses, clipped
    blamed = bad & mask & torch.isfinite(logprobs.detach()) & torch.isfinite(advantages)
    if bool(blamed.any()):
        row, token = blamed.nonzero()[0].tolist()
        raise TrainingError(
            f"{subject} returned {float(losses[row, token].detach()):g} for a token with log-prob"
            f" {float(logprobs[row, token].detach()):g} and advantage {float(advantages[row, token]):g}; return finite"
            " numbers"
        )
    return losses.where(mask, losses.new_zeros(())), clipped


@contextlib.contextmanager
def no_backward(given: Tensor, subject: str) -> Iterator[None]:
    """Raises TrainingError where a gradient flows into `given` in this block: it would count twice."""
    flowed: list[bool] = []
    if not given.requires_grad:
        yield
        return
    hook = given.register_hook(lambda gradient: flowed.append(True))
    try:
        yield
    finally:
        hook.remove()
        if flowed:
            raise TrainingError(
                f"{subject} calls backward() itself; return the losses and leave the gradient to reasonrl"
            )


def require_moments(moments: Mapping[Any, Any], subject: str) -> None:
    """Raises TrainingError where an estimator remembers anything but PromptMoments of a problem."""
    for key, value in moments.items():
        if not isinstance(key, str) or not isinstance(value, PromptMoments):
            raise TrainingError(
                f"{subject} remembers {shown(value)} under {shown(key)}; moments takes"
                " reasonrl.algorithms.moments.PromptMoments by problem id"
            )


def _require_numbers(value: Any, like: Tensor, what: str, otherwise: str = "") -> None:
    """Raises TrainingError where it is not a dense tensor of real numbers, as large as `like` and on its device."""
    if not isinstance(value, Tensor) or value.shape != like.shape:
        raise TrainingError(f"{what}, not {_what(value)}{otherwise}")
    if value.dtype is torch.bool or value.is_complex() or value.layout is not torch.strided:
        dense = "" if value.layout is torch.strided else f" ({value.layout})"
        raise TrainingError(f"{what} as real numbers in a dense tensor, not {value.dtype}{dense}")
    if value.device != like.device:
        raise TrainingError(f"{what} on the device {like.device}, not on {value.device}")


def _what(value: Any) -> str:
    if not isinstance(value, Tensor):
        return kind_of(value)
    return f"{list(value.shape)} of {value.dtype}" if value.dtype is torch.bool else f"{list(value.shape)}"
