"""How many rows a matrix product must have so that a row's result does not depend on how many others there are.

Libraries choose their loops by the number of rows: with some numbers a row is summed in another order, and rounds
otherwise. Where that is so only for small numbers or for such as are not a multiple of 8, rows are added that nobody
reads. Tried on the shapes of the model's own layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_TRIED = (1, 2, 3, 4, 5, 7, 8, 11, 16, 24, 31, 32, 40, 48, 57, 64)
_MULTIPLES = (1, 8, 16, 32)


def row_multiple(model: Any) -> int | None:
    """Rows come in multiples of this; None if no multiple helps."""
    weights: dict[tuple[int, ...], Tensor] = {}
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            weights.setdefault((*module.weight.shape, module.weight.dtype.itemsize), module.weight)
    for multiple in _MULTIPLES:
        if all(_is_steady(weight, multiple) for weight in weights.values()):
            return multiple
    return None


def _is_steady(weight: Tensor, multiple: int) -> bool:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(64, weight.shape[1], generator=generator).to(weight.device, weight.dtype)
    with torch.no_grad():
        all_rows = torch.nn.functional.linear(rows, weight)
        for count in _TRIED:
            padded = -(-count // multiple) * multiple
            if padded <= 64:
                few = torch.nn.functional.linear(rows[:padded], weight)
                if not torch.equal(few, all_rows[:padded]):
                    return False
    return True
