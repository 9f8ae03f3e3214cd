"""The attention kernel reads several heads together where there are many single tokens, and gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reasonrl.engines.local.kernel import HeadShape, Job, kernel_for
from reasonrl.models.cache_size import BLOCK

SIZE, ROWS, BLOCKS = 16, 16, 3


@pytest.mark.parametrize("heads", [1, 2, 3, 4, 5, 8])
def test_many_single_tokens_get_what_each_gets_alone(heads: int) -> None:
    kernel = kernel_for(HeadShape(SIZE, SIZE, 3, torch.float32))
    if kernel is None:
        pytest.skip("no C compiler")
    made = torch.Generator().manual_seed(heads)
    query = torch.randn(ROWS, heads * 3, SIZE, generator=made)
    key, value = (torch.randn(ROWS, heads, SIZE, generator=made) for _ in range(2))
    keys = torch.randn(ROWS * BLOCKS, heads, SIZE, BLOCK, generator=made)
    values = torch.randn(ROWS * BLOCKS, heads, BLOCK, SIZE, generator=made)

    def attended(rows: slice) -> torch.Tensor:
        count = rows.stop - rows.start
        table = np.arange(ROWS * BLOCKS, dtype=np.int32).reshape(ROWS, BLOCKS)[rows].copy()
        position = np.arange(60, 60 + ROWS, dtype=np.int32)[rows].copy()
        sequence, runs = np.arange(count, dtype=np.int32), np.arange(count + 1, dtype=np.int32)
        out = torch.empty(count, heads * 3, SIZE)
        new = [part[rows].contiguous() for part in (query, key, value)]
        kernel(
            Job(
                *(part.data_ptr() for part in (*new, keys, values, out)),
                *(part.ctypes.data for part in (table, sequence, position, runs, np.zeros((0, 4), np.int32))),
                *(stride for part in new for stride in (part.stride(0), part.stride(1))),
                *(count, count, 0, BLOCKS, heads, 0, 0.25, 0.0, 2),
            )
        )
        return out

    alone = torch.cat([attended(slice(row, row + 1)) for row in range(ROWS)])
    assert torch.equal(attended(slice(0, ROWS)), alone)
