"""What a loss over the responses of a prompt sees of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ScoredRows:
    """B responses with their scores, the mean log-prob of their tokens."""

    scores: Tensor
    """[B] float64 under the present policy; the loss is differentiable in them."""
    old_scores: Tensor
    """[B] under the policy that wrote the responses."""
    ref_scores: Tensor | None
    """[B] under the model that the stage started from; only where the loss asks for it."""
    correct: Tensor
    """[B] bool."""
    rewards: Tensor
    """[B] raw rewards."""
    group: Tensor
    """[B] ordinal of each row's prompt."""
    lengths: Tensor
    """[B] tokens that carry loss."""
    max_length: int
    """Longest response that the recipe allows, in tokens."""
    best_reward: float
    """Reward of a response with nothing left to improve."""
