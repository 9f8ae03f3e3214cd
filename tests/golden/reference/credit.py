"""Credit of single tokens, and rewards that are shaped before the advantage."""

from __future__ import annotations

from collections.abc import Sequence

from tests.golden.reference.advantages import Groups, Rewards, dr_grpo, grpo
from tests.golden.reference.numbers import clip, deviation, judged_rows, mean


def tempo(
    tokens: Sequence[list[int]],
    rewards: Rewards,
    groups: Groups,
    norm_by_std: bool = True,
    eps: float = 1e-6,
    policy_tokens: Sequence[list[int]] | None = None,
) -> list[list[float]]:
    """(r - mean + V(tokens up to and with t) - V(tokens before t)) / (std + eps), V(prefix) the mean reward of the rows
    of the group that begin with it (arXiv:2509.18314, section 3). Tokens that the policy did not write (0 in
    `policy_tokens`) are in the tree and get 0.
    """
    base = grpo(rewards, groups, eps) if norm_by_std else dr_grpo(rewards, groups)
    out = []
    for i, row in enumerate(tokens):
        members = judged_rows(rewards, groups, groups[i])
        scale = deviation([rewards[j] for j in members]) + eps if norm_by_std else 1.0
        advantages = []
        for t in range(len(row)):
            value, child, parent = base[i], row[: t + 1], row[:t]
            if rewards[i] is not None and len(members) > 1:
                after = mean([rewards[j] for j in members if tokens[j][: t + 1] == child])
                before = mean([rewards[j] for j in members if tokens[j][:t] == parent])
                value += (after - before) / scale
            advantages.append(value if policy_tokens is None or policy_tokens[i][t] else 0.0)
        out.append(advantages)
    return out


def unlikeliness(
    rewards: Rewards, groups: Groups, mean_logprobs: Sequence[float], beta: float = 0.25
) -> list[float | None]:
    """r * (1 - beta * rank / G) for r > 0; rank 0 is the least likely judged row of the group, equal ones share the
    mean of their ranks (arXiv:2506.02355, section 4).
    """
    shaped = []
    for i, reward in enumerate(rewards):
        if reward is None or reward <= 0:
            shaped.append(reward)
            continue
        members = judged_rows(rewards, groups, groups[i])
        below = sum(mean_logprobs[j] < mean_logprobs[i] for j in members)
        equal = sum(mean_logprobs[j] == mean_logprobs[i] for j in members)
        rank = below + (equal - 1) / 2
        shaped.append(reward * (1 - beta * rank / len(members)))
    return shaped


def unlikeliness_then_tempo(
    tokens: Sequence[list[int]],
    rewards: Rewards,
    groups: Groups,
    mean_logprobs: Sequence[float],
    beta: float = 0.25,
    eps: float = 1e-6,
) -> list[list[float]]:
    """The shaped rewards are what the tree is built of (arXiv:2506.02355, then arXiv:2509.18314)."""
    return tempo(tokens, unlikeliness(rewards, groups, mean_logprobs, beta), groups, eps=eps)


def overlong(lengths: Sequence[int], max_length: int, buffer: int, factor: float = 1.0) -> list[float]:
    """min(0, -(length - (max_length - buffer)) / buffer) * factor (arXiv:2503.14476, eq. 13)."""
    return [-clip(length - (max_length - buffer), 0, float("inf")) / buffer * factor for length in lengths]
