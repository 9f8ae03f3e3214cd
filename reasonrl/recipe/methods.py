"""The part of a recipe that switches methods on: what decides which problems come, how often, and what their rollouts
are worth.

Each stands alone and all of them combine; what makes no sense together is refused in `reasonrl.recipe.schema` with the
reason.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reasonrl.recipe.fields import Count, Positive, Share, Spec, named


class BudgetSpec(Spec):
    """How many rollouts each prompt of a step gets; prompts_per_step times rollouts_per_prompt in all, whatever the
    budget.
    """

    name: Literal["uniform", "knapsack"] = "uniform"
    low: Annotated[int, Field(ge=2)] = 2
    """knapsack: least rollouts of a prompt. One would have nothing to be compared with."""
    high: Annotated[int, Field(ge=2)] = 64
    """knapsack: most rollouts of a prompt."""

    @model_validator(mode="after")
    def _bounds(self) -> BudgetSpec:
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; low must not exceed high")
        return self


class CurriculumSpec(Spec):
    """Which problems come next."""

    name: Literal["uniform", "pcl", "dump"] = "uniform"
    candidates_per_prompt: Count = 4
    """pcl: problems that are looked at for each that is taken."""
    target_rate: Share = 0.5
    """pcl: the success rate that is looked for."""
    window: Count = 300
    """dump: advantages remembered of each source."""
    temperature: Positive = 0.1
    """dump: of the draw among sources."""


class RatesSpec(Spec):
    """The success rate of a problem under the present policy, as curricula and budgets see it."""

    source: Literal["history", "value", "blend"] | None = None
    """Empty: blend for pcl and for the shrinkage baseline, history else."""
    window: Count = 16
    """history: newest rollouts of a problem that make its rate."""
    min_count: Count = 8
    """history: fewer rollouts than this say nothing."""
    trust_rollouts: Positive = 3.0
    """blend: rollouts that a prediction is worth."""
    value_window: Count = 512
    """value: prompts that the value model is fitted to."""
    ridge: Positive = 0.3


class UnlikelinessSpec(Spec):
    beta: Share = 0.25
    """How much less the most likely right answer of a group earns, at most."""


class OverlongSpec(Spec):
    """DAPO's soft punishment: from 0 at max_new_tokens - buffer_tokens down to -factor at max_new_tokens."""

    buffer_tokens: Count
    factor: Positive = 1.0


class D3SSpec(Spec):
    """Keep the rows whose advantages spread most, and of these the tokens that matter most. [at the start, at the end]
    of the run.
    """

    row_share: tuple[Share, Share] = (0.5, 1.0)
    token_share: tuple[Share, Share] = (0.2, 1.0)


class MismatchSpec(Spec):
    """Weights against rollouts that were drawn from other probabilities than the trainer computes."""

    name: Literal["none", "tis", "icepop"] = "none"
    cap: Positive = 2.0
    """tis"""
    low: Positive = 0.5
    """icepop"""
    high: Positive = 5.0
    """icepop"""
    reject_above: Positive | None = None
    """Leave out rows whose mean |log ratio| exceeds this."""

    @property
    def is_on(self) -> bool:
        return self.name != "none" or self.reject_above is not None


Budget = Annotated[BudgetSpec, BeforeValidator(named)]
Curriculum = Annotated[CurriculumSpec, BeforeValidator(named)]
Mismatch = Annotated[MismatchSpec, BeforeValidator(named)]
Loss = Literal[
    "ppo_clip", "gspo", "cispo", "geometric_mean", "reinforce", "mirror_descent", "dcpo_clip", "disco", "drpo", "trpa"
]  # fmt: skip

SEQUENCE_LOSSES = ("geometric_mean", "disco", "drpo", "trpa")
"""One number a response: what single tokens are credited with would be averaged away."""
GROUP_LOSSES = ("disco", "drpo", "trpa")
"""Compare the responses of a prompt with each other; advantages play no part."""
CREDITED = ("grpo", "dr_grpo", "rloo", "lite_ppo", "opo", "remax", "shrinkage")
"""A reward less a baseline, and at most a scale: what a tree term can be added to."""
