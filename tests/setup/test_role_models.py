"""The model of a role is looked at before a run, and what is wrong with it names the role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import ModelError
from reasonrl.models.loading import load_model
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.roles import check_role_models, load_role_model, training_roles
from tests.tiny_runs import tiny


def recipe(critic: str) -> Recipe:
    changes: dict[str, Any] = {"critique_grpo": {"critic": {"model": critic}}}
    return parse_recipe(yaml.safe_dump(tiny(**changes)), "test").stages[0]


def check(recipe: Recipe, *, offline: bool) -> list[str]:
    return check_role_models(recipe, training_roles(recipe), offline=offline)


def test_a_broken_model_of_a_role_is_refused_before_the_run_and_when_it_is_loaded(tmp_path: Path) -> None:
    model = load_model("tiny-critic", device="cpu")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    name = str(tmp_path)
    assert check(recipe(name), offline=True) == []
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(
        ModelError, match=r"^the model of the role critic: '.*' cannot be loaded: .*is cut off"
    ) as caught:
        check(recipe(name), offline=True)
    assert "model.path" not in str(caught.value)
    with pytest.raises(ModelError, match=r"^the model of the role critic: "):
        load_role_model(recipe(name), "critic", RoleSpec(model=name), offline=True)


def test_models_that_are_elsewhere_are_left_to_the_run() -> None:
    for name in ("same", "http://127.0.0.1:9/v1", "tiny-critic"):
        assert check(recipe(name), offline=True) == []
    assert check(recipe("nobody/such-model"), offline=True) == [
        "the model nobody/such-model of the role critic is not in the local cache"
    ]
    with pytest.raises(ModelError, match="neither a folder nor a Hugging Face id"):
        check(recipe("./nothing"), offline=True)
