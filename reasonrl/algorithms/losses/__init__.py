"""Policy losses per token, and how token losses become one number. One loss, one file.

`token_loss(name, ...)` is the switch of the trainers. Losses that compare the responses of a prompt (disco, drpo, trpa)
are functions of the rows' scores and stand apart: their gradient in the scores becomes a weight of each row.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from reasonrl.algorithms.losses.cispo import cispo_loss
from reasonrl.algorithms.losses.dcpo_bounds import dcpo_clip_loss
from reasonrl.algorithms.losses.geometric_mean import geometric_mean_loss
from reasonrl.algorithms.losses.gspo import gspo_loss
from reasonrl.algorithms.losses.mirror_descent import mirror_descent_loss
from reasonrl.algorithms.losses.ppo_clip import ppo_clip_loss
from reasonrl.algorithms.losses.reinforce import reinforce_loss


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
    mirror_beta: float = 0.1,
) -> tuple[Tensor, Tensor | None]:
    """Loss [B, T] of each token and where a clip was active (None: this loss has none). Bounds of None are those of the
    loss itself.

    Raises ValueError for a name that is not known.
    """
    bounds: dict[str, Any] = {
        key: value for key, value in (("clip_low", clip_low), ("clip_high", clip_high)) if value is not None
    }
    if name == "ppo_clip":
        return ppo_clip_loss(logprobs, old_logprobs, advantages, dual_clip=dual_clip, **bounds)
    if name == "gspo":
        return gspo_loss(logprobs, old_logprobs, advantages, mask, **bounds)
    if name == "geometric_mean":
        return geometric_mean_loss(logprobs, old_logprobs, advantages, mask, **bounds)
    if name == "cispo":
        return cispo_loss(logprobs, old_logprobs, advantages, **bounds)
    if name == "dcpo_clip":
        return dcpo_clip_loss(logprobs, old_logprobs, advantages)
    if name == "mirror_descent":
        return mirror_descent_loss(logprobs, old_logprobs, advantages, beta=mirror_beta), None
    if name == "reinforce":
        return reinforce_loss(logprobs, advantages), None
    raise ValueError(f"the loss {name!r} is not known")
