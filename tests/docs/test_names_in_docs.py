"""Recipe keys and metrics that the pages name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reasonrl.commands.recipe_page import name_options
from reasonrl.commands.recipes import find_key
from reasonrl.errors import UsageError
from reasonrl.recipe.rewards import VerifierSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.metric_registry import GROUPS
from reasonrl.runs.metrics import describe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").rglob("README.md"))]
OPTIONS = {"verifier": [options for _, options in name_options(VerifierSpec)]}
FILES = re.compile(r"\.(py|md|txt|yaml|jsonl?)$")
OF_VERL = {"verl.trainer.main_ppo", "reward.reward_manager.name"}
"""A module and a setting of verl itself."""


def recipe_keys(text: str) -> list[str]:
    """What a page has in backticks as `section.key`, with or without a value."""
    keys = re.findall(r"`([a-z_]+(?:\.[a-zA-Z_]+)+)(?:: [^`]*|=[^`]*)?`", text)
    names = [key for key in keys if key.split(".")[0] in Recipe.model_fields and not FILES.search(key)]
    return [name for name in names if name not in OF_VERL]


def metric_names(text: str) -> list[str]:
    """What a page has in backticks as `group/name`."""
    names = re.findall(r"`([a-z]+/[^`\s]+)`", text)
    return [name for name in names if name.split("/")[0] in GROUPS and not FILES.search(name)]


def is_key(path: str) -> bool:
    """A key of a recipe, or an option of something that a section names: `verifier.mode`."""
    section, _, option = path.rpartition(".")
    try:
        find_key(path)
    except UsageError:
        return any(option == text.split(":")[0] for spec in OPTIONS.get(section, ()) for text in spec)
    return True


def unknown(text: str) -> list[str]:
    missing = [key for key in recipe_keys(text) if not is_key(key)]
    for name in metric_names(text):
        try:
            describe(name.replace("<mode>", "greedy"))
        except KeyError:
            missing.append(name)
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_names_on_a_page_exist(page: Path) -> None:
    assert unknown(page.read_text(encoding="utf-8")) == []


def test_a_wrong_name_is_noticed() -> None:
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    assert sum(len(recipe_keys(page)) for page in pages) > 100
    assert sum(len(metric_names(page)) for page in pages) > 100
    assert unknown("`train.stps: 3`, `optim.lr`, `verifier.mode`, `groups/mixd` of `groups/total`") == [
        "train.stps",
        "groups/mixd",
    ]
