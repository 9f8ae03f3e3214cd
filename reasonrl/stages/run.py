"""`reasonrl train`: the stages of a recipe, one after another, in one run folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from reasonrl.errors import TrainingError, UsageError
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.links import check_links, stage_folder, with_paths
from reasonrl.recipe.reading import LoadedRecipe, stage_text
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import require_run, start_run
from reasonrl.runs.lock import locked
from reasonrl.runs.reading import Run
from reasonrl.runs.report import write_report
from reasonrl.runs.stages_report import write_stages_report
from reasonrl.setup.models import check_engine
from reasonrl.setup.run_models import newest_model, runs_elsewhere, weights_of
from reasonrl.setup.starts import check_start, errors_of_start, start_of
from reasonrl.stages import stage_kind
from reasonrl.stages.base import RunElsewhere, Session
from reasonrl.stages.complete import is_complete, refuse_other_recipe
from reasonrl.trainer.interrupt import Interrupt


@dataclass(frozen=True)
class TrainResult:
    run_dir: Path
    model: Path | None
    """The folder of the trained model; None where no stage trains."""
    report: Path | None


def train(
    loaded: LoadedRecipe,
    run_dir: Path,
    *,
    resume: bool = False,
    offline: bool = False,
    quiet: bool = False,
    backends: Mapping[str, RunElsewhere] | None = None,
    allow_changes: bool = False,
) -> TrainResult:
    """Run all stages of a recipe in `run_dir`.

    Args:
        resume: continue an interrupted run; its finished stages are skipped.
        offline: use nothing that is not on this machine.
        backends: run stages of kind rl that ask for them, by name.
        allow_changes: resume also where the recipe in the run folder, data, weights or the user's code have changed
            since a stage began.

    Raises:
        ReasonRLError: something is wrong that the user can fix; there is nothing to resume; or another process writes
            this folder.
        KeyboardInterrupt: after Ctrl-C, once the current step has its checkpoint.
    """
    check_engines(loaded.stages)
    check_links(loaded.stages)
    check_options(resume=resume, allow_changes=allow_changes)
    if resume:
        require_run(run_dir)
    else:  # a resumed stage may not need the model that it started from any more
        for recipe in loaded.stages:
            check_start(recipe, loaded.stages, offline=offline)
    with locked(run_dir, "Wait for it, or write run_dir=ANOTHER_FOLDER"):
        versions = start_run(run_dir, run_text(loaded), resume=resume)
        if versions:
            TrainConsole(0, quiet=quiet).warn(versions_warning(versions))
        return _run_stages(
            loaded,
            run_dir,
            resume=resume,
            offline=offline,
            quiet=quiet,
            backends=backends or {},
            allow_changes=allow_changes,
        )


def _run_stages(
    loaded: LoadedRecipe,
    run_dir: Path,
    *,
    resume: bool,
    offline: bool,
    quiet: bool,
    backends: Mapping[str, RunElsewhere],
    allow_changes: bool,
) -> TrainResult:
    model: Path | None = None
    report: Path | None = None
    for folder, recipe in zip(stage_folders(loaded, run_dir), loaded.stages, strict=True):
        console = TrainConsole(recipe.total_steps, quiet=quiet)
        with console, Interrupt(console.warn) as interrupt:
            if loaded.staged:
                start_stage(folder, recipe, resume=resume, allow_changes=allow_changes)
                console.note(f"stage {recipe.name} ({recipe.kind})")
            if resume and is_complete(recipe, folder):
                refuse_other_recipe(recipe, folder)
            init_from = starting_model(recipe, run_dir, loaded, model)
            session = Session(console, interrupt, init_from, resume, offline, backends, allow_changes, recipe)
            with errors_of_start(recipe), report_of_failure(folder, console):
                result = stage_kind(recipe.kind).run(with_paths(recipe, run_dir, newest_model), folder, session)
            if KINDS[recipe.kind].trains:
                model, report = result, write_report(folder)
                console.finish(f"report: {report}\nmodel:  {model}")
            if interrupt.requested and recipe is not loaded.stages[-1]:
                raise KeyboardInterrupt  # too late to stop this stage, so the next one does not start
    if loaded.staged:
        report = write_stages_report(run_dir)
    return TrainResult(run_dir, model, report)


@contextmanager
def report_of_failure(folder: Path, console: TrainConsole) -> Iterator[None]:
    """A stage that breaks after its first step leaves a report: what led there is what its owner looks for."""
    try:
        yield
    except TrainingError:
        if Run.open(folder).metrics():
            console.note(f"report: {write_report(folder)}")
        raise


def run_text(loaded: LoadedRecipe) -> str:
    """recipe.yaml of a run."""
    return yaml.safe_dump(loaded.raw, sort_keys=False, allow_unicode=True)


def versions_warning(versions: Sequence[str]) -> str:
    return (
        f"other versions than in the last session: {', '.join(versions)}. Results may differ from those of a run that"
        " was never stopped; run.json records both"
    )


def check_options(*, resume: bool, allow_changes: bool) -> None:
    """Raises UsageError for options of the command line that contradict each other."""
    if allow_changes and not resume:
        raise UsageError("--allow-changes is for a run that is resumed: add --resume, or leave it out")


def start_stage(folder: Path, recipe: Recipe, *, resume: bool, allow_changes: bool = False) -> None:
    """Make the folder of a stage, with its own recipe in it. Raises UsageError where the folder holds another run."""
    other_recipe = allow_changes and not is_complete(recipe, folder)
    start_run(folder, stage_text(recipe), resume=resume, other_recipe=other_recipe)


def starting_model(recipe: Recipe, run_dir: Path, loaded: LoadedRecipe, previous: Path | None) -> str:
    """What a stage starts from: what `init_from` names, else `previous`, the model of the last stage that trained, else
    model.path.

    Raises:
        RecipeError: a run or stage that is named has no checkpoint.
    """
    if recipe.init_from is None:
        return str(previous) if previous is not None else weights_of(recipe.model.path)
    if any(stage.name == recipe.init_from for stage in loaded.stages):
        return str(newest_model(stage_folder(run_dir, recipe.init_from)))
    return start_of(recipe.init_from)


def stage_folders(loaded: LoadedRecipe, run_dir: Path) -> list[Path]:
    """`run_dir` itself for a plain recipe; `run_dir/stages/01-NAME`, ... for one with stages."""
    if not loaded.staged:
        return [run_dir]
    return [run_dir / "stages" / f"{number:02d}-{recipe.name}" for number, recipe in enumerate(loaded.stages, 1)]


def check_engines(stages: list[Recipe]) -> None:
    """Raises RecipeError for a stage in this process whose engine is not known or not installed."""
    for recipe in stages:
        if not runs_elsewhere(recipe):
            check_engine(recipe)
