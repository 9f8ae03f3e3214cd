"""The part of a recipe that says what is measured, kept and watched while a stage runs."""

from __future__ import annotations

from reasonrl.recipe.fields import Count, CountOrZero, Positive, Share, Spec


class EvalSpec(Spec):
    """Evaluation on the held-out sets."""

    every_steps: Count | None = None
    """Evaluate after every so many steps. Empty: only before and after the stage."""
    before: bool = True
    """Evaluate before the first step too."""
    greedy: bool = True
    """Evaluate one greedy response to each problem."""
    samples_per_problem: CountOrZero = 4
    """Evaluate this many sampled responses to each problem; 0: none."""
    temperature: Positive | None = None
    """The temperature of the sampled responses. Empty: `rollout.temperature`."""


class CheckpointSpec(Spec):
    """What is saved."""

    every_steps: Count | None = None
    """Save a checkpoint after every so many steps. Empty: only at the end."""
    keep_last: Count = 1
    """The number of newest checkpoints that are kept."""
    keep_best: bool = True
    """Keep the weights with the best held-out accuracy as well."""


class HealthSpec(Spec):
    """When a run warns, and when it stops by itself."""

    warn_after_steps_without_signal: Count = 3
    """Warn after this many steps in a row whose groups all have equal rewards."""
    stop_after_steps_without_signal: Count | None = None
    """Stop the run after this many such steps in a row. Empty: never."""
    warn_unjudged_share: Share = 0.05
    """Warn when more than this share of the rollouts of the last ten steps timed out or broke while being judged."""
    max_unjudged_share: Share = 0.5
    """Stop the run when more than this share of one step's rollouts timed out or broke while being judged: a model can
    learn to write what cannot be judged.
    """
