"""Links of the docs resolve, and every file that they mention exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "recipes").rglob("README.md"))]
WITH_PATHS = [*DOCS, ROOT / "CONTRIBUTING.md"]
BASES = [ROOT, ROOT / "reasonrl", ROOT / "verifiers" / "math"]
"""Paths in the docs begin at one of these: `algorithms/kl.py` is short for `reasonrl/algorithms/kl.py`."""
PATH = re.compile(r"(?<![\w./-])((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|sh|txt|toml|png))(?![\w/])")
MADE_BY_USERS = re.compile(r"my[-_]|NAME|/verl/log\.txt|^verl/|^runs/|_N\b")
"""Files of a user or of a run, which the docs mention too."""


def identity(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (fragment and target.suffix == ".md" and fragment not in anchors(target)):
            broken.append(link)
    return broken


def missing_paths(text: str) -> list[str]:
    text = re.sub(r"\]\([^)]*\)|https?://\S+", "", text)
    mentioned = {path for path in PATH.findall(text) if not MADE_BY_USERS.search(path)}
    return sorted(path for path in mentioned if not any((base / path).exists() for base in BASES))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert not broken_links(page)


@pytest.mark.parametrize("page", WITH_PATHS, ids=identity)
def test_every_file_that_a_page_mentions_exists(page: Path) -> None:
    assert not missing_paths(prose(page))


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / link).resolve() for link in links(index)}
    assert not [identity(page) for page in DOCS if page != index and page.resolve() not in listed]


def test_what_is_broken_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A title\n[a](other.md) [b](page.md#a-title) [c](page.md#b) [d](https://x.org/y.md)\n")
    assert broken_links(page) == ["other.md", "page.md#b"]
    assert missing_paths("see `reasonrl/steps.py` and `reasonrl/stats.py`, `algorithms/kl.py`") == ["reasonrl/steps.py"]
