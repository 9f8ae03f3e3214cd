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
from reasonrl.setup.roles import check_role_models, load_role_model, training_roles, with_served_names
from tests.engines.fake_server import running
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


def test_names_on_servers_are_found_out_for_processes_that_do_not_ask() -> None:
    def with_critic(address: str, name: str | None = None) -> Recipe:
        critic = {"model": address, "format": "boxed_index", "served_name": name}
        reward = {"correctness": 1.0, "process": {"weight": 0.3, "critic": critic}}
        return parse_recipe(yaml.safe_dump(tiny(reward=reward)), "test").stages[0]

    with running() as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/v1"
        found = with_served_names(with_critic(address)).reward["process"].critic
        assert found is not None and found.served_name == "tiny" and found.format is not None
        with pytest.raises(ModelError, match="does not serve 'other', but tiny; fix served_name"):
            with_served_names(with_critic(address, "other"))
    with pytest.raises(ModelError, match="no OpenAI-compatible server answers there"):
        with_served_names(with_critic(address))
    plain = parse_recipe(yaml.safe_dump(tiny()), "test").stages[0]
    assert with_served_names(plain) == plain
