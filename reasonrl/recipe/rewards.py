"""The part of a recipe that says how answers are judged and what they earn."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from reasonrl.recipe.critics import Format, RoleSpec, model_named
from reasonrl.recipe.fields import NamedSpec, Spec, named
from reasonrl.recipe.mistakes import Mistake, MistakesError


class VerifierSpec(NamedSpec):
    """A verifier and its options."""

    name: str
    """Write `math`, `math_verify`, `code`, `reasoning_gym`, `format`, or `package.module:Class`. All other keys of this
    section are passed to the verifier as its options.
    """


def _math_unless_named(value: Any) -> Any:
    return {"name": "math", **value} if isinstance(value, dict) else named(value)


LARGEST_WEIGHT, SMALLEST_WEIGHT = 1_000_000, 1e-6


def no_tiny_weight(weight: float) -> float:
    """The weight. Raises MistakesError for one that vanishes beside the constants of advantages, such as grpo's."""
    if 0 < abs(weight) < SMALLEST_WEIGHT:
        text = f"{weight} is too small to teach anything; write 0, or a weight from {SMALLEST_WEIGHT} in size"
        raise MistakesError([Mistake((), text)])
    return weight


class ReviewerSpec(RoleSpec):
    """A trained critic that judges the reasoning of every rollout beside the verifier (docs/critics.md)."""

    model: str
    """The critic is this model: a run, a folder, a Hugging Face id, `stage:NAME`, the address of an OpenAI-compatible
    server, or `same` (the policy judges itself).
    """
    format: Annotated[Format | None, BeforeValidator(named)] = None
    """Critiques are written and read in this format. Empty: the format of the run that trained the critic."""
    steps: Literal["auto", "paragraphs", "lines", "sentences"] = "auto"
    """Responses are split into steps like this; `auto` takes the first way that gives more than one."""
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    """The critic writes this many critiques of each response, whose scores are averaged."""
    score: Literal["progress", "verdict"] = "progress"
    """A response is worth 1 where the critic accepts it. Where it rejects it, `verdict` gives 0, and `progress` the
    share of the steps before the first one that the critic calls wrong.
    """
    calibrate: bool = True
    """Scores are mapped to how often rollouts that the critic accepts and rejects are correct by the verifier. A critic
    that the policy has learned to please is worth less and less then. false: scores enter the reward as they are.
    """
    unread: Literal["neutral", "mask"] = "neutral"
    """A response none of whose critiques could be read gets the mean of its group (`neutral`), so that by a group's
    baseline it gains and loses nothing, or is left out of the update (`mask`).
    """
    shuffle: bool = False
    """Every response gets the score of another one to the same problem. This is a control: what a policy gains with it,
    it does not owe to what the critic says.
    """


class RewardSpec(Spec):
    """One part of the reward. `correctness` uses the recipe's verifier; any other part names a verifier, a function or
    a critic. A bare number is the weight.
    """

    weight: Annotated[float, Field(ge=-LARGEST_WEIGHT, le=LARGEST_WEIGHT), AfterValidator(no_tiny_weight)] = 1.0
    """The part is multiplied by this before the parts are added."""
    verifier: Annotated[VerifierSpec | None, BeforeValidator(named)] = None
    """The score of this verifier, a number from 0 to 1, is the part."""
    function: str | None = None
    """This `package.module:function(responses, problems)` returns the part as a list of numbers, with None where a
    response could not be judged. A function with an argument `episodes` gets the episodes as well.
    """
    critic: Annotated[ReviewerSpec | None, BeforeValidator(model_named)] = None
    """This critic judges the reasoning of every rollout; the part is from 0 to 1."""


def _weight(value: Any) -> Any:
    if isinstance(value, bool):
        raise MistakesError([Mistake((), f"expected a weight or a section, got {str(value).lower()}; write a number")])
    return {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


Verifier = Annotated[VerifierSpec, BeforeValidator(_math_unless_named)]
Reward = Annotated[RewardSpec, BeforeValidator(_weight)]
