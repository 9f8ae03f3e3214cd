"""Heads that were tied to the embedding and no longer equal it: an adapter on one of the two unties them.

`tie_word_embeddings` in config.json decides what a reader takes for the head. transformers before 5 and vLLM drop the
head of a file whose config says that it is tied, and with it what was trained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FLAG = "tie_word_embeddings"


def embedding_and_head(model: Any) -> tuple[str, str] | None:
    """Names of the weights of the embedding and of the head, as a base model's state dict has them; None for a model
    without one of them.
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    names = {id(module): name for name, module in model.named_modules()}
    if embedding is None or head is None or id(embedding) not in names or id(head) not in names:
        return None
    return f"{names[id(embedding)]}.weight", f"{names[id(head)]}.weight"


def are_untied(weights: Mapping[str, Tensor], names: tuple[str, str] | None) -> bool:
    """Whether the head differs from the embedding in these weights. A head that is not among them is tied."""
    if names is None or not all(name in weights for name in names):
        return False
    embedding, head = (weights[name] for name in names)
    return not (embedding.data_ptr() == head.data_ptr() or torch.equal(embedding, head))


def says_tied(config: Mapping[str, Any]) -> bool:
    """Whether a config.json ties the head to the embedding, in itself or in its part on text."""
    text = config.get("text_config")
    return bool(config.get(FLAG) or (isinstance(text, Mapping) and text.get(FLAG)))


def write_untied(folder: Path) -> None:
    """Set the flag of the config.json in `folder` to false."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config[FLAG] = False
    if isinstance(config.get("text_config"), dict):
        config["text_config"][FLAG] = False
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def correct_flag(folder: Path) -> None:
    """Set the flag of a model folder to false where its files hold a head that differs from the embedding."""
    from safetensors import safe_open
    from transformers import AutoConfig, AutoModelForCausalLM

    if not says_tied(json.loads((folder / "config.json").read_text(encoding="utf-8"))):
        return
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    names = embedding_and_head(model)
    weights: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")) if names is not None else ():
        with safe_open(file, framework="pt") as tensors:
            present = set(tensors.keys())
            weights |= {name: tensors.get_tensor(name) for name in names or () if name in present}
    if are_untied(weights, names):
        write_untied(folder)
