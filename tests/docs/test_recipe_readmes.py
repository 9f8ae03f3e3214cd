"""Every recipe is in the table of recipes/README.md, and its README begins with what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml"))
LONGEST_SUMMARY = 5


def listed() -> list[str]:
    text = (RECIPES / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| \[([^\]]+)\]\(\1/README\.md\) \|", text, re.M)


def test_every_recipe_is_in_the_table_once() -> None:
    assert len(NAMES) > 15
    assert sorted(listed()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_says_what_it_is_and_then_the_command(name: str) -> None:
    text = (RECIPES / name / "README.md").read_text(encoding="utf-8")
    title, summary, block = text.split("\n\n", 3)[:3]
    assert title == f"# {name}"
    assert len(summary.splitlines()) <= LONGEST_SUMMARY
    assert block.startswith("```") and re.search(rf"^reasonrl (critic )?train {re.escape(name)}\b", block, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_details_are_closed(name: str) -> None:
    text = (RECIPES / name / "README.md").read_text(encoding="utf-8")
    assert text.count("<details>\n") == text.count("</details>") == text.count("</summary>")
