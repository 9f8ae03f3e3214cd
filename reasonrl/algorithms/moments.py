"""What an estimator with a memory keeps of each prompt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptMoments:
    """Pooled mean and deviation of a prompt's rewards over `visits` batches."""

    visits: int = 0
    mean: float = 0.0
    std: float = 0.0
