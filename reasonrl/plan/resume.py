"""`--resume --dry-run`: what resuming a run would refuse, and where its stages would continue. Nothing is changed."""

from __future__ import annotations

from pathlib import Path

from reasonrl.errors import DataNotHere
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.links import with_paths
from reasonrl.recipe.reading import LoadedRecipe, stage_text
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import check_run
from reasonrl.runs.lock import refuse_locked
from reasonrl.setup.data import load_data, recipe_for_data
from reasonrl.setup.run_models import newest_model, runs_elsewhere
from reasonrl.stages import stage_kind
from reasonrl.stages.base import Session
from reasonrl.stages.complete import is_complete, refuse_other_recipe
from reasonrl.stages.gathering import close_verifier
from reasonrl.stages.inputs import compare_inputs
from reasonrl.stages.resuming import checkpoint_to_resume
from reasonrl.stages.run import run_text, stage_folders, starting_model, versions_warning
from reasonrl.trainer.interrupt import Interrupt


def check_resume(loaded: LoadedRecipe, run_dir: Path, *, offline: bool, allow_changes: bool) -> list[str]:
    """Lines for the plan: where each stage that has begun continues, and what is different now but allowed.

    Call this before the user's modules are imported for another reason: the files of code that are compared are those
    that a resumed run has imported by then.

    Raises ReasonRLError, as the resumed run would.
    """
    refuse_locked(run_dir, "Wait for it, or write run_dir=ANOTHER_FOLDER")
    _, versions = check_run(run_dir, run_text(loaded), resume=True)
    lines = [versions_warning(versions)] if versions else []
    model: Path | None = None
    for folder, recipe in zip(stage_folders(loaded, run_dir), loaded.stages, strict=True):
        name = f"stage {recipe.name}"
        if loaded.staged:
            if not folder.exists():
                lines.append(f"{name} has not begun")
                break
            other_recipe = allow_changes and not is_complete(recipe, folder)
            check_run(folder, stage_text(recipe), resume=True, other_recipe=other_recipe)
        if is_complete(recipe, folder):
            refuse_other_recipe(recipe, folder)
            lines.append(f"{name} is complete")
            if KINDS[recipe.kind].trains:
                model = newest_model(folder)
            continue
        init_from = starting_model(recipe, run_dir, loaded, model)
        resolved = with_paths(recipe, run_dir, newest_model)
        lines += _compared(resolved, recipe, folder, init_from, offline, allow_changes)
        break
    return lines


def _compared(
    recipe: Recipe, written: Recipe, folder: Path, init_from: str, offline: bool, allow_changes: bool
) -> list[str]:
    """The lines of the stage that continues. Raises UsageError for what has changed."""
    console = _Lines()
    step = _step(recipe, folder, console)
    name = f"stage {recipe.name}"
    console.warn(f"{name} starts from its beginning" if step is None else f"{name} continues after step {step}")
    verifier = make_verifier(recipe)
    try:
        checker = make_reward_parts(recipe_for_data(recipe), verifier)[0].verifier
        assert checker is not None
        data = load_data(recipe_for_data(recipe), checker, offline=offline)
    except DataNotHere as error:
        if not offline:
            raise
        console.warn(f"not compared: {error}")
        return console.lines
    finally:
        close_verifier(verifier)
    session = Session(console, Interrupt(console.warn), init_from, True, offline, {}, allow_changes, written)
    compare_inputs(recipe, folder, session, data, stage_kind(recipe.kind).roles(recipe), step=step)
    return console.lines


def _step(recipe: Recipe, folder: Path, console: TrainConsole) -> int | None:
    """The step that a stage continues after; None where it starts over. Raises ReasonRLError for what is damaged."""
    if not KINDS[recipe.kind].trains:
        return None
    if runs_elsewhere(recipe):
        from reasonrl.verl_backend.launch import resumed_step

        return resumed_step(folder, console)
    checkpoint = checkpoint_to_resume(folder, console)
    return None if checkpoint is None else checkpoint.step


class _Lines(TrainConsole):
    """Collects what would be printed."""

    def __init__(self) -> None:
        super().__init__(0, quiet=True)
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    warn = note
