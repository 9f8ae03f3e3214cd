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
    found = re.findall(
        r"(?<![\w.])(\d+(?:\.\d+)?)([BM])(?![a-z])", name.rpartition("/")[2].replace("-", " ").replace("_", " ")
    )
    return round(float(found[-1][0]) * (1e9 if found[-1][1] == "B" else 1e6)) if found else 0
