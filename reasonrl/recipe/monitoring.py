"""The part of a recipe that says what is measured, kept and watched while a stage runs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reasonrl.recipe.fields import MOST_DRAWN, Count, Share, Spec, Temperature


class EvalSpec(Spec):
    """Evaluation on the held-out sets."""

    every_steps: Count | None = None
    """The held-out sets are evaluated every this many steps. Empty: only before and after the stage."""
    before: bool = True
    """The held-out sets are evaluated before the first step too."""
    greedy: bool = True
    """One greedy response to each problem is evaluated."""
    samples_per_problem: Annotated[int, Field(ge=0, le=MOST_DRAWN)] = 4
    """This many sampled responses to each problem are evaluated; 0 switches this off."""
    temperature: Temperature | None = None
    """The evaluated responses are sampled at this temperature. Empty: that of `rollout.temperature`."""


class CheckpointSpec(Spec):
    """What is saved."""

    every_steps: Count | None = None
    """A checkpoint is saved every this many steps. Empty: only at the end."""
    keep_last: Count = 1
    """This many of the newest checkpoints are kept."""
    keep_best: bool = True
    """The weights with the best held-out accuracy are kept as well."""


class HealthSpec(Spec):
    """When a run warns, and when it stops by itself."""

    warn_after_steps_without_signal: Count = 3
    """The run warns after this many steps in a row whose groups all have equal rewards."""
    stop_after_steps_without_signal: Count | None = None
    """The run stops after this many such steps in a row. Empty: never."""
    warn_unjudged_share: Share = 0.05
    """The run warns when more than this share of the rollouts of the last ten steps timed out or broke while being
    judged.
    """
    max_unjudged_share: Share = 0.5
    """The run stops when more than this share of one step's rollouts timed out or broke while being judged: a model can
    learn to write what cannot be judged.
    """
