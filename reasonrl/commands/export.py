"""`reasonrl export`: the weights of a run, a checkpoint or a checkpoint of verl as a Hugging Face model folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from reasonrl.commands.output import emit
from reasonrl.errors import CheckpointError


def export_command(source: Path, target: Path, *, dtype: str | None, as_json: bool) -> None:
    """Raises CheckpointError for a source without weights, or a target that already exists."""
    import torch

    from reasonrl.setup.run_models import weights_of
    from reasonrl.verl_backend.convert import convert, find_actor

    if not source.is_dir():
        raise CheckpointError(
            f"{source} is not a folder; name a run, a stage of one, a checkpoint, or a checkpoint of verl"
        )
    shards = None if (source / "recipe.yaml").is_file() else find_actor(source)
    if shards is not None:
        exported = shards
        convert(shards, target, None if dtype is None else getattr(torch, dtype))
    else:
        exported = Path(weights_of(str(source)))
        if not any(exported.glob("*.safetensors")):
            raise CheckpointError(
                f"{source} has neither weights (*.safetensors) nor verl's shards (fsdp_config.json); name a run or a"
                " checkpoint"
            )
        export_model(exported, target, dtype)
    size = sum(path.stat().st_size for path in target.iterdir())
    emit(
        as_json,
        {"source": str(exported), "folder": str(target), "bytes": size},
        f"{exported}\n-> {target} ({size / 1e6:,.1f} MB)",
    )


def export_model(model: Path, target: Path, dtype: str | None) -> None:
    """Copy a Hugging Face model folder, with the weights in another `dtype` where one is given.

    Raises:
        CheckpointError: the target already exists.
    """
    import torch

    from reasonrl.models.saving import copy_plain_files, write_new_model_folder

    def fill(folder: Path) -> None:
        if dtype is None:
            for path in model.glob("*.safetensors*"):
                shutil.copy2(path, folder / path.name)
        else:
            from transformers import AutoModelForCausalLM

            AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype)).save_pretrained(folder)
        copy_plain_files(model, folder)

    write_new_model_folder(target, fill)
