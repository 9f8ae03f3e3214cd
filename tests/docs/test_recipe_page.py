"""docs/recipe.md is what the recipe's fields say, and `reasonrl recipes keys` says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from reasonrl.commands.recipe_page import GROUPS, recipe_page
from reasonrl.commands.recipes import find_key, keys_command
from reasonrl.errors import UsageError
from reasonrl.recipe.reference import as_yaml, sections, type_in_words
from reasonrl.recipe.schema import Recipe

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def specs(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every section of the schema, found without the code under test."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from specs(field.annotation)
    for argument in get_args(annotation):
        yield from specs(argument)


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == recipe_page(), (
        "write docs/recipe.md again: .venv/bin/python -m reasonrl.commands.recipe_page"
    )


def test_the_page_covers_every_key() -> None:
    """The schema is walked here by other code than the page is made with."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for spec in set(specs(Recipe)):
        for name, field in spec.model_fields.items():
            description = " ".join((field.description or "").split()).replace("|", "\\|")
            rows = [row for row in lines if row.startswith(f"| `{name}` |") and row.endswith(f"| {description} |")]
            assert rows, f"{spec.__name__}.{name}"


def test_every_default_is_what_the_recipe_has() -> None:
    """The defaults of the page, read as YAML, are those of a recipe that says nothing."""
    recipe = Recipe.model_validate({"name": "x", "data": {"train": {"source": "x.jsonl"}}}).model_dump(mode="json")
    compared = 0
    for section in sections():
        node: Any = recipe
        for word in filter(None, section.path.split(".")):
            node = node.get(word) if isinstance(node, dict) else None
        for key in section.keys:
            if isinstance(node, dict) and key.section is None and not key.required and section.path != "data.train":
                assert yaml.safe_load(key.default) == node[key.name], key.path
                compared += 1
    assert compared > 120


@pytest.mark.parametrize(
    ("path", "takes", "default"),
    [
        ("train.kl.coefficient", "number >= 0", "0.0"),
        ("train.kl.estimator", "k1 | k2 | k3", "k3"),
        ("train.threads", None, None),
        ("threads", "int from 1 to 1024 or null", "null"),
        ("game.solver.temperature", "number from 0 to 100", "0.7"),
        ("data.heldout.my-set.limit", "int >= 1 or null", "null"),
        ("optim.lr", "number > 0", "1.0e-6"),
        ("success_rates.window", "int >= 1", "16"),
        ("verl.rollout_memory_share", "number from 0 to 1", "0.5"),
        ("critic.refine.actor", "section or its model", ""),
    ],
)
def test_a_key_in_plain_words(path: str, takes: str | None, default: str | None) -> None:
    if takes is None:
        with pytest.raises(UsageError):
            find_key(path)
        return
    key = next(key for section in sections() for key in section.keys if _is(key.path, path))
    assert (key.takes, key.default) == (takes, default)


def _is(pattern: str, path: str) -> bool:
    return re.fullmatch(pattern.replace(".", r"\.").replace("NAME", r"[^.]+"), path) is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (1e-6, "1.0e-6"), (1.5e20, "1.5e20"), ("", '""'), ("{gold}", '"{gold}"')],
)
def test_defaults_are_written_as_yaml(value: Any, text: str) -> None:
    assert as_yaml(value) == text
    assert yaml.safe_load(text) == value or isinstance(value, float)


def test_a_key_that_a_rule_asks_for_is_required() -> None:
    keys = {key.path: key for section in sections() for key in section.keys}
    assert keys["data.train"].required and keys["data.train"].takes == "section or list of section"
    assert not keys["data.replay"].required and keys["data.replay"].takes.endswith("or null")


@pytest.mark.parametrize("spec", GROUPS)
def test_every_key_of_a_long_section_is_in_one_group(spec: type[BaseModel]) -> None:
    names = [name for group in GROUPS[spec].values() for name in group]
    assert sorted(names) == sorted(spec.model_fields)


def test_the_default_aggregations_are_those_of_the_catalogue() -> None:
    """train.loss_aggregation says what is used where nothing is set."""
    (text,) = [key.description for section in sections() for key in section.keys if key.name == "loss_aggregation"]
    losses, advantages = re.split(r"else `sequence_sum`", text.partition("Empty: `sequence_mean`")[2])
    named = {name for name, facts in LOSSES.items() if re.search(rf"\b{name}\b", losses)}
    assert named == {name for name, facts in LOSSES.items() if facts.aggregation == "sequence_mean"}
    assert {facts.aggregation for facts in LOSSES.values()} == {"sequence_mean", None}
    named = {name for name in ADVANTAGES if re.search(rf"\b{name}\b", advantages.partition(", else")[0])}
    assert named == {name for name, facts in ADVANTAGES.items() if facts.aggregation == "sequence_sum"}
    assert {facts.aggregation for facts in ADVANTAGES.values()} == {"sequence_sum", "token_mean"}


def test_types_of_several_forms() -> None:
    assert type_in_words(list[tuple[str, str]]) == "list of [text, text]"
    assert type_in_words(dict[str, str | list[str]]) == "mapping of names to text or list of text"


def test_the_command_prints_a_section_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    keys_command("train.kl", as_json=False)
    text = capsys.readouterr().out
    assert "train.kl.coefficient  (number >= 0; default 0.0)" in text
    assert "    The penalty has this weight; 0 switches it off." in text
    keys_command("critic.format", as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["keys"][0]["default"] == "step_sentence"
    assert "first_index: 0" in facts["options"]["boxed_index"]
    keys_command("", as_json=True)
    assert [key["key"] for key in json.loads(capsys.readouterr().out)["keys"]] == list(Recipe.model_fields)
    keys_command("train.steps", as_json=True)
    assert json.loads(capsys.readouterr().out)["keys"][0]["default"] == "100"


@pytest.mark.parametrize(
    ("path", "hint"),
    [("train.kll", "did you mean 'train.kl'?"), ("lr", "did you mean 'optim.lr'?"), ("zzzz", "lists the sections")],
)
def test_a_wrong_key_names_the_nearest(path: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(hint)):
        find_key(path)
