"""What the docs tell a reader to write into a recipe is accepted by a recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"recipe.md", "metrics.md", "extending.md"}
"""Generated pages, and one whose examples are run by a test of their own."""
PAGES = [
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in ELSEWHERE),
    *sorted((ROOT / "recipes").rglob("README.md")),
]
BASE = "name: x\ndata: {train: {source: arithmetic}}\n"
ENGINES = ("hf", "vllm")
NOT_A_VALUE = re.compile(r"…|MODEL|\||:$|not installed|^model: (same|http)")
"""Messages of the program, placeholders and alternatives; `model:` in the section of a role."""


def snippets() -> list[tuple[str, str]]:
    texts = []
    for page in PAGES:
        for snippet in dict.fromkeys(re.findall(r"`([a-z_]+(?:\.[a-z_]+)*: [^`]+)`", page.read_text(encoding="utf-8"))):
            is_key = re.split(r"[.:]", snippet)[0] in Recipe.model_fields
            if is_key and not NOT_A_VALUE.search(snippet):
                texts.append((str(page.relative_to(ROOT)), snippet))
    return texts


def accepted(snippet: str) -> bool:
    key, _, value = snippet.partition(": ")
    for engine in ENGINES:
        try:
            parse_recipe(BASE, "snippet", [f"rollout.engine={engine}", f"{key}={value}"])
        except RecipeError:
            continue
        return True
    return False


@pytest.mark.parametrize(("page", "snippet"), snippets())
def test_a_snippet_is_accepted_by_a_recipe(page: str, snippet: str) -> None:
    assert accepted(snippet), f"{page}: {snippet}"


def test_a_wrong_snippet_is_noticed() -> None:
    assert len(snippets()) > 40
    assert not accepted("train.refil: {enabled: true}")
    assert not accepted("curriculum: nothing")


def test_yaml_blocks_of_the_pages_are_accepted() -> None:
    blocks = [
        (page, block)
        for page in PAGES
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    ]
    assert blocks
    for page, block in blocks:
        keys = yaml.safe_load(block)
        parse_recipe(yaml.safe_dump({**yaml.safe_load(BASE), **keys}), page.name)
