"""A key that a recipe gives twice is an error, since YAML would keep the last value only."""

from __future__ import annotations

import pytest
import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import parse_recipe, shipped_recipes
from reasonrl.recipe.yaml_text import AmbiguousYaml, load_yaml

RECIPE = """name: twice
data:
  train: {source: arithmetic}
optim: {lr: 1.0e-3}
"""


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("a: 1\nb: 2\na: 3\n", ["a: given twice, on lines 1 and 3"]),
        ("a: {b: 1, b: 1}", ["a.b: given twice, on lines 1 and 1"]),
        ("a:\n  - b: 1\n    c: 2\n    b: 3\n", ["a.0.b: given twice, on lines 2 and 4"]),
        ('a: 1\n"a": 2\n', ["a: given twice, on lines 1 and 2"]),
        ("yes: 1\ntrue: 2\n", ["true: given twice, on lines 1 and 2"]),
        ("a: 1\na: 2\na: 3\n", ["on lines 1 and 2", "on lines 2 and 3"]),
        (
            "b: &b {x: 1}\na:\n  <<: *b\n  <<: {z: 1}\n",
            ["a.<<: given twice, on lines 3 and 4; only one would count. Wr"],
        ),
        (
            "b: 1\nseed: 017\n",
            ["seed: 017 on line 2 is read as 15, as an octal number. Write 17 for the number, or '017'"],
        ),
        ("a: [1, -0_17]", ["a.1: -0_17 on line 1 is read as -15, as an octal number. Write -17"]),
        ("seed: 1:30", ["seed: 1:30 on line 1 is read as 90, in base 60. Write 90 for the number, or '1:30' in"]),
        ("a: {b: 1:30.5}", ["a.b: 1:30.5 on line 1 is read as 90.5, in base 60. Write 90.5"]),
        ("017", ["017 on line 1 is read as 15"]),
        ("a: {x: 1, x: 2}\nb: 1\nb: 2\n", ["a.x: given twice", "b: given twice, on lines 2 and 3"]),
    ],
)
def test_each_key_that_is_given_twice_is_named_with_its_lines(text: str, messages: list[str]) -> None:
    with pytest.raises(AmbiguousYaml) as caught:
        load_yaml(text)
    lines = str(caught.value).split("\n")
    assert len(lines) == len(messages)
    assert all(message in line for message, line in zip(messages, lines, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "a: {x: 1}\nb: {x: 1}\n",
        "a: 1\nA: 2\n",
        "1: a\n'1': b\n",
        "base: &base {x: 1, y: 2}\nnext: {<<: *base, x: 3}\nlast: {<<: [*base, {z: 1}], x: 4}\n",
        "a: 07\nb: 00\nc: 0\nd: '017'\ne: 0x1F\nf: '1:30'\ng: 08\nh: 0.5\ni: 1_000\nj: 10:99\n",
        "base: &base {x: 1}\nlist: [*base, *base]\n",
        "",
        "- {a: 1}\n- {a: 2}\n",
        "text: |\n  a: 1\n  a: 2\n",
    ],
)
def test_what_gives_no_key_twice_is_read_as_pyyaml_reads_it(text: str) -> None:
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    ["a: 2001-99-99", "a: !!int x", "[" * 3000, "a: &a [*a]", "a: &a {b: [*a]}", "? [a]\n: 1", "a: 1\n---\nb: 1"],
)
def test_what_is_not_readable_is_an_error_of_yaml(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


def test_the_shipped_recipes_are_read_as_before() -> None:
    files = sorted(shipped_recipes().glob("*/recipe.yaml"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert load_yaml(text) == yaml.safe_load(text)


def test_a_section_of_a_recipe_that_is_given_twice_is_refused() -> None:
    assert parse_recipe(RECIPE, "r.yaml").stages[0].optim.lr == 1e-3
    with pytest.raises(RecipeError, match=r"(?s)r\.yaml: 1 mistake\n  - optim: given twice, on lines 4 and 5"):
        parse_recipe(RECIPE + "optim: {warmup_steps: 1}\n", "r.yaml")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim={lr: 1.0e-3, lr: 1.0e-4}", "lr: given twice, on lines 1 and 1"),
        ("data.train=[{source: arithmetic, source: gsm8k}]", r"0\.source: given twice"),
        ("seed=017", "017 on line 1 is read as 15"),
        ("optim.lr=2001-99-99", "the value is not valid YAML; quote it"),
    ],
)
def test_the_value_of_an_override_is_read_in_the_same_way(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(RECIPE, "r.yaml", [override])
    assert f"override '{override}'" in str(caught.value)


def test_a_value_that_cannot_be_read_names_the_file() -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml is not valid YAML: a value cannot be read: .*day|month"):
        parse_recipe(RECIPE + "seed: 2001-99-99\n", "r.yaml")


@pytest.mark.parametrize("value", ["!!timestamp x", "!!bool x", '!!int ""', "!!float _", "!!int x", "!!set [1]"])
def test_a_value_that_does_not_fit_its_tag_names_the_file(value: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml is not valid YAML: "):
        parse_recipe(RECIPE + f"seed: {value}\n", "r.yaml")
