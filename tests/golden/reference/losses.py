"""Losses of single tokens. Rows are ragged lists; `mask` has 0 for tokens that carry no loss.

Each gives the loss of every token, whether its bound was active, and the gradient of the sum over the masked tokens
with respect to each log-prob. Values outside the mask are None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tests.golden.reference.numbers import clip, mean

Rows = list[list[float]]
Token = tuple[float, bool | None, float]
"""Loss, whether its bound was active (None: the loss has none), gradient."""


def each_token(mask: Rows, token: Callable[[int, int], Token]) -> dict[str, Any]:
    """`token(row, place)` over all tokens of `mask`."""
    out: dict[str, Any] = {"loss": [], "clipped": [], "gradient": []}
    for i, row in enumerate(mask):
        tokens = [token(i, t) if real else (None, None, None) for t, real in enumerate(row)]
        for name, column in zip(out, range(3), strict=True):
            out[name].append([values[column] for values in tokens])
    return out


def ppo_clip(
    logprobs: Rows,
    old_logprobs: Rows,
    advantages: Rows,
    mask: Rows,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> dict[str, Any]:
    """max(-A ratio, -A clip(ratio, 1 - low, 1 + high)); for A < 0 at most -A dual_clip (arXiv:1707.06347 eq. 7,
    arXiv:2503.14476 eq. 10, arXiv:1912.09729 eq. 5).
    """

    def token(i: int, t: int) -> Token:
        advantage, ratio = advantages[i][t], math.exp(logprobs[i][t] - old_logprobs[i][t])
        plain, bounded = -advantage * ratio, -advantage * clip(ratio, 1 - clip_low, 1 + clip_high)
        if dual_clip is not None and advantage < 0 and max(plain, bounded) > -advantage * dual_clip:
            return -advantage * dual_clip, bounded > plain, 0.0
        return (bounded, True, 0.0) if bounded > plain else (plain, False, plain)

    return each_token(mask, token)


def gspo(
    logprobs: Rows,
    old_logprobs: Rows,
    advantages: Rows,
    mask: Rows,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
) -> dict[str, Any]:
    """PPO's loss with one ratio for the sequence, s = exp(mean_t(log pi - log pi_old)) (arXiv:2507.18071, eq. 5 to 7
    and 13).
    """

    def token(i: int, t: int) -> Token:
        tokens = [u for u, real in enumerate(mask[i]) if real]
        ratio = math.exp(mean([logprobs[i][u] - old_logprobs[i][u] for u in tokens]))
        plain = -advantages[i][t] * ratio
        bounded = -advantages[i][t] * clip(ratio, 1 - clip_low, 1 + clip_high)
        return (bounded, True, 0.0) if bounded > plain else (plain, False, plain)

    return each_token(mask, token)


def cispo(
    logprobs: Rows,
    old_logprobs: Rows,
    advantages: Rows,
    mask: Rows,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> dict[str, Any]:
    """-clip(ratio, 1 - low, 1 + high) A log pi, the weight a constant (arXiv:2506.13585, eq. 4 and 5)."""

    def token(i: int, t: int) -> Token:
        ratio = math.exp(logprobs[i][t] - old_logprobs[i][t])
        weight = clip(ratio, 1 - clip_low, 1 + clip_high)
        return -weight * advantages[i][t] * logprobs[i][t], weight != ratio, -weight * advantages[i][t]

    return each_token(mask, token)


def geometric_mean(
    logprobs: Rows,
    old_logprobs: Rows,
    advantages: Rows,
    mask: Rows,
    clip_low: float = 0.4,
    clip_high: float = 0.4,
) -> dict[str, Any]:
    """-A exp(mean_t of the log ratios), each clipped where that makes the objective smaller (arXiv:2507.20673, eq. 4).

    A is the mean advantage of the row, and the loss of the row stands at each of its tokens.
    """

    def token(i: int, t: int) -> Token:
        tokens = [u for u, real in enumerate(mask[i]) if real]
        ratios = {u: logprobs[i][u] - old_logprobs[i][u] for u in tokens}
        used = {}
        for u, ratio in ratios.items():
            bounded = clip(ratio, -clip_low, clip_high)
            used[u] = min(ratio, bounded) if advantages[i][u] > 0 else max(ratio, bounded)
        loss = -mean([advantages[i][u] for u in tokens]) * math.exp(mean(list(used.values())))
        outside = ratios[t] != clip(ratios[t], -clip_low, clip_high)
        return loss, outside, loss if used[t] == ratios[t] else 0.0

    return each_token(mask, token)


def reinforce(logprobs: Rows, old_logprobs: Rows, advantages: Rows, mask: Rows) -> dict[str, Any]:
    """-A log pi (arXiv:2504.02546)."""
    return each_token(mask, lambda i, t: (-advantages[i][t] * logprobs[i][t], None, -advantages[i][t]))


def mirror_descent(
    logprobs: Rows, old_logprobs: Rows, advantages: Rows, mask: Rows, mirror_beta: float = 0.1
) -> dict[str, Any]:
    """-(A log pi - beta / 2 (log pi - log pi_old)^2) (arXiv:2501.12599, eq. 3)."""

    def token(i: int, t: int) -> Token:
        advantage, move = advantages[i][t], logprobs[i][t] - old_logprobs[i][t]
        loss = -(advantage * logprobs[i][t] - mirror_beta / 2 * move**2)
        return loss, None, -advantage + mirror_beta * move

    return each_token(mask, token)


def dcpo_clip(logprobs: Rows, old_logprobs: Rows, advantages: Rows, mask: Rows) -> dict[str, Any]:
    """PPO's loss between the bounds of the token's old probability q (arXiv:2509.02333, eq. 6):
    1/2 + 1/2 sqrt(max(1 - 0.64 / q, 0)) and min(1/2 + 1/2 sqrt(1 + 0.8 / q), 10).
    """

    def token(i: int, t: int) -> Token:
        q, advantage = math.exp(old_logprobs[i][t]), advantages[i][t]
        low = 0.5 + 0.5 * math.sqrt(max(1 - 0.64 / q, 0.0))
        high = min(0.5 + 0.5 * math.sqrt(1 + 0.8 / q), 10.0)
        ratio = math.exp(logprobs[i][t] - old_logprobs[i][t])
        plain, bounded = -advantage * ratio, -advantage * clip(ratio, low, high)
        return (bounded, True, 0.0) if bounded > plain else (plain, False, plain)

    return each_token(mask, token)


def critique_grpo(logprobs: Rows, advantages: Rows, gamma: float = 0.1) -> Rows:
    """-A p / (p + gamma) (arXiv:2506.03106, eq. 5)."""
    return [
        [-a * math.exp(x) / (math.exp(x) + gamma) for x, a in zip(row, row_advantages, strict=True)]
        for row, row_advantages in zip(logprobs, advantages, strict=True)
    ]


def token_weights(mask: Rows, mode: str, max_new_tokens: int) -> Rows:
    """1 / tokens of the batch (arXiv:2503.14476), 1 / (rows * tokens of the row) (arXiv:2402.03300) or 1 / (rows *
    max_new_tokens) (arXiv:2503.20783). Rows without a masked token do not count.
    """
    lengths = [sum(row) for row in mask]
    rows = sum(length > 0 for length in lengths)
    out = []
    for row, length in zip(mask, lengths, strict=True):
        share = {
            "token_mean": sum(lengths),
            "sequence_mean": rows * length,
            "sequence_sum": rows * max_new_tokens,
        }[mode]
        out.append([1 / share if real else 0.0 for real in row])
    return out


def kl(logprobs: Sequence[float], ref_logprobs: Sequence[float]) -> dict[str, Any]:
    """k1 = d, k2 = d^2 / 2, k3 = exp(-d) - 1 + d with d = log pi - log pi_ref (J. Schulman, "Approximating KL
    Divergence", 2020), and their derivatives. k3 is bounded to 10 where d is below -2.
    """
    out: dict[str, Any] = {"k1": [], "k2": [], "k3": [], "k1_gradient": [], "k2_gradient": [], "k3_gradient": []}
    for x, reference in zip(logprobs, ref_logprobs, strict=True):
        d = x - reference
        k3 = math.exp(-d) - 1 + d
        for name, value, gradient in (
            ("k1", d, 1.0),
            ("k2", d * d / 2, d),
            ("k3", min(k3, 10.0), 1 - math.exp(-d) if k3 < 10 else 0.0),
        ):
            out[name].append(value)
            out[f"{name}_gradient"].append(gradient)
    return out


def mismatch(
    train_logprobs: Rows,
    rollout_logprobs: Rows,
    mask: Rows,
    name: str,
    cap: float = 2.0,
    low: float = 0.5,
    high: float = 5.0,
    reject_above: float | None = None,
) -> Rows:
    """w = exp(log pi_train - log pi_rollout): cut off at `cap` (tis), or 0 outside [low, high] (icepop,
    arXiv:2510.18855); 0 for a row whose mean |log w| exceeds `reject_above`. 1 where only rows are rejected.
    """
    out = []
    for i, row in enumerate(mask):
        tokens = [t for t, real in enumerate(row) if real]
        gaps = [abs(train_logprobs[i][t] - rollout_logprobs[i][t]) for t in tokens]
        rejected = reject_above is not None and bool(gaps) and mean(gaps) > reject_above
        weights = []
        for t, real in enumerate(row):
            w = math.exp(train_logprobs[i][t] - rollout_logprobs[i][t])
            if name == "tis":
                w = min(w, cap)
            elif name == "icepop":
                w = w if low <= w <= high else 0.0
            else:
                w = 1.0
            weights.append((0.0 if rejected else w) if real else None)
        out.append(weights)
    return out
