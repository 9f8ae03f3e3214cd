"""Which modules of a model can carry a LoRA adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from reasonrl.errors import RecipeError
from reasonrl.models.tied import embedding_and_head, says_tied
from reasonrl.words import did_you_mean

KEY = "model.lora.target_modules"


def check_target_modules(model: Any, targets: Sequence[str] | str) -> None:
    """Each name of the recipe must be that of a module that takes an adapter; peft ignores one that matches nothing
    beside one that matches.

    Args:
        model: with or without weights (device `meta`).
        targets: names as peft reads them: the last parts of a module's path (`q_proj`, `self_attn.q_proj`), or
            `all-linear`.

    Raises:
        RecipeError: a name matches no module of the model, or one that takes no adapter; the message lists all such
            names. Also for an empty list.
    """
    if isinstance(targets, str):
        return
    modules = {path: module for path, module in model.named_modules() if path}
    able = {path.rsplit(".", 1)[-1] for path, module in modules.items() if _takes_adapter(module)}
    choice = f"write some of {', '.join(sorted(able))}, or all-linear"
    if not targets:
        raise RecipeError(f"{KEY}: an empty list trains nothing; {choice}")
    mistakes = []
    for i, target in enumerate(targets):
        matched = [module for path, module in modules.items() if path == target or path.endswith(f".{target}")]
        if not matched:
            mistakes.append(f"{KEY}.{i}: the model has no module '{target}'; {did_you_mean(target, able) or choice}")
        elif not all(_takes_adapter(module) for module in matched):
            kind = next(type(module).__name__ for module in matched if not _takes_adapter(module))
            mistakes.append(f"{KEY}.{i}: '{target}' is a module of type {kind}, which takes no adapter; {choice}")
    if mistakes:
        raise RecipeError("\n".join(mistakes))


def check_targets_of_config(config: Any, targets: Sequence[str] | str) -> None:
    """`check_target_modules` before the weights are loaded: builds the model of a config without memory for weights."""
    if isinstance(targets, str):
        return
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    check_target_modules(model, targets)


def refuse_tied_targets(config: Any, targets: Sequence[str] | str) -> None:
    """For a backend that merges adapters in place: where the head is the embedding, merging one changes both.

    Raises RecipeError for such a target.
    """
    if isinstance(targets, str) or not says_tied(config.to_dict()):
        return
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        names = embedding_and_head(AutoModelForCausalLM.from_config(config)) or ()
    tied = {name.split(".")[-2] for name in names}
    for i, target in enumerate(targets):
        if target.rpartition(".")[2] in tied:
            raise RecipeError(
                f"{KEY}.{i}: the head of this model is its embedding, and verl merges adapters in place, which would"
                f" change both. Leave out '{target}', or write backend: local"
            )


def _takes_adapter(module: Any) -> bool:
    from transformers.pytorch_utils import Conv1D

    kinds = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention, Conv1D)
    return isinstance(module, kinds)
