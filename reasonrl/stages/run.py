"""`reasonrl train`: the stages of a recipe, one after the other, in one run folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.links import check_links, stage_folder, with_paths
from reasonrl.recipe.reading import LoadedRecipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import start_run
from reasonrl.runs.report import write_report
from reasonrl.runs.stages_report import write_stages_report
from reasonrl.setup.models import check_engine
from reasonrl.setup.run_models import newest_model, runs_elsewhere, weights_of
from reasonrl.stages.collect import run_collect
from reasonrl.stages.game import run_game
from reasonrl.stages.run_stage import run_stage
from reasonrl.trainer.interrupt import Interrupt


@dataclass(frozen=True)
class TrainResult:
    run_dir: Path
    model: Path | None
    """The folder of the trained model; None where stages only gathered."""
    report: Path | None


class RunElsewhere(Protocol):
    def __call__(
        self,
        recipe: Recipe,
        folder: Path,
        console: TrainConsole,
        *,
        init_from: str,
        resume: bool,
        offline: bool,
        stop_asked: Callable[[], bool],
    ) -> Path:
        """Run or resume a stage on another backend. Returns its newest model.

        As soon as `stop_asked` says so it ends behind the step of the moment, with a checkpoint, and raises
        KeyboardInterrupt.
        """
        ...


def train(
    loaded: LoadedRecipe,
    run_dir: Path,
    *,
    resume: bool = False,
    offline: bool = False,
    quiet: bool = False,
    backends: Mapping[str, RunElsewhere] | None = None,
) -> TrainResult:
    """Train all stages of a recipe into `run_dir`. `backends` run stages of kind rl that ask for them, by name.

    Raises ReasonRLError for what a user can mend; KeyboardInterrupt after Ctrl-C.
    """
    check_methods(loaded)
    check_links(loaded.stages)
    start_run(run_dir, yaml.safe_dump(loaded.raw, sort_keys=False, allow_unicode=True), resume=resume)
    model: Path | None = None
    report: Path | None = None
    for folder, recipe in zip(stage_folders(loaded, run_dir), loaded.stages, strict=True):
        console = TrainConsole(recipe.total_steps, quiet=quiet)
        with console, Interrupt(console.warn) as interrupt:
            if loaded.staged:
                start_run(
                    folder,
                    yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
                    resume=resume,
                )
                console.note(f"stage {recipe.name} ({recipe.kind})")
            started_from = starting_model(recipe, run_dir, loaded, model)
            linked = with_paths(recipe, run_dir, newest_model)
            if recipe.kind in ("collect", "game"):
                gather = run_collect if recipe.kind == "collect" else run_game
                gather(linked, folder, console, init_from=started_from, offline=offline)
                if interrupt.requested:
                    raise KeyboardInterrupt  # asked for while it gathered, which is done in one piece
                continue
            if runs_elsewhere(recipe):
                elsewhere = (backends or {})[recipe.backend]
                model = elsewhere(
                    linked,
                    folder,
                    console,
                    init_from=started_from,
                    resume=resume,
                    offline=offline,
                    stop_asked=interrupt.asked,
                )
            else:
                model = run_stage(
                    linked, folder, console, init_from=started_from, resume=resume, offline=offline, interrupt=interrupt
                )
            report = write_report(folder)
            console.finish(f"report: {report}\nmodel:  {model}")
            if interrupt.requested and recipe is not loaded.stages[-1]:
                raise KeyboardInterrupt  # asked for in the last step of a stage: the next one is not begun
    if loaded.staged:
        report = write_stages_report(run_dir)
    return TrainResult(run_dir, model, report)


def starting_model(recipe: Recipe, run_dir: Path, loaded: LoadedRecipe, before: Path | None) -> str:
    """What a stage begins with: what `init_from` names, else the model of the stage before, else model.path."""
    if recipe.init_from is None:
        return str(before) if before is not None else weights_of(recipe.model.path)
    if any(stage.name == recipe.init_from for stage in loaded.stages):
        return str(newest_model(stage_folder(run_dir, recipe.init_from)))
    return weights_of(recipe.init_from)


def stage_folders(loaded: LoadedRecipe, run_dir: Path) -> list[Path]:
    """`run_dir` itself for a plain recipe; `run_dir/stages/01-NAME`, ... for one with stages."""
    if not loaded.staged:
        return [run_dir]
    return [run_dir / "stages" / f"{i:02d}-{recipe.name}" for i, recipe in enumerate(loaded.stages, 1)]


def check_methods(loaded: LoadedRecipe, *, installed: bool = True) -> None:
    """Names that only the trainer knows, and with `installed` whether their engines are there. Raises RecipeError."""
    import difflib

    from reasonrl.algorithms.advantages import ADVANTAGES
    from reasonrl.update.methods import STATEFUL

    known = [*ADVANTAGES, *STATEFUL]
    for recipe in loaded.stages:
        if installed and not runs_elsewhere(recipe):
            check_engine(recipe)
        if recipe.train.advantage not in known:
            near = difflib.get_close_matches(recipe.train.advantage, known, 1)
            hint = f"did you mean '{near[0]}'? " if near else ""
            raise RecipeError(
                f"train.advantage: '{recipe.train.advantage}' is not known; {hint}choose one of {', '.join(known)}"
            )
