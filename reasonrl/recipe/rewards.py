"""The part of a recipe that says how answers are judged and what they earn."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

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


class RewardSpec(Spec):
    """One part of the reward. `correctness` uses the recipe's verifier; any other part names a verifier or a
    function. A bare number is the weight.
    """

    weight: Annotated[float, Field(ge=-LARGEST_WEIGHT, le=LARGEST_WEIGHT), AfterValidator(no_tiny_weight)] = 1.0
    """The part is multiplied by this before the parts are added."""
    verifier: Annotated[VerifierSpec | None, BeforeValidator(named)] = None
    """The score of this verifier, a number from 0 to 1, is the part."""
    function: str | None = None
    """This `package.module:function(responses, problems)` returns the part as a list of numbers, with None where a
    response could not be judged. A function with an argument `episodes` gets the episodes as well.
    """


def _weight(value: Any) -> Any:
    if isinstance(value, bool):
        raise MistakesError([Mistake((), f"expected a weight or a section, got {str(value).lower()}; write a number")])
    return {"weight": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


Verifier = Annotated[VerifierSpec, BeforeValidator(_math_unless_named)]
Reward = Annotated[RewardSpec, BeforeValidator(_weight)]
