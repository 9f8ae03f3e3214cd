"""A run of two steps on files of its own: data, weights and a reward function, all of which a test can change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from reasonrl.plan.resume import check_resume
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.run import train
from tests.tiny_runs import tiny

REWARD = "def score(responses, problems):\n    return [0.5 if r.strip() else 0.0 for r in responses]\n"


def write_rows(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def sums(first: int, count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"sum-{i}", "prompt": f"{i % 7} + {i // 7}", "answer": str(i % 7 + i // 7)}
        for i in range(first, first + count)
    ]


RECIPE = tiny(
    data={
        "train": {"source": "train.jsonl", "options": None},
        "heldout": {"sums": {"source": "test.jsonl", "options": None}},
    },
    model={"path": "base", "lora": {"rank": 2, "target_modules": ["q_proj"]}},
    train={"steps": 2, "prompts_per_step": 2},
    reward={"correctness": 1.0, "mine": {"function": "my_rewards:score", "weight": 0.1}},
    checkpoint={"every_steps": 1, "keep_last": 5},
)
for source in (RECIPE["data"]["train"], RECIPE["data"]["heldout"]["sums"]):
    del source["options"]


def run(*, resume: bool = False, allow_changes: bool = False, recipe: dict[str, Any] = RECIPE) -> None:
    loaded = parse_recipe(yaml.safe_dump(recipe), "test")
    train(loaded, Path("run"), resume=resume, offline=True, quiet=True, allow_changes=allow_changes)


def dry_run(*, allow_changes: bool = False, recipe: dict[str, Any] = RECIPE) -> list[str]:
    """What `train --resume --dry-run` says of the run. Fails if it changes a file."""

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}

    before = files()
    try:
        loaded = parse_recipe(yaml.safe_dump(recipe), "test")
        return check_resume(loaded, Path("run"), offline=True, allow_changes=allow_changes)
    finally:
        assert files() == before
