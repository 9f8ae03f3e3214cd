"""Advantages of rows. All take `rewards` [B] (None: not judged) and `groups` [B], and give 0 to rows not judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tests.golden.reference.numbers import deviation, judged_rows, mean

Rewards = Sequence[float | None]
Groups = Sequence[str]


def by_group(rewards: Rewards, groups: Groups, formula: Callable[[list[int]], list[float]]) -> list[float]:
    """`formula(judged rows of one group) -> their advantages`, group by group."""
    advantages = [0.0] * len(rewards)
    for name in dict.fromkeys(groups):
        rows = judged_rows(rewards, groups, name)
        for row, advantage in zip(rows, formula(rows) if rows else [], strict=True):
            advantages[row] = advantage
    return advantages


def baseline(values: Sequence[float]) -> float:
    """The mean of a group; 0 for a group of one."""
    return mean(values) if len(values) > 1 else 0.0


def grpo(rewards: Rewards, groups: Groups, eps: float = 1e-6) -> list[float]:
    """(r - mean) / (std + eps); a group of one: mean 0, std 1 (arXiv:2402.03300, section 4.1.2)."""

    def formula(rows: list[int]) -> list[float]:
        values = [rewards[i] for i in rows]
        scale = deviation(values) if len(values) > 1 else 1.0
        return [(value - baseline(values)) / (scale + eps) for value in values]

    return by_group(rewards, groups, formula)


def dr_grpo(rewards: Rewards, groups: Groups) -> list[float]:
    """r - mean (arXiv:2503.20783, section 3.2)."""

    def formula(rows: list[int]) -> list[float]:
        values = [rewards[i] for i in rows]
        return [value - baseline(values) for value in values]

    return by_group(rewards, groups, formula)


def rloo(rewards: Rewards, groups: Groups) -> list[float]:
    """r - mean of the OTHER rows of the group; a group of one: r (arXiv:2402.14740, section 3.3)."""

    def formula(rows: list[int]) -> list[float]:
        advantages = []
        for i in rows:
            others = [rewards[j] for j in rows if j != i]
            advantages.append(rewards[i] - (mean(others) if others else 0.0))
        return advantages

    return by_group(rewards, groups, formula)


def whitened(values: Sequence[float | None], lengths: Sequence[int]) -> list[float]:
    """(x - mean) / sqrt(var + 1e-8) over the tokens of the batch: each value stands once for every token of its row.
    Below two tokens there is no variance: centred only. A value of None has no tokens and gives 0.
    """
    tokens = [value for value, length in zip(values, lengths, strict=True) if value is not None for _ in range(length)]
    centre = mean(tokens) if tokens else 0.0
    scale = math.sqrt(deviation(tokens) ** 2 + 1e-8) if len(tokens) > 1 else 1.0
    return [0.0 if value is None else (value - centre) / scale for value in values]


def reinforce_pp(rewards: Rewards, groups: Groups, lengths: Sequence[int]) -> list[float]:
    """whiten(r) (arXiv:2501.03262); the groups play no part."""
    return whitened(rewards, lengths)


def reinforce_pp_baseline(rewards: Rewards, groups: Groups, lengths: Sequence[int]) -> list[float]:
    """whiten(r - mean of the group) (arXiv:2501.03262)."""
    centred = dr_grpo(rewards, groups)
    return whitened([None if r is None else c for r, c in zip(rewards, centred, strict=True)], lengths)


def remax(rewards: Rewards, groups: Groups, greedy_rewards: Sequence[float]) -> list[float]:
    """r - reward of the greedy response to the same prompt (arXiv:2310.10505, algorithm 1)."""
    return [0.0 if r is None else r - greedy for r, greedy in zip(rewards, greedy_rewards, strict=True)]


def opo(rewards: Rewards, groups: Groups, lengths: Sequence[int]) -> list[float]:
    """r - sum(length * r) / sum(length); without tokens the plain mean; a group of one: r (arXiv:2505.23585, eq. 8)."""

    def formula(rows: list[int]) -> list[float]:
        if len(rows) == 1:
            return [rewards[rows[0]]]
        tokens = sum(lengths[i] for i in rows)
        weights = [lengths[i] if tokens else 1 for i in rows]
        centre = math.fsum(w * rewards[i] for w, i in zip(weights, rows, strict=True)) / sum(weights)
        return [rewards[i] - centre for i in rows]

    return by_group(rewards, groups, formula)


def gpg(rewards: Rewards, groups: Groups) -> list[float]:
    """alpha * (r - mean), alpha = judged rows of the batch / those whose reward is not 0 (arXiv:2504.02546)."""
    judged = [r for r in rewards if r is not None]
    alpha = len(judged) / max(1, sum(r != 0 for r in judged))
    return [alpha * advantage for advantage in dr_grpo(rewards, groups)]


def passk(rewards: Rewards, groups: Groups, eps: float = 1e-6) -> list[float]:
    """(largest - second largest) / (std + eps) for the first of the best rows, 0 for the others; a group of one: 0
    (arXiv:2503.19595).
    """

    def formula(rows: list[int]) -> list[float]:
        values = [rewards[i] for i in rows]
        advantages = [0.0] * len(rows)
        if len(rows) > 1:
            first, second = sorted(values, reverse=True)[:2]
            advantages[values.index(first)] = (first - second) / (deviation(values) + eps)
        return advantages

    return by_group(rewards, groups, formula)


def lite_ppo(rewards: Rewards, groups: Groups, eps: float = 1e-6) -> list[float]:
    """(r - mean of the group) / (std of the batch + eps) (arXiv:2508.08221, section 4.1)."""
    scale = deviation([r for r in rewards if r is not None]) + eps
    return [advantage / scale for advantage in dr_grpo(rewards, groups)]


def gdpo(
    rewards: Rewards,
    groups: Groups,
    lengths: Sequence[int],
    reward_parts: dict[str, list[float]],
    part_weights: dict[str, float],
    eps: float = 1e-6,
) -> list[float]:
    """whiten(sum over parts of weight * GRPO of the part) (arXiv:2601.05242, eq. 4 to 6)."""
    totals = [0.0] * len(rewards)
    for name, column in reward_parts.items():
        judged = [None if r is None else value for r, value in zip(rewards, column, strict=True)]
        for i, advantage in enumerate(grpo(judged, groups, eps)):
            totals[i] += part_weights[name] * advantage
    return whitened([None if r is None else total for r, total in zip(rewards, totals, strict=True)], lengths)


def max_rl(rewards: Rewards, groups: Groups) -> list[float]:
    """(r - mean) / mean; 0 for a group without a success, or of one (arXiv:2602.02710)."""

    def formula(rows: list[int]) -> list[float]:
        values = [rewards[i] for i in rows]
        centre = mean(values)
        return [(v - centre) / centre if centre > 1e-6 and len(values) > 1 else 0.0 for v in values]

    return by_group(rewards, groups, formula)


def shrinkage(
    rewards: Rewards, groups: Groups, predictions: Sequence[float | None], smoothed: bool = True
) -> list[float]:
    """r - (w mean + (1 - w) V), w = d2 / (d2 + s2), s2 = m (1 - m) / n with m = (successes + 1) / (n + 2) or the mean,
    d2 = max((mean - V)^2 - s2, 0) (after arXiv:2603.10848). V None, or nothing to doubt: the mean.
    """

    def formula(rows: list[int]) -> list[float]:
        values, n = [rewards[i] for i in rows], len(rows)
        advantages = []
        for i in rows:
            centre = mean(values)
            if predictions[i] is not None:
                share = (sum(values) + 1) / (n + 2) if smoothed else centre
                s2 = share * (1 - share) / n
                d2 = max((centre - predictions[i]) ** 2 - s2, 0.0)
                weight = d2 / (d2 + s2) if d2 + s2 > 0 else 1.0
                centre = weight * centre + (1 - weight) * predictions[i]
            advantages.append(rewards[i] - centre)
        return advantages

    return by_group(rewards, groups, formula)


def dcpo(rewards: Rewards, groups: Groups, past: dict[str, list[float]]) -> dict[str, object]:
    """The advantage of smaller magnitude of two blends of this visit's and all visits' standardised rewards
    (arXiv:2509.02333, section 3.2). `past`: visits, mean and std of the prompts seen before.

        SA_new = (i-1)/i A_new + 1/i A_tot        SA_tot = 1/i A_new + (i-1)/i A_tot
    """
    moments = dict(past)

    def formula(rows: list[int]) -> list[float]:
        values, name = [rewards[i] for i in rows], groups[rows[0]]
        visits, old_mean, old_std = past.get(name, [0, 0.0, 0.0])
        i, new_mean, new_std = visits + 1, mean(values), deviation(values)
        total_mean = (visits * old_mean + new_mean) / i
        total_variance = (visits * old_std**2 + new_std**2 + visits / i * (new_mean - old_mean) ** 2) / i
        total_std = math.sqrt(total_variance)
        moments[name] = [i, total_mean, total_std]
        advantages = []
        for value in values:
            new = (value - new_mean) / new_std if new_std > 0 else 0.0
            total = (value - total_mean) / total_std if total_std > 1e-9 else 0.0  # 0 but for rounding
            blends = [visits / i * new + total / i, new / i + visits / i * total]
            advantages.append(min(blends, key=abs))
        return advantages

    return {"advantages": by_group(rewards, groups, formula), "moments": moments}
