"""`reasonrl export`: weights as a Hugging Face folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from reasonrl.commands.output import emit
from reasonrl.errors import CheckpointError


def export_command(source: Path, target: Path, *, dtype: str | None, as_json: bool) -> None:
    import torch

    from reasonrl.setup.run_models import weights_of
    from reasonrl.verl_backend.convert import convert, copy_plain_files, find_actor, write_complete

    if not source.is_dir():
        raise CheckpointError(
            f"{source} is no folder; name a run, a stage of one, a checkpoint, or a checkpoint of verl"
        )
    actor = None if (source / "recipe.yaml").is_file() else find_actor(source)
    if actor is not None:
        convert(actor, target, None if dtype is None else getattr(torch, dtype))
        found = actor
    else:
        found = Path(weights_of(str(source)))
        if not any(found.glob("*.safetensors")):
            raise CheckpointError(
                f"{source} holds neither weights (*.safetensors) nor shards of verl (fsdp_config.json); name a run or a"
                " checkpoint"
            )

        def fill(folder: Path) -> None:
            if dtype is None:
                for path in found.glob("*.safetensors*"):
                    shutil.copy2(path, folder / path.name)
            else:
                from transformers import AutoModelForCausalLM

                AutoModelForCausalLM.from_pretrained(found, dtype=getattr(torch, dtype)).save_pretrained(folder)
            copy_plain_files(found, folder)

        write_complete(target, fill)
    size = sum(path.stat().st_size for path in target.iterdir())
    emit(
        as_json,
        {"source": str(found), "folder": str(target), "bytes": size},
        f"{found}\n-> {target} ({size / 1e6:,.1f} MB)",
    )
