"""Shared by the stages that do not train: a verifier that is closed at the end, and a folder with a summary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from reasonrl.data.convert import write_problems
from reasonrl.host.files import replace_text
from reasonrl.host.terminal import json_text
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.setup.data import RunData
from reasonrl.stages.base import Session
from reasonrl.stages.inputs import check_inputs, identity_of
from reasonrl.stages.journal import Journal
from verifiers.types import Problem, Verifier


class GatheringKind:
    """What the kinds that do not train share."""

    target_label: ClassVar[str] = "gold response"

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        return verifier.gold_response(problem.reference)

    def check(self, recipe: Recipe, data: RunData) -> None:
        pass

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


def start_journal(
    recipe: Recipe, folder: Path, session: Session, data: RunData, roles: Mapping[str, RoleSpec]
) -> Journal:
    """Check the inputs of a stage, and open what an earlier session of it has generated. Call this before weights are
    loaded. Raises UsageError for inputs that have changed.
    """
    inputs = check_inputs(recipe, folder, session, data, roles, step=None)
    journal = Journal(
        folder,
        identity_of(recipe, inputs),
        resume=session.resume,
        stop_requested=lambda: session.interrupt.requested,
    )
    if len(journal):
        session.console.note(f"continuing: {len(journal):,} responses were generated before")
    return journal


def write_sets(folder: Path, sets: Mapping[str, Sequence[Problem]]) -> None:
    """Write each set of problems to `NAME.jsonl`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, problems in sets.items():
        write_problems(problems, folder / f"{name}.jsonl", form="plain")


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write this last: a stage with a summary is complete."""
    replace_text(path, json_text(summary, indent=1) + "\n")
