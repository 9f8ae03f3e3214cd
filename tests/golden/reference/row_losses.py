"""Losses over the responses of a prompt, from the score of each: the mean log-prob of its tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.golden.reference.numbers import mean, softmax

Loss = dict[str, object]
"""`loss`, and its `gradient` with respect to the score of each row."""


def disco(
    scores: Sequence[float],
    correct: Sequence[bool],
    groups: Sequence[str],
    tau: float = 10.0,
    weights: Sequence[float] | None = None,
) -> Loss:
    """Mean over ALL prompts of -mean_right(s) + tau log(mean_wrong(exp(s / tau))); 0 for a prompt without both kinds
    (arXiv:2505.12366, eq. 6). `weights` replace the plain mean of the right ones.
    """
    names = list(dict.fromkeys(groups))
    loss, gradient = 0.0, [0.0] * len(scores)
    for name in names:
        right = [i for i in range(len(scores)) if groups[i] == name and correct[i]]
        wrong = [i for i in range(len(scores)) if groups[i] == name and not correct[i]]
        if not right or not wrong:
            continue
        shares = [1 / len(right) if weights is None else weights[i] for i in right]
        loss -= math.fsum(share * scores[i] for share, i in zip(shares, right, strict=True))
        loss += tau * math.log(mean([math.exp(scores[i] / tau) for i in wrong]))
        for i, share in zip(right, shares, strict=True):
            gradient[i] = -share / len(names)
        for i, share in zip(wrong, softmax([scores[i] / tau for i in wrong]), strict=True):
            gradient[i] = share / len(names)
    return {"loss": loss / len(names), "gradient": gradient}


def drpo(
    scores: Sequence[float],
    correct: Sequence[bool],
    groups: Sequence[str],
    lengths: Sequence[int],
    max_length: int,
    temperature: float = 0.1,
    tau: float = 10.0,
) -> Loss:
    """DisCO whose right rows have the weights softmax(-length / (max_length * temperature)) in their prompt
    (arXiv:2510.04474, eq. 9 and 10).
    """
    weights = [0.0] * len(scores)
    for name in set(groups):
        right = [i for i in range(len(scores)) if groups[i] == name and correct[i]]
        shares = softmax([-lengths[i] / (max_length * temperature) for i in right]) if right else []
        for i, share in zip(right, shares, strict=True):
            weights[i] = share
    return disco(scores, correct, groups, tau, weights)


def trpa(
    log_ratios: Sequence[float],
    rewards: Sequence[float],
    groups: Sequence[str],
    beta: float = 0.1,
    best: float = 1.0,
) -> Loss:
    """Mean of -log sigmoid(h) over all pairs of a prompt in which i earns more than j: h = beta (lr_i - lr_j), times
    2.5 where i earns `best` (arXiv:2504.04524).
    """
    rows = range(len(rewards))
    pairs = [(i, j) for i in rows for j in rows if groups[i] == groups[j] and rewards[i] > rewards[j]]
    loss, gradient = 0.0, [0.0] * len(rewards)
    for i, j in pairs:
        factor = beta * (2.5 if rewards[i] >= best else 1.0)
        h = factor * (log_ratios[i] - log_ratios[j])
        loss += math.log(1 + math.exp(-h)) / len(pairs)
        slope = factor / (1 + math.exp(h)) / len(pairs)
        gradient[i] -= slope
        gradient[j] += slope
    return {"loss": loss, "gradient": gradient}


def trust_region(scores: Sequence[float], old_scores: Sequence[float], beta: float = 1e3, delta: float = 1e-4) -> float:
    """beta [K - delta]_+ K with K = mean(old - new) (arXiv:2505.12366, eq. 6)."""
    distance = mean([old - new for old, new in zip(old_scores, scores, strict=True)])
    return beta * max(distance - delta, 0.0) * distance
