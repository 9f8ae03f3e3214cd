"""How large a model is, before any of it is loaded."""

from __future__ import annotations

import re
from typing import Any


def count_parameters(config: Any) -> int:
    """Parameters of the model that a config describes; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())


def parameters_by_name(name: str) -> int:
    """What a name says of the size: 1.7e9 for "Qwen/Qwen3-1.7B"; 0 for one that says nothing."""
    sizes = re.findall(
        r"(?<![\w.])(\d+(?:\.\d+)?)([BM])(?![a-z])", name.rpartition("/")[2].replace("-", " ").replace("_", " ")
    )
    return round(float(sizes[-1][0]) * (1e9 if sizes[-1][1] == "B" else 1e6)) if sizes else 0


def weights_gb(parameters: int, dtype: str) -> float:
    """Memory of the weights in GB; `dtype` is float32 or bfloat16."""
    return parameters * (2 if dtype == "bfloat16" else 4) / 1e9


def states_gb(parameters: int, *, lora: bool, dtype: str) -> float:
    """Memory in GB of what an optimiser step needs: weights, gradients and both moments.

    Full training takes 16 bytes a weight in either `dtype`, since the optimiser's weights are float32. With adapters
    the weights stay in `dtype`, and 5% come on top.
    """
    return 1.05 * weights_gb(parameters, dtype) if lora else parameters * 16 / 1e9
