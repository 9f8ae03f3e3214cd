"""The table of methods says what the catalogue says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from reasonrl.algorithms.declarations import Methods

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "advantages.md"
COLUMN = 2
"""Of the default aggregation, counted from 0."""


def defaults(heading: str) -> dict[str, str]:
    """Default aggregation by method, from the table that begins with `heading`."""
    table = PAGE.read_text(encoding="utf-8").partition(f"| `{heading}:` |")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in table.splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found |= {name: cells[COLUMN].strip("`") for name in re.findall(r"`(\w+)`", cells[0])}
    return found


@pytest.mark.parametrize(("heading", "methods"), [("advantage", ADVANTAGES), ("loss", LOSSES)])
def test_the_page_lists_every_method_with_its_default_aggregation(heading: str, methods: Methods[Any]) -> None:
    assert defaults(heading) == {name: facts.aggregation or "the advantage's" for name, facts in methods.items()}
