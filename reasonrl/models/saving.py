"""Writing weights: a full disk is told in the same words whoever writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor


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
