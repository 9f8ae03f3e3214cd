"""Data of a stage, and data that a critic is evaluated on afterwards."""

from __future__ import annotations

from pathlib import Path

import yaml

from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.setup.data import load_data, recipe_for_data
from tests.metric_runs import critic
from tests.tiny_runs import merged


def test_a_critic_is_evaluated_on_solutions_whatever_the_last_stage_was(tmp_path: Path) -> None:
    """`reasonrl eval RUN` takes the recipe of the last stage. After a game that is still the recipe of a critic."""
    game = merged(critic(tmp_path), {"kind": "game"})
    recipe = parse_recipe(yaml.safe_dump(game), "test").stages[0]
    verifier = make_reward_parts(recipe, make_verifier(recipe))[0].verifier
    assert verifier is not None
    problem = load_data(recipe, verifier).heldout["steps"][0]
    assert problem.reference["solution"].splitlines()[0] in str(problem.prompt), "the critic sees the solution"
    of_the_game = load_data(recipe_for_data(recipe), make_verifier(recipe)).heldout["steps"][0]
    assert problem.reference["solution"].splitlines()[0] not in str(of_the_game.prompt), "the solver does not"
