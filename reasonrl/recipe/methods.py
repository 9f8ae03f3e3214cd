"""The part of a recipe that switches methods on: which problems are sampled, how often, and how rollouts are credited.

Each method works alone, and all of them combine. `reasonrl.recipe.rules` refuses what makes no sense together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from reasonrl.recipe.fields import Count, Drawn, Positive, Share, Spec, named
from reasonrl.recipe.mistakes import Mistake, MistakesError


class BudgetSpec(Spec):
    """How many rollouts each prompt of a step gets. In all they are `prompts_per_step` times `rollouts_per_prompt`,
    whatever the budget.
    """

    name: Literal["uniform", "knapsack"] = "uniform"
    """`uniform` gives all prompts the same number. `knapsack` (arXiv:2509.25849) gives more to prompts that teach more.
    """
    low: Annotated[int, Field(ge=2)] = 2
    """With knapsack, every prompt gets at least this many rollouts. A single one would have nothing to be compared
    with.
    """
    high: Annotated[int, Field(ge=2)] = 64
    """With knapsack, no prompt gets more rollouts than this."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> BudgetSpec:
        if self.low > self.high:
            raise MistakesError(
                [
                    Mistake(
                        (),
                        f"low is {self.low} and high is {self.high}; low must not exceed high",
                        (("low",), ("high",)),
                    )
                ]
            )
        return self


class CurriculumSpec(Spec):
    """Which problems come next."""

    name: Literal["uniform", "pcl", "dump"] = "uniform"
    """`uniform` makes shuffled passes over all problems. `pcl` (arXiv:2510.01135) takes problems whose success rate is
    nearest to a target. `dump` (arXiv:2504.09710) prefers the data source whose advantages are largest.
    """
    candidates_per_prompt: Drawn = 4
    """With pcl, this many problems are considered for each one that is taken."""
    target_rate: Share = 0.5
    """With pcl, problems with a success rate near this are taken."""
    window: Count = 300
    """With dump, this many of the newest advantages are remembered for each source."""
    temperature: Positive = 0.1
    """With dump, sources are drawn with weights softmax(score / temperature)."""


class RatesSpec(Spec):
    """The success rate of a problem under the present policy, as curricula, budgets and baselines see it."""

    source: Literal["history", "value", "blend"] | None = None
    """Rates come from earlier rollouts of the problem (`history`), from a value model on the policy's states (`value`),
    or from the history with the value model's prediction as its start (`blend`). Empty: `blend` where a curriculum or a
    baseline needs predictions, else `history`.
    """
    window: Count = 16
    """With a history, the rate is the mean over this many of the problem's newest rollouts."""
    min_count: Count = 8
    """With a history of fewer rollouts than this, the rate is unknown."""
    trust_rollouts: Positive = 3.0
    """With a blend, a prediction counts as much as this many rollouts."""
    value_window: Count = 512
    """The value model is fitted to this many of the newest prompts."""
    ridge: Positive = 0.3
    """The value model's weights are penalised by this, in units of the features' mean square."""


class UnlikelinessSpec(Spec):
    """Correct responses that are less likely earn more (arXiv:2506.02355)."""

    beta: Share = 0.25
    """The most likely correct response of a group earns up to this share less."""


class OverlongSpec(Spec):
    """DAPO's soft punishment of long responses (arXiv:2503.14476): 0 up to `max_new_tokens - buffer_tokens`, then
    falling to `-factor` at `max_new_tokens`.
    """

    buffer_tokens: Count
    """The punishment begins this many tokens before `rollout.max_new_tokens`."""
    factor: Annotated[float, Field(gt=0, le=1_000_000)] = 1.0
    """A response of `max_new_tokens` loses this much reward."""


class D3SSpec(Spec):
    """Keep the rows whose advantages spread most, and the tokens of these that matter most (D3S, arXiv:2509.22115)."""

    row_share: tuple[Share, Share] = (0.5, 1.0)
    """This share of the rows is kept: [at the start, at the end] of the run."""
    token_share: tuple[Share, Share] = (0.2, 1.0)
    """This share of the tokens of those rows is kept: [at the start, at the end] of the run."""


class MismatchSpec(Spec):
    """Weights for rollouts that were drawn from other probabilities than the trainer computes: the train-inference
    mismatch, which `policy/rollout_gap` measures (rollout correction).
    """

    name: Literal["none", "tis", "icepop"] = "none"
    """`tis` is truncated importance sampling. `icepop` (arXiv:2510.18855) leaves out tokens whose importance weight is
    out of bounds.
    """
    cap: Positive = 2.0
    """With tis, importance weights are clipped to at most this."""
    low: Positive = 0.5
    """With icepop, tokens with an importance weight below this are left out."""
    high: Positive = 5.0
    """With icepop, tokens with an importance weight above this are left out."""
    reject_above: Positive | None = None
    """Rows whose mean |log importance weight| exceeds this are left out. Empty: no row is."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> MismatchSpec:
        if self.name == "icepop" and self.low >= self.high:
            text = f"low is {self.low} and high is {self.high}, so every token is left out; write a low below high"
            raise MistakesError([Mistake((), text, (("low",), ("high",)))])
        return self

    @property
    def is_on(self) -> bool:
        return self.name != "none" or self.reject_above is not None


Budget = Annotated[BudgetSpec, BeforeValidator(named)]
Curriculum = Annotated[CurriculumSpec, BeforeValidator(named)]
Mismatch = Annotated[MismatchSpec, BeforeValidator(named)]
