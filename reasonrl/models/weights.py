"""Whether weights are numbers. One NaN makes every logit NaN, and an evaluation of such a model would give 0%."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.errors import ModelError

READ_BYTES = 2 * 10**9
"""Files of weights up to this size, together, are read by a dry run."""


def is_finite(tensor: Tensor, *, square: bool = False) -> bool:
    """Whether no value is NaN or infinite; with `square`, whether no value's square is, in float32.

    Both go through a minimum and a maximum, which need no copy.
    """
    if not tensor.is_floating_point() or not tensor.numel() or tensor.is_meta:
        return True
    if tensor.element_size() == 1:  # torch has no minimum of 8-bit floats
        return bool(tensor.float().isfinite().all())
    extremes = torch.stack(torch.aminmax(tensor.detach())).float()
    return bool((extremes.square() if square else extremes).isfinite().all())


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> list[str]:
    """Names of the tensors that hold a NaN or an infinite value."""
    return [name for name, tensor in tensors if not is_finite(tensor)]


def require_finite_weights(name: str, model: Any) -> None:
    """Raises ModelError for a model with a weight that is not a finite number; `name` is the model's."""
    _refuse(name, not_finite(model.named_parameters()))


def check_weight_values(name: str, folder: Path, *, up_to_bytes: float = math.inf) -> None:
    """`require_finite_weights` on the files of a folder, one tensor at a time, unless all are larger than
    `up_to_bytes`.
    """
    from safetensors import safe_open

    files = sorted(folder.glob("*.safetensors"))
    pickled = [] if files else sorted(folder.glob("pytorch_model*.bin"))
    if sum(file.stat().st_size for file in [*files, *pickled]) > up_to_bytes:
        return
    broken = []
    for file in files:
        with safe_open(file, framework="pt") as tensors:
            broken += [key for key in tensors.keys() if not is_finite(tensors.get_tensor(key))]  # noqa: SIM118
    for file in pickled:
        broken += not_finite(_pickled_tensors(file))
    _refuse(name, broken)


def _pickled_tensors(file: Path) -> list[tuple[str, Tensor]]:
    """The tensors of a pytorch_model.bin; none of a file that cannot be read, which loading it reports."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        return []
    return (
        [(key, value) for key, value in state.items() if isinstance(value, Tensor)] if isinstance(state, dict) else []
    )


def _refuse(name: str, broken: list[str]) -> None:
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise ModelError(
            f"model.path: '{name}': {broken[0]}{more} of its weights hold values that are not finite numbers (NaN or"
            " infinite), so every answer would be noise. Its training diverged, or the file is damaged. Name another"
            " model or an earlier checkpoint"
        )
