"""How large a model is, before any of it is loaded."""

from __future__ import annotations

from typing import Any


def count_parameters(config: Any) -> int:
    """Parameters of the model that a config describes; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
