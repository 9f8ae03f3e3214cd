"""Recipes in which one thing is wrong, drawn over all keys of the schema: types, bounds, numbers that are not finite,
misspelt and doubled keys, paths. And recipes that are written in another way and mean the same.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from tests.generated.case import Case, Outcome, run_command
from tests.tiny_runs import tiny

NAME = "tiny.yaml"
RECIPE = tiny(rollout={"stop": ["Q"]})
"""Each of its values stands on one line of the file."""
TEXT = yaml.safe_dump(RECIPE, sort_keys=False)
DRY = ("train", NAME, "--dry-run", "--offline")
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))
CHANGES_EACH_TIME = ("memory_gb", "minutes")
ODD_PATHS = (
    "",
    " ",
    "\0",
    "a\0b.jsonl",
    "x" * 300,
    "x/" * 1000 + "x.jsonl",
    "/dev/null",
    "/proc/self/mem",
    ".",
    "..",
    "/",
    "~nobody-of-this-name/x",
    f"./{NAME}/inside.jsonl",
    NAME,
    "-",
    "--",
    "nöwhere/ü/x.jsonl",
    "\ud835.jsonl",
    "\ufeff",
    "\n",
    "a:b:c",
    "file:///etc/hostname",
    "hf://x",
    "stage:",
    "stage:no/such",
    "os:",
    ":path",
    "os:getcwd",
    "..:x",
)
"""None of them holds a model or problems."""


@dataclass(frozen=True)
class Leaf:
    path: tuple[str, ...]
    schema: dict[str, Any]
    optional: bool
    """Its default is null."""

    @property
    def key(self) -> str:
        return ".".join(self.path)


def _choices(schema: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a schema, with references resolved."""
    if "$ref" in schema:
        return [definitions[schema["$ref"].rpartition("/")[2]]]
    inner = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
    return [choice for part in inner for choice in _choices(part, definitions)] if inner else [schema]


def _leaves(schema: dict[str, Any], definitions: dict[str, Any], path: tuple[str, ...]) -> Iterator[Leaf]:
    choices = _choices(schema, definitions)
    optional = any(choice.get("type") == "null" for choice in choices) and schema.get("default", 0) is None
    sections = [choice for choice in choices if "properties" in choice]
    for section in sections[:1]:
        for name, inner in section["properties"].items():
            yield from _leaves(inner, definitions, (*path, name))
    values = [choice for choice in choices if choice.get("type") != "null"]
    if not sections and len(values) == 1 and "type" in values[0]:
        yield Leaf(path, values[0], optional and len(path) == 2 and path[0] in RECIPE)


@functools.cache
def leaves() -> tuple[Leaf, ...]:
    """Every key of a recipe that takes one type of value, as the schema describes it."""
    schema = Recipe.model_json_schema()
    return tuple(_leaves(schema, schema["$defs"], ()))


def laid(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """The tiny recipe with one value set, whatever was on the way."""
    recipe = json.loads(json.dumps(RECIPE))
    node = recipe
    for step in path[:-1]:
        node[step] = node[step] if isinstance(node.get(step), dict) else {}
        node = node[step]
    node[path[-1]] = value
    return recipe


def wrong_values(leaf: Leaf) -> list[Any]:
    """Values that the type of a key excludes."""
    schema, kind = leaf.schema, leaf.schema["type"]
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        bounds = ([low - 1] if low is not None else []) + ([high + 1] if high is not None else [])
        return ["many", "1O", [1], {"a": 1}, *NOT_FINITE, *bounds, *([1.5, 10**400] if kind == "integer" else [])]
    if kind == "boolean":
        return ["perhaps", 7, [True], {"a": True}, 0.5]
    if kind == "string":
        return [["a"], {"a": "b"}, *(["no-such-choice", ""] if "enum" in schema else [])]
    return [7, "a: b", True, 1.5, [[[]]]] if kind == "object" else [7, {"a": 1}, True]


def names_of(leaf: Leaf) -> tuple[str, ...]:
    """What a message may call it: the key, or a section that has no meaning in the recipe, whatever it holds."""
    return (leaf.path[-1], *(".".join(leaf.path[:end]) for end in range(2, len(leaf.path))))


@st.composite
def wrong_types(draw: st.DrawFn) -> Case:
    leaf = draw(st.sampled_from(leaves()).filter(wrong_values))
    value = draw(st.sampled_from(wrong_values(leaf)))
    about, words = f"{leaf.key} is {str(value)[:20]!r}", names_of(leaf)
    if draw(st.booleans()):
        override = f"{leaf.key}={yaml.safe_dump(value, default_flow_style=True).strip().removesuffix('...').strip()}"
        return Case(about, (*DRY, override), {NAME: TEXT.encode()}, words=words)
    text = yaml.safe_dump(laid(leaf.path, value), sort_keys=False)
    return Case(about, draw(as_json(DRY)), {NAME: text.encode()}, words=words)


@st.composite
def as_json(draw: st.DrawFn, arguments: tuple[str, ...]) -> tuple[str, ...]:
    return (*arguments, "--json") if draw(st.booleans()) else arguments


@st.composite
def misspelt_keys(draw: st.DrawFn) -> Case:
    leaf = draw(st.sampled_from(leaves()))
    depth = draw(st.integers(0, len(leaf.path) - 1))
    word = leaf.path[depth]
    place = draw(st.integers(0, len(word) - 1))
    change = draw(st.sampled_from(["drop", "double", "swap", "upper", "dash", "cyrillic"]))
    new = {
        "drop": word[:place] + word[place + 1 :],
        "double": word[:place] + word[place] + word[place:],
        "swap": word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
        "upper": word[:place] + word[place].upper() + word[place + 1 :],
        "dash": word + "-",
        "cyrillic": word.replace("a", "а").replace("e", "е").replace("o", "о"),
    }[change]
    known = {other.path[depth] for other in leaves() if other.path[:depth] == leaf.path[:depth]}
    if new in known or not new:
        new = word + "x"
    path = (*leaf.path[:depth], new, *leaf.path[depth + 1 :])
    text = yaml.safe_dump(laid(path, 1), sort_keys=False, allow_unicode=True)
    if draw(st.booleans()):
        return Case(f"key {new!r} for {word!r}", (*DRY, f"{'.'.join(path)}=1"), {NAME: TEXT.encode()}, words=(new,))
    return Case(f"key {new!r} for {word!r}", draw(as_json(DRY)), {NAME: text.encode()}, words=(new, ascii(new)[1:-1]))


@st.composite
def doubled_keys(draw: st.DrawFn) -> Case:
    lines = TEXT.splitlines()
    places = [i for i, line in enumerate(lines) if not line.lstrip().startswith("-")]
    place = draw(st.sampled_from(places))
    key = lines[place].strip().partition(":")[0]
    indent = len(lines[place]) - len(lines[place].lstrip())
    end = next(
        (i for i in range(place + 1, len(lines)) if len(lines[i]) - len(lines[i].lstrip()) <= indent), len(lines)
    )
    while end < len(lines) and lines[end].lstrip().startswith("-"):
        end += 1
    value = draw(st.sampled_from(["null", "1", "{}", "[]", "again"]))
    spelling = draw(st.sampled_from([key, f'"{key}"', f"'{key}'", f"? {key}\n{' ' * indent}"]))
    again = f"{' ' * indent}{spelling}: {value}"
    text = "\n".join([*lines[:end], again, *lines[end:], ""])
    return Case(f"the key {key!r} twice", draw(as_json(DRY)), {NAME: text.encode()}, words=(key,))


@st.composite
def odd_paths(draw: st.DrawFn) -> Case:
    path = draw(st.sampled_from(ODD_PATHS))
    key = draw(st.sampled_from(["model.path", "init_from", "data.train.source", "data.heldout.sums.source", "recipe"]))
    files = {NAME: TEXT.encode()}
    about = f"{key} is {path[:20]!r}"
    if key == "recipe":
        if path == NAME:
            path = "none.yaml"
        return Case(about, ("train", "--dry-run", "--offline", "--", path.replace("\0", "\x01")), files)
    steps = tuple(key.split("."))
    if draw(st.booleans()) and not {"\0", "\ud835"} & set(path):
        return Case(about, (*DRY, f"{key}={json.dumps(path, ensure_ascii=False)}"), files, "refused")
    text = json.dumps(laid(steps, path))
    return Case(about, draw(as_json(DRY)), {NAME: text.encode()}, "refused")


def stable_plan(outcome: Outcome) -> str:
    plan = outcome.json()
    for stage in plan["stages"]:
        for key in CHANGES_EACH_TIME:
            stage.pop(key)
    return json.dumps(plan, sort_keys=True)


def means_the_same(folder: Path, outcome: Outcome) -> str | None:
    """The file has the settings of the tiny recipe, and its plan is the same."""
    expected = parse_recipe(TEXT, NAME).stages
    actual = parse_recipe((folder / NAME).read_text(encoding="utf-8"), NAME).stages
    if actual != expected:
        return "the settings are not those of the recipe"
    return None if stable_plan(outcome) == plain_plan() else "the plan is not that of the recipe"


@functools.cache
def plain_plan() -> str:
    """The plan of the tiny recipe as it stands."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_text(TEXT)
        return stable_plan(run_command((*DRY, "--json"), Path(folder)))


@st.composite
def written_otherwise(draw: st.DrawFn) -> Case:
    """The same recipe in another spelling."""
    recipe = json.loads(json.dumps(RECIPE))
    about = draw(st.sampled_from(["json", "flow", "crlf", "bom", "comments", "anchors", "null", "shuffled", "numbers"]))
    if about == "null":
        leaf = draw(st.sampled_from([leaf for leaf in leaves() if leaf.optional]))
        recipe = laid(leaf.path, None)
    elif about == "shuffled":
        recipe = {key: recipe[key] for key in draw(st.permutations(list(recipe)))}
    text = json.dumps(recipe) if about == "json" else yaml.safe_dump(recipe, sort_keys=False, width=60)
    if about == "flow":
        text = yaml.safe_dump(recipe, default_flow_style=True)
    elif about == "comments":
        text = "# a: b\n---\n" + text.replace("\n", "  # ünï: [\n") + "...\n"
    elif about == "anchors":
        text = text.replace("terms:", "terms: &terms", 1)
    elif about == "numbers":
        spelling = draw(st.sampled_from(["1e-3", "1.0e-3", ".001", "+1e-3", "1.000_0e-3", "0.001"]))
        text = text.replace("lr: 0.001", f"lr: {spelling}")
    raw = text.replace("\n", "\r\n") if about == "crlf" else text
    content = (b"\xef\xbb\xbf" if about == "bom" else b"") + raw.encode()
    return Case(
        f"the same in another spelling: {about}", (*DRY, "--json"), {NAME: content}, "right", (), means_the_same
    )
