"""The settings of an evaluation outside of a run."""

from __future__ import annotations

import math

import pytest
import yaml

from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.environments import eval_sampling
from reasonrl.setup.standalone import at_temperature
from tests.tiny_runs import tiny


@pytest.mark.parametrize("temperature", [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_temperature_that_nothing_can_be_sampled_at_is_refused(temperature: float) -> None:
    """0 was read as "not set" before, and sampled at the recipe's temperature."""
    recipe = parse_recipe(yaml.safe_dump(tiny()), "test").stages[0]
    with pytest.raises(UsageError, match=r"temperature: .* is not a positive number"):
        at_temperature(recipe, temperature)
    assert eval_sampling(at_temperature(recipe, 0.25)).temperature == 0.25


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan", "1.0e400"])
@pytest.mark.parametrize(
    "key", ["optim.lr", "rollout.temperature", "evaluation.temperature", "train.kl.coefficient", "success_rates.ridge"]
)
def test_numbers_that_are_not_finite_are_refused_by_their_key(key: str, number: str) -> None:
    with pytest.raises(RecipeError, match=rf"{key}"):
        parse_recipe(yaml.safe_dump(tiny()), "test", [f"{key}={number}"])


def test_the_weight_of_a_reward_is_finite() -> None:
    with pytest.raises(RecipeError, match=r"reward\.correctness"):
        parse_recipe(yaml.safe_dump(tiny(reward={"correctness": math.nan})), "test")
