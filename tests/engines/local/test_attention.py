"""The compiled attention against one of torch, and what happens where it cannot be compiled."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.local import kernel
from reasonrl.engines.local.attention import Pass, Way, _attend, computing
from reasonrl.engines.local.cache import BlockCache
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.kernel import HeadShape, kernel_for, load_kernel
from reasonrl.models import tiny
from reasonrl.models.cache_size import BLOCK
from reasonrl.models.compiled import NoKernel
from reasonrl.models.loading import load_model

SHAPES = [(64, 64, 3, 2), (16, 16, 1, 4), (80, 80, 4, 1), (24, 16, 2, 3), (8, 8, 8, 2)]
"""Key size, value size, query heads a key head, key heads."""


def has_kernel(dtype: torch.dtype = torch.float32) -> bool:
    return kernel_for(HeadShape(64, 64, 3, dtype)) is not None


needs_kernel = pytest.mark.skipif(not has_kernel(), reason="no C compiler")


class Sequences:
    """Some sequences that grow, with the same keys and values in two caches."""

    def __init__(self, shape: tuple[int, int, int, int], dtype: torch.dtype, seed: int) -> None:
        self.key_size, self.value_size, self.queries, self.heads = shape
        self.dtype = dtype
        self.source = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.lengths = [0] * self.source.randint(1, 4)
        self.tables: list[list[int]] = [[] for _ in self.lengths]
        self.caches = BlockCache(), BlockCache(), BlockCache()

    def grow(self) -> tuple[list[int], list[int]]:
        """Sequence and position of each new token."""
        sequence, position = [], []
        for i in range(len(self.lengths)):
            for _ in range(self.source.choice([0, 1, 1, 2, 5, 40])):
                if self.lengths[i] % BLOCK == 0:
                    blocks = {cache.take() for cache in self.caches}
                    assert len(blocks) == 1
                    self.tables[i] += blocks
                sequence.append(i)
                position.append(self.lengths[i])
                self.lengths[i] += 1
        return sequence, position

    def draw(self, heads: int, tokens: int, size: int) -> torch.Tensor:
        return (torch.randn(1, tokens, heads, size, generator=self.generator) * 2).to(self.dtype).transpose(1, 2)

    def table(self) -> Any:
        table = np.zeros((len(self.tables), max(1, *map(len, self.tables))), np.int32)
        for i, blocks in enumerate(self.tables):
            table[i, : len(blocks)] = blocks
        return table


@needs_kernel
@pytest.mark.parametrize("window", [None, 9, 33])
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_all_ways_compute_the_same(
    shape: tuple[int, int, int, int], dtype: torch.dtype, softcap: float | None, window: int | None
) -> None:
    sequences = Sequences(shape, dtype, seed=sum(shape) + int(softcap or 0) + (window or 0))
    module = SimpleNamespace(layer_idx=0)
    for _ in range(6):
        sequence, position = sequences.grow()
        if not sequence:
            continue
        count = len(sequence)
        query = sequences.draw(sequences.heads * sequences.queries, count, sequences.key_size)
        key = sequences.draw(sequences.heads, count, sequences.key_size)
        value = sequences.draw(sequences.heads, count, sequences.value_size)
        results = []
        for cache, way in zip(sequences.caches, get_args(Way), strict=True):
            numbers = (np.array(numbers, np.int32) for numbers in (sequence, position))
            with computing(Pass(cache, sequences.table(), *numbers, way=way)):
                out, _ = _attend(module, query, key, value, None, 0.2, sliding_window=window, softcap=softcap)
            assert out.shape == (1, count, sequences.heads * sequences.queries, sequences.value_size)
            results.append(out.float())
        tolerance = 2e-5 if dtype is torch.float32 else 3e-2
        for result in results[1:]:
            torch.testing.assert_close(results[0], result, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("count", [1, 7, 90])
@pytest.mark.parametrize("way", get_args(Way))
def test_a_pass_copies_what_it_has_just_computed(way: Way, count: int) -> None:
    """Two sequences with the same first tokens: the second takes `shared` of them from the first, in two pieces."""
    shared, more = 21, 3
    sequences = Sequences((16, 16, 2, 2), torch.float32, count)
    module = SimpleNamespace(layer_idx=0)
    whole = [sequences.draw(heads, shared + more, 16) for heads in (4, 2, 2)]
    others = [sequences.draw(heads, count, 16) for heads in (4, 2, 2)]
    outs = []
    for copies, start in (([], 0), ([(0, 1, 0, 5), (0, 1, 5, shared)], shared)):
        cache = BlockCache()
        blocks = [cache.take() for _ in range(2 + -(-count // BLOCK))]
        table = np.zeros((3, len(blocks)), np.int32)
        table[0, 0], table[1, 0], table[2, : len(blocks) - 2] = blocks[0], blocks[1], blocks[2:]
        rows = [(0, range(shared + more)), (1, range(start, shared + more)), (2, range(count))]
        sequence = np.array([number for number, places in rows for _ in places], np.int32)
        position = np.array([place for _, places in rows for place in places], np.int32)
        pairs = [(blocks[source], blocks[target], first, end) for source, target, first, end in copies]
        step = Pass(cache, table, sequence, position, np.array(pairs, np.int32).reshape(-1, 4), way)
        parts = (torch.cat([one, one[:, :, start:], other], 2) for one, other in zip(whole, others, strict=True))
        with computing(step):
            outs.append(_attend(module, *parts, None)[0][0])
    alone, copied = (
        out[start : start + more] for out, start in zip(outs, (2 * shared + more, shared + more), strict=True)
    )
    torch.testing.assert_close(copied, alone, atol=1e-6, rtol=1e-6)


@needs_kernel
@pytest.mark.parametrize("softcap", [None, 5.0])
@pytest.mark.parametrize("way", get_args(Way))
def test_places_that_were_never_written_may_hold_anything(way: Way, softcap: float | None) -> None:
    sequences = Sequences((16, 16, 2, 2), torch.float32, 1)
    (cache, *_), module = sequences.caches, SimpleNamespace(layer_idx=0)
    sequence, position = [0, 0, 0], [0, 1, 2]
    table = np.array([[cache.take()]], np.int32)
    query, key, value = sequences.draw(4, 3, 16), sequences.draw(2, 3, 16), sequences.draw(2, 3, 16)
    outs = []
    for filling in (0.0, float("nan"), float("inf")):
        store = cache.store(0, key, value)
        store.keys.fill_(filling)
        store.values.fill_(filling)
        with computing(Pass(cache, table, np.array(sequence, np.int32), np.array(position, np.int32), way=way)):
            outs.append(_attend(module, query, key, value, None, softcap=softcap)[0])
    assert torch.equal(outs[0], outs[1]) and torch.equal(outs[0], outs[2])
    assert outs[0].isfinite().all()


def answers() -> list[Any]:
    model = load_model(tiny.NAME, device="cpu", seed=3)
    sampling = Sampling(20, ignore_eos=True)
    return CachedEngine(model).generate_batch([Request((3, 4, 5, 6), sampling, i) for i in range(4)])


def test_without_a_compiler_torch_computes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_kernel = answers()
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    kernel_for.cache_clear()
    try:
        shape = HeadShape(64, 64, 3, torch.float32)
        with pytest.raises(NoKernel, match="no C compiler is installed"):
            load_kernel(shape)
        assert kernel_for(shape) is None
        without = answers()
    finally:
        kernel_for.cache_clear()
    for ours, other in zip(without, with_kernel, strict=True):
        assert ours.token_ids == other.token_ids
        assert ours.logprobs == pytest.approx(other.logprobs, abs=1e-5)


@needs_kernel
def test_a_source_that_does_not_compile_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "attention.c"
    broken.write_text("int main( {", encoding="utf-8")
    monkeypatch.setattr(kernel, "_FOLDER", tmp_path)
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(NoKernel, match="failed: "):
        load_kernel(HeadShape(64, 64, 3, torch.float32))
    assert list((tmp_path / "cache" / "kernels").iterdir()) == []


def test_a_type_of_number_that_it_does_not_know() -> None:
    with pytest.raises(NoKernel, match=r"bfloat16 and float32, not with torch.float16"):
        load_kernel(HeadShape(64, 64, 3, torch.float16))
