"""Shared by the stages that do not train: a verifier that is closed at the end, and a folder with a summary."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from reasonrl.data.convert import write_problems
from reasonrl.files import replace_text
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_verifier
from verifiers.types import Problem, Verifier


class GatheringKind:
    """What the kinds that do not train share."""

    target_label: ClassVar[str] = "gold response"

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        return verifier.gold_response(problem.reference)

    def needs_reference(self, recipe: Recipe) -> bool:
        return False


@contextlib.contextmanager
def open_verifier(recipe: Recipe) -> Iterator[Verifier]:
    """The recipe's verifier; its worker processes end with the block. Raises RecipeError for an unknown one."""
    verifier = make_verifier(recipe)
    try:
        yield verifier
    finally:
        close_verifier(verifier)


def close_verifier(verifier: Verifier) -> None:
    """End its worker processes, where it has any."""
    close = getattr(verifier, "close", None)
    if close is not None:
        close()


def write_sets(folder: Path, sets: Mapping[str, Sequence[Problem]]) -> None:
    """Write each set of problems to `NAME.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, problems in sets.items():
        write_problems(problems, folder / f"{name}.jsonl", form="plain")


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write this last: a stage with a summary is complete."""
    replace_text(path, json.dumps(summary, indent=1) + "\n")
