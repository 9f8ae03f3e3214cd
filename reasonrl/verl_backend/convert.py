"""A checkpoint of verl as a Hugging Face folder. Needs torch and transformers, neither verl nor a GPU.

verl's own merger (`python -m verl.model_merger`) rounds to bfloat16 on the way and leaves adapters beside the base
weights; this one keeps the precision that was saved and merges adapters (LoRA).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.errors import CheckpointError
from reasonrl.models.saving import copy_plain_files, write_new_model_folder
from reasonrl.models.tied import are_untied, embedding_and_head, write_untied
from reasonrl.models.weights import not_finite

CONFIG = "fsdp_config.json"
NOTE = "latest_checkpointed_iteration.txt"
_PEFT = "base_model.model."
_ADAPTER = re.compile(r"(.+)\.lora_([AB])\.default\.weight")


def find_actor(source: Path) -> Path | None:
    """The folder with the shards of a policy: SOURCE itself, its actor/, or that of the newest step of a folder of
    checkpoints.

    None where this is not a checkpoint of verl.
    """
    for root in (source, source / "verl" / "checkpoints"):
        if (root / NOTE).is_file():
            source = root / f"global_step_{(root / NOTE).read_text(encoding='utf-8').strip()}"
    return next((folder for folder in (source, source / "actor") if (folder / CONFIG).is_file()), None)


def merged_shards(actor: Path) -> dict[str, Tensor]:
    """All weights of FSDP or FSDP2 shards under their Hugging Face names. Raises CheckpointError for what is missing or
    unknown.
    """
    import torch.distributed.tensor

    world = int(json.loads((actor / CONFIG).read_text(encoding="utf-8"))["world_size"])
    paths = [actor / f"model_world_size_{world}_rank_{rank}.pt" for rank in range(world)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise CheckpointError(
            f"{actor}: {len(missing)} of {world} shards are missing, e.g. {missing[0]}; copy them from the other nodes"
        )
    shards = [torch.load(path, map_location="cpu", weights_only=True, mmap=True) for path in paths]
    weights = {name: _whole(name, [shard[name] for shard in shards]) for name in shards[0]}
    return _without_adapters(weights, actor)


def convert(actor: Path, target: Path, dtype: torch.dtype | None = None) -> int:
    """Write `target` complete or not at all, in `dtype` or as it was saved. Returns the number of parameters. Raises
    CheckpointError.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    from reasonrl.models.saving import disk_errors

    beside = actor / "huggingface"
    if not (beside / "config.json").is_file():
        raise CheckpointError(
            f"{beside}: no config.json, so the model's architecture is unknown; copy it there from the model that was"
            " trained"
        )
    weights = {name: weight.to(dtype or weight.dtype) for name, weight in merged_shards(actor).items()}
    if broken := not_finite(weights.items()):
        raise CheckpointError(
            f"{actor}: {broken[0]} holds values that are not finite numbers (NaN or infinite): the run has diverged."
            " Name an earlier checkpoint"
        )
    config = AutoConfig.from_pretrained(beside)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=next(iter(weights.values())).dtype)
    names = embedding_and_head(model)
    untied = are_untied(weights, names)
    known = dict(model.named_parameters(remove_duplicate=False))
    missing = [name for name in dict(model.named_parameters()) if name not in weights]
    wrong = [name for name, weight in weights.items() if name in known and weight.shape != known[name].shape]
    if missing or wrong:
        name = (missing or wrong)[0]
        raise CheckpointError(
            f"{actor}: the weights do not fit the {config.model_type} in {beside}: {name} is missing or misshapen"
        )

    def fill(folder: Path) -> None:
        with disk_errors(folder):
            tied = set() if untied else known.keys() - dict(model.named_parameters()).keys()
            model.save_pretrained(
                folder, state_dict={name: weight for name, weight in weights.items() if name not in tied}
            )
            if untied:
                write_untied(folder)
            copy_plain_files(beside, folder)

    write_new_model_folder(target, fill)
    return sum(p.numel() for p in model.parameters())


def _whole(name: str, parts: list[Any]) -> Tensor:
    """One tensor of its parts on all ranks: cut along a dimension, the same on all, or both (HSDP, where one replica is
    enough).
    """
    from torch.distributed.tensor import DTensor, Replicate, Shard

    if not isinstance(parts[0], DTensor):
        if any(not torch.equal(parts[0], part) for part in parts[1:]):
            raise CheckpointError(
                f"{name} is not a DTensor, and its copies on the ranks differ: this checkpoint is damaged"
            )
        return parts[0].clone()
    mesh, placements = parts[0].device_mesh.mesh, parts[0].placements
    cut = [(i, placement.dim) for i, placement in enumerate(placements) if isinstance(placement, Shard)]
    if len(cut) > 1 or not all(isinstance(placement, Shard | Replicate) for placement in placements):
        raise CheckpointError(f"{name} is sharded as {placements}, which is not FSDP; use python -m verl.model_merger")
    if not cut:
        return parts[0]._local_tensor.clone()
    ((across, dim),) = cut
    ranks = mesh[tuple(slice(None) if i == across else 0 for i in range(mesh.ndim))].tolist()
    return torch.cat([parts[rank]._local_tensor for rank in ranks], dim=dim)


def _without_adapters(weights: dict[str, Tensor], actor: Path) -> dict[str, Tensor]:
    """Base weights plus alpha/rank times B A, under the names of the base model."""
    adapters: dict[str, dict[str, Tensor]] = {}
    for name in [name for name in weights if ".lora_" in name]:
        match = _ADAPTER.fullmatch(name)
        if match is None:
            raise CheckpointError(
                f"{actor}: {name} is not an adapter of a linear layer; use python -m verl.model_merger"
            )
        adapters.setdefault(match[1], {})[match[2]] = weights.pop(name)
    named = {name.removeprefix(_PEFT).replace(".base_layer.", "."): weight for name, weight in weights.items()}
    if adapters:
        facts = json.loads((actor / "lora_train_meta.json").read_text(encoding="utf-8"))
        scale = facts["lora_alpha"] / facts["r"]
        for name, pair in adapters.items():
            base = named[f"{name.removeprefix(_PEFT)}.weight"]
            base += (scale * (pair["B"].float() @ pair["A"].float())).to(base.dtype)
    return named
