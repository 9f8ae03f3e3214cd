"""How many rows a matrix product must have so that a row's result does not depend on how many others there are.

Libraries choose their loops by the number of rows: with some numbers a row is summed in another order, and rounds
otherwise. Where that is so only for small numbers or for such as are not a multiple of 8, rows are added that nobody
reads. Tried on the shapes of the model's own layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from reasonrl.engines.local.linear import PackedLinear

_TRIED = (1, 2, 3, 4, 5, 7, 8, 11, 16, 24, 31, 32, 40, 48, 57, 64)
_MULTIPLES = (1, 8, 16, 32)


def row_multiple(products: Sequence[tuple[Callable[[Tensor], Tensor], Tensor]]) -> int | None:
    """Rows come in multiples of this; None if no multiple helps. `products`: each with rows to try it on [64, in]."""
    for multiple in _MULTIPLES:
        if all(_is_steady(product, rows, multiple) for product, rows in products):
            return multiple
    return None


def linear_products(model: Any) -> list[tuple[Callable[[Tensor], Tensor], Tensor]]:
    """One linear layer of each shape."""
    modules: dict[tuple[Any, ...], tuple[Any, int]] = {}
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            inputs = module.weight.shape[0 if isinstance(module, Conv1D) else 1]
            key = (type(module), *module.weight.shape, module.weight.dtype, module.bias is None)
            modules.setdefault(key, (module, inputs))
    return [(module, rows_for(inputs, module.weight)) for module, inputs in modules.values()]


def has_experts(model: Any) -> bool:
    """Whether the weights of several experts stand in one tensor: how many rows each of them gets depends on all."""
    return any(parameter.dim() > 2 for parameter in model.parameters())


def packed_products(products: Sequence[PackedLinear]) -> list[tuple[Callable[[Tensor], Tensor], Tensor]]:
    """One of each shape."""
    shapes = {tuple(product.weight.shape): product for product in products}
    return [(one, rows_for(one.inputs, torch.empty(0, dtype=one.dtype))) for one in shapes.values()]


def rows_for(inputs: int, like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(64, inputs, generator=generator).to(like.device, like.dtype)


def _is_steady(product: Callable[[Tensor], Tensor], rows: Tensor, multiple: int) -> bool:
    with torch.inference_mode():
        all_rows = product(rows)
        for count in _TRIED:
            padded = -(-count // multiple) * multiple
            if padded <= 64 and not torch.equal(product(rows[:padded]), all_rows[:padded]):
                return False
    return True
