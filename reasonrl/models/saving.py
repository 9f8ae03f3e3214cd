"""Writing weights: folders of models that are whole or not there, and one error for a full disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from reasonrl.errors import UsageError
from reasonrl.host.files import replace_folder
from reasonrl.models.tied import are_untied, embedding_and_head, says_tied, write_untied


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """safetensors tells of a full disk in words alone; callers are to get the OSError that every other writer
    raises.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = next((n for n in (errno.ENOSPC, errno.EDQUOT) if f"(os error {n})" in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def merged_state_dict(peft_model: Any) -> dict[str, Tensor]:
    """Weights of the base model with every adapter added in, under the base model's own names."""
    base = peft_model.get_base_model()
    out: dict[str, Tensor] = {}
    deltas = {name: m.get_delta_weight("default") for name, m in base.named_modules() if hasattr(m, "get_delta_weight")}
    for name, tensor in base.state_dict().items():
        if ".lora_" in name:
            continue
        module, _, leaf = name.rpartition(".base_layer.")
        if module:
            merged = tensor + deltas[module].to(tensor.dtype) if leaf == "weight" else tensor
            out[f"{module}.{leaf}"] = merged
        else:
            out[name] = tensor
    return out


def save_weights(model: Any, folder: Path) -> None:
    """Write the weights and config.json of a model, with adapters merged into a copy. config.json says that the head is
    tied to the embedding only where it is.
    """
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    weights = merged_state_dict(model) if base is not model else dict(model.state_dict())
    untied = says_tied(base.config.to_dict()) and are_untied(weights, _plain_names(base))
    if untied:  # transformers leaves out what its config calls tied
        base.save_pretrained(folder, state_dict=weights)
        write_untied(folder)
    elif base is model:
        model.save_pretrained(folder)
    else:
        base.save_pretrained(folder, state_dict=weights)


def _plain_names(base: Any) -> tuple[str, str] | None:
    """Names of embedding and head without the layer that an adapter puts around them."""
    names = embedding_and_head(base)
    return None if names is None else (_plain(names[0]), _plain(names[1]))


def _plain(name: str) -> str:
    return name.replace(".base_layer.", ".")


def write_new_model_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """`folder` appears when `fill` is done with it, or not at all.

    Raises UsageError where something is there already, OSError for a full disk.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; name another folder, or remove it")

    def fill_it(temporary: Path) -> None:
        with disk_errors(temporary):
            fill(temporary)

    replace_folder(folder, fill_it)


def copy_plain_files(source: Path, target: Path) -> None:
    """Tokenizer, chat template and generation config: what is not there already."""
    import shutil

    for path in source.iterdir():
        plain = path.suffix in (".json", ".jinja", ".txt", ".model") and path.name not in (
            "manifest.json",
            "model.safetensors.index.json",
        )
        if plain and path.is_file() and not (target / path.name).exists():
            shutil.copy2(path, target / path.name)
