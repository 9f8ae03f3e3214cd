"""A token loss by its name, given what it takes of the recipe's settings."""

from __future__ import annotations

from torch import Tensor

from reasonrl.algorithms.catalogue import LOSSES
from reasonrl.algorithms.user_results import no_backward, sound_token_losses


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
    TrainingError for a user's loss that does not give a finite number with a gradient to each token.
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
    if isinstance(loss.function, str):
        result = loss.load()(logprobs, advantages=advantages, **arguments)
        return result if isinstance(result, tuple) else (result, None)
    # A user's function may write into what it is given.
    copies = {key: value.clone() if isinstance(value, Tensor) else value for key, value in arguments.items()}
    subject = f"train.loss: {name}"
    given = logprobs.clone()
    with no_backward(given, subject):
        result = loss.load()(given, advantages=advantages.clone(), **copies)
    return sound_token_losses(result, logprobs, advantages, mask, subject)
