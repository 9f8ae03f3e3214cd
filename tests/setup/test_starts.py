"""A dry run and a run look for the model that `init_from` names, and for the engine, offline too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reasonrl.errors import ModelError, RecipeError
from reasonrl.models.loading import load_model
from reasonrl.plan.preflight import preflight
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.run import train
from tests.tiny_runs import tiny


def plan_of(init_from: str) -> list[str]:
    recipe = yaml.safe_dump(tiny(init_from=init_from))
    return preflight(parse_recipe(recipe, "test"), offline=True).stages[0].not_checked


@pytest.mark.parametrize("name", ["nobody", "no/such/folder", "./tiny.yaml/x"])
def test_a_model_that_is_not_there_is_refused_under_its_key(name: str) -> None:
    with pytest.raises(ModelError, match=re.escape(f"init_from: '{name}' is neither a folder nor")):
        plan_of(name)


def test_a_run_names_the_key_too_and_leaves_nothing(tmp_path: Path) -> None:
    stages = [{"name": "first", "kind": "rl"}, {"name": "second", "kind": "rl", "init_from": "nobody"}]
    loaded = parse_recipe(yaml.safe_dump(tiny(stages=stages)), "test")
    with pytest.raises(ModelError, match=r"^init_from: 'nobody' is neither a folder nor"):
        train(loaded, tmp_path / "run", offline=True, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_run_without_a_checkpoint_is_refused_under_the_key(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(RecipeError, match=r"^init_from: .* has no complete checkpoint yet"):
        plan_of(str(tmp_path))


def test_weights_that_are_cut_off_are_refused_under_the_key(tmp_path: Path) -> None:
    model = load_model("tiny-critic", device="cpu")
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])
    with pytest.raises(ModelError, match=r"^init_from: .*is cut off"):
        plan_of(str(tmp_path))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"init_from: .* is a folder without config\.json"):
        plan_of(str(tmp_path))


def test_a_model_of_the_hub_is_listed_as_unchecked_offline() -> None:
    assert plan_of("nobody-of-this-name/model") == [
        "init_from: the model nobody-of-this-name/model is not in the local cache"
    ]


def test_an_embedded_model_is_there() -> None:
    assert plan_of("tiny-critic") == []


@pytest.mark.parametrize("engine", ["nobody", "nobody_has_this:Engine"])
def test_an_engine_that_is_not_known_is_refused_offline(engine: str) -> None:
    recipe = parse_recipe(yaml.safe_dump(tiny(rollout={"engine": engine})), "test")
    with pytest.raises(RecipeError, match=r"rollout\.engine: "):
        preflight(recipe, offline=True)
