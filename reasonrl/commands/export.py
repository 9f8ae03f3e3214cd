"""`reasonrl export`: the weights of a run, a checkpoint or a checkpoint of verl as a Hugging Face model folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from reasonrl.commands.output import emit
from reasonrl.errors import CheckpointError, UsageError
from reasonrl.host.outputs import refuse_checkpoints
from reasonrl.runs.lock import LOCK_FILE, entries, locked, refuse_locked


def export_command(source: Path, target: Path, *, dtype: str | None, as_json: bool) -> None:
    """Raises:
    CheckpointError: the source has no weights.
    UsageError: the source is not a folder, the target already exists, or another process writes it or the run.
    """
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder; name a run, a stage of one, a checkpoint, or a checkpoint of verl")
    is_run = (source / "recipe.yaml").is_file()
    wait = "Wait for it, or name one of its checkpoints"
    with locked(source, wait, shared=True) if is_run else nullcontext(), new_target(target) as write:
        exported = _export(source, write, dtype, is_run=is_run)
    size = sum(path.stat().st_size for path in target.iterdir())
    emit(
        as_json,
        {"source": str(exported), "folder": str(target), "bytes": size},
        f"{exported}\n-> {target} ({size / 1e6:,.1f} MB)",
    )


def _export(
    source: Path, write: Callable[[Callable[[Path], object]], None], dtype: str | None, *, is_run: bool
) -> Path:
    """Write the weights of `source`. Returns the folder that they were in."""
    import torch

    from reasonrl.setup.run_models import weights_of
    from reasonrl.verl_backend.convert import convert, find_actor

    shards = None if is_run else find_actor(source)
    if shards is not None:
        write(lambda folder: convert(shards, folder, None if dtype is None else getattr(torch, dtype)))
        return shards
    exported = Path(weights_of(str(source)))
    if not any(exported.glob("*.safetensors")):
        raise CheckpointError(
            f"{source} has neither weights (*.safetensors) nor verl's shards (fsdp_config.json); name a run or a"
            " checkpoint"
        )
    try:
        write(lambda folder: export_model(exported, folder, dtype))
    except FileNotFoundError as error:
        if exported.is_dir():
            raise
        raise CheckpointError(
            f"{exported} was removed by its run during the export. Name a newer checkpoint"
        ) from error
    return exported


@contextmanager
def new_target(target: Path) -> Iterator[Callable[[Callable[[Path], object]], None]]:
    """Lock `target` and give a function that makes it from what is written into a folder beside it.

    Raises:
        UsageError: something is in `target` already, it is in the checkpoints of a run, or another process writes it.
    """
    refuse_checkpoints(target)
    advice = "Wait for it, or name another folder"
    refuse_locked(target, advice)
    _refuse_occupied(target)

    def write(fill: Callable[[Path], object]) -> None:
        beside = target.with_name(f".{target.name}.export")
        shutil.rmtree(beside, ignore_errors=True)  # of an export that was killed
        try:
            fill(beside)
            # An empty folder is replaced in one move; one that another process has taken since is not.
            (target / LOCK_FILE).unlink(missing_ok=True)
            os.replace(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    with locked(target, advice):
        _refuse_occupied(target)
        yield write


def _refuse_occupied(target: Path) -> None:
    if target.exists() and (not target.is_dir() or entries(target)):
        raise UsageError(f"{target} is there already; name another folder, or remove it")


def export_model(model: Path, target: Path, dtype: str | None) -> None:
    """Copy a Hugging Face model folder, with the weights in another `dtype` where one is given.

    Raises:
        UsageError: the target already exists.
        ModelError: the weights are not those of config.json, or hold values that are not finite numbers.
    """
    import torch

    from reasonrl.models.pretrained import check_weight_names, load_weights
    from reasonrl.models.saving import copy_plain_files, save_weights, write_new_model_folder
    from reasonrl.models.tied import correct_flag
    from reasonrl.models.weights import check_weight_values

    check_weight_names(str(model), str(model))
    check_weight_values(str(model), model)

    def fill(folder: Path) -> None:
        if dtype is None:
            for path in model.glob("*.safetensors*"):
                shutil.copy2(path, folder / path.name)
        else:
            save_weights(load_weights(str(model), str(model), dtype=getattr(torch, dtype), local_only=True), folder)
        copy_plain_files(model, folder)
        correct_flag(folder)

    write_new_model_folder(target, fill)
