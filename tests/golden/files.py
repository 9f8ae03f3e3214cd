"""Reading and writing the files of golden cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
Case = dict[str, Any]


def golden_files() -> list[Path]:
    """The JSON files of this folder, by name."""
    return sorted(FOLDER.glob("*.json"))


def read_cases(path: Path) -> list[Case]:
    """The cases of a file: `id`, `method`, `input`, `expected` and, where it helps a reader, `note`."""
    cases: list[Case] = json.loads(path.read_text(encoding="utf-8"))
    return cases


def all_cases() -> dict[str, Case]:
    """Every case by its id. Raises ValueError for an id that stands twice."""
    cases: dict[str, Case] = {}
    for path in golden_files():
        for case in read_cases(path):
            if case["id"] in cases:
                raise ValueError(f"{path.name}: the id {case['id']!r} is taken by another case")
            cases[case["id"]] = case
    return cases


def text_of(cases: list[Case]) -> str:
    """The text of a file: one line for each input and each expected value, so that a change is seen in a diff."""
    blocks = []
    for case in cases:
        lines = [f"    {json.dumps(key)}: {_text(value)}" for key, value in case.items()]
        blocks.append("  {\n" + ",\n".join(lines) + "\n  }")
    return "[\n" + ",\n".join(blocks) + "\n]\n"


def _text(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    lines = [f"      {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items()]
    return "{\n" + ",\n".join(lines) + "\n    }" if lines else "{}"
