"""Training from Python: what `reasonrl train` does, as a function."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reasonrl.api.recipes import RecipeLike, load_recipe
from reasonrl.api.runs import Run
from reasonrl.host.outputs import user_path
from reasonrl.runs.folder import run_dir_for


def train(
    recipe: RecipeLike,
    run_dir: str | Path | None = None,
    *,
    resume: bool = False,
    offline: bool = False,
    quiet: bool = False,
    allow_changes: bool = False,
) -> Run:
    """Train a recipe, all of its stages.

    Ctrl-C (in a notebook: interrupt) finishes the step, saves a checkpoint and raises KeyboardInterrupt; call `train`
    again with `resume=True` to continue. Outside of the main thread Ctrl-C is not caught. Signal handlers and torch's
    settings are afterwards as they were before.

    Args:
        recipe: what `load_recipe` returns, or what it takes.
        run_dir: the run folder; `runs/NAME`, `runs/NAME-2`, ... if left out.
        resume: continue the run in `run_dir` from its newest checkpoint. Without `run_dir`: the run whose folder
            `recipe` is, or the newest run of the recipe.
        offline: use nothing that is not on this machine.
        quiet: print nothing but warnings.
        allow_changes: resume also where the data, the weights or your own code are not those that the run began with.
            The run records what was different.

    Returns:
        The finished run.

    Raises:
        RecipeError: the recipe is wrong.
        DataError: a data set cannot be read, or its gold answers do not score 1.
        ModelError: the model cannot be found or loaded.
        UsageError: `run_dir` holds another run; there is nothing to resume; what the run was trained with has changed;
            or another process or thread writes it.
        TrainingError: training cannot continue; what was saved can be resumed.
        KeyboardInterrupt: it was interrupted, and a checkpoint was saved.

    Example:
        run = train(load_recipe("smoke"), "runs/first", quiet=True)
        print(run.model_path)
    """
    loaded = load_recipe(recipe)
    from reasonrl.commands.backends import BACKENDS
    from reasonrl.stages import run

    given = None if run_dir is None else user_path(run_dir, "run_dir")
    with run_dir_for(given, loaded.name, loaded.source, resume=resume) as folder, torch_settings_restored():
        run.train(
            loaded,
            folder,
            resume=resume,
            offline=offline,
            quiet=quiet,
            backends=BACKENDS,
            allow_changes=allow_changes,
        )
    return Run.open(folder)


@contextlib.contextmanager
def torch_settings_restored() -> Iterator[None]:
    """A stage sets the number of threads and deterministic algorithms for the whole process; a notebook continues."""
    import torch

    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
