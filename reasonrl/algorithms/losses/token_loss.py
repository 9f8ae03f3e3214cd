"""A token loss by its name, given what it takes of the recipe's settings."""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.catalogue import LOSSES
from reasonrl.errors import TrainingError


def token_loss(
    name: str,
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float | None = None,
    clip_high: float | None = None,
    dual_clip: float | None = None,
    mirror_beta: float | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Loss [B, T] of each token, and where a bound was active [B, T] (None: this loss has none).

    A setting of None leaves the loss its own default. Raises ValueError for a name that is not a token loss, and
    TrainingError for a loss that does not have one number for each token.
    """
    loss = LOSSES[name]
    if loss.level == "group":
        raise ValueError(f"{name!r} is a loss over the responses of a prompt, not over tokens")
    settings = {
        "old_logprobs": old_logprobs,
        "mask": mask,
        "clip_low": clip_low,
        "clip_high": clip_high,
        "dual_clip": dual_clip,
        "mirror_beta": mirror_beta,
    }
    arguments = {key: settings[key] for key in loss.takes if settings[key] is not None}
    if not isinstance(loss.function, str):  # a user's, which may write into what it is given
        advantages = advantages.clone()
        arguments = {key: value.clone() if isinstance(value, Tensor) else value for key, value in arguments.items()}
    result = loss.load()(logprobs, advantages=advantages, **arguments)
    losses, clipped = result if isinstance(result, tuple) else (result, None)
    shape = list(losses.shape) if isinstance(losses, Tensor) else type(losses).__name__
    if shape != list(logprobs.shape):
        raise TrainingError(
            f"train.loss: {name} must return the loss of each token, {list(logprobs.shape)}, not {shape};"
            " train.loss_aggregation combines them into one number"
        )
    return losses, clipped
