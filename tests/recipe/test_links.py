"""Stages that take models and data from stages before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.links import check_links, links_of, with_paths
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe

DATA = {
    "train": {"source": "step_arithmetic", "options": {"size": 4}},
    "heldout": {"sums": {"source": "step_arithmetic", "options": {"size": 4}}},
}
CRITIC = {"phase": 2, "refine": {"refinements": 1, "actor": "stage:actor"}}


def stages(**last: Any) -> list[Recipe]:
    made = [
        {"name": "actor", "kind": "sft"},
        {"name": "solutions", "kind": "collect"},
        {
            "name": "critic",
            "critic": CRITIC,
            "data": {
                "train": {"source": "stage:solutions/train"},
                "heldout": {"sums": {"source": "stage:solutions/sums"}},
            },
            **last,
        },
    ]
    return parse_recipe(yaml.safe_dump({"name": "n", "data": DATA, "stages": made}), "test").stages


def test_links_are_found_and_become_paths(tmp_path: Path) -> None:
    recipes = stages(init_from="actor")
    check_links(recipes)
    assert sorted(link for _, link in links_of(recipes[2])) == [
        "stage:actor",
        "stage:solutions/sums",
        "stage:solutions/train",
    ]
    assert links_of(recipes[0]) == []
    for name in ("train", "sums"):
        path = tmp_path / "stages" / "02-solutions" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    (tmp_path / "stages" / "01-actor").mkdir()
    made = with_paths(recipes[2], tmp_path, lambda folder: folder / "model")
    assert made.critic is not None and made.critic.refine.actor.model == str(tmp_path / "stages" / "01-actor" / "model")
    assert made.data.train is not None and made.data.train.source == str(
        tmp_path / "stages" / "02-solutions" / "train.jsonl"
    )
    with pytest.raises(RecipeError, match=r"does not exist yet.*Run the stage 'solutions' first"):
        (tmp_path / "stages" / "02-solutions" / "sums.jsonl").unlink()
        with_paths(recipes[2], tmp_path, lambda folder: folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"init_from": "critic"}, "init_from: 'critic' does not come before"),
        (
            {"data": {"train": {"source": "stage:nobody/train"}}},
            "no stage 'nobody' comes before 'critic'; earlier stages: actor, solutions",
        ),
        ({"data": {"train": {"source": "stage:actor/train"}}}, "is of kind sft, which writes no problems"),
        ({"data": {"train": {"source": "stage:solutions/test"}}}, "does not write 'test'; choose from train, sums"),
        (
            {"critic": {**CRITIC, "refine": {"refinements": 1, "actor": "stage:solutions"}}},
            "not a model; write stage:solutions/train",
        ),
    ],
)
def test_links_that_lead_nowhere(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_links(stages(**change))


def test_a_critic_recipe_says_what_does_not_fit() -> None:
    for critic, message in (
        ({"phase": 2}, "needs refinements; write refine"),
        ({"reward": "critique-rl"}, "'critique-rl' is not known"),
        ({"format": "step_sentense"}, "did you mean 'step_sentence'"),
        ({"format": {"name": "boxed_index", "first_index": 3}}, "0 or 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_recipe(yaml.safe_dump({"name": "n", "data": DATA, "critic": critic}), "test")
    with pytest.raises(RecipeError, match=r"reward.correctness \(line 14\): the section critic sets"):
        parse_recipe(yaml.safe_dump({"name": "n", "data": DATA, "critic": {}, "reward": {"correctness": 2.0}}), "test")
