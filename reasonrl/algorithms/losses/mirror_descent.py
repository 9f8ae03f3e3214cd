"""Mirror descent with a squared log-ratio for the KL term (Kimi k1.5, arXiv:2501.12599, eq. 3; verl's `dro`).

    loss_t = -( A log pi - beta / 2 (log pi - log pi_old)^2 )

Nothing is clipped: the square pulls back what has moved. beta 0.1 is ours; not stated by the source.
"""

from __future__ import annotations

from torch import Tensor


def mirror_descent_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, *, mirror_beta: float = 0.1
) -> Tensor:
    """Loss of each token; shapes equal, usually [B, T]. Raises ValueError unless mirror_beta is above 0."""
    if not mirror_beta > 0:
        raise ValueError(f"mirror descent: beta is {mirror_beta}; it must be above 0")
    return -(advantages * logprobs - 0.5 * mirror_beta * (logprobs - old_logprobs) ** 2)
