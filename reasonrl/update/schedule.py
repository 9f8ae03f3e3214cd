"""The learning rate of a step, for both trainers."""

from __future__ import annotations

import math

from reasonrl.recipe.training import OptimSpec


def learning_rate(spec: OptimSpec, step: int, total_steps: int) -> float:
    """Of 1-based `step`: linear warm-up from above 0, then constant, or down to 0 just after the last step."""
    if step <= spec.warmup_steps:
        return spec.lr * step / (spec.warmup_steps + 1)
    if spec.schedule == "constant":
        return spec.lr
    progress = (step - 1 - spec.warmup_steps) / max(1, total_steps - spec.warmup_steps)
    remaining = 1 - progress if spec.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return spec.lr * max(0.0, remaining)
