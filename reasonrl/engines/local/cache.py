"""Keys and values of many sequences in blocks of `BLOCK` tokens, as vLLM's paged attention has them (arXiv 2309.06180).

A sequence has a table: the numbers of its blocks, in order. A full block of a prompt can stand in many tables; the last
block of a sequence, which is being filled, in one: a prompt that begins with the same tokens copies it. Storage is a
table of blocks for each layer, made when the layer is first met, and grows by doubling.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from reasonrl.models.cache_size import BLOCK

_FIRST_BLOCKS = 64


@dataclass
class LayerStore:
    """One layer's blocks."""

    keys: Tensor
    """[blocks, heads, key size, BLOCK]"""
    values: Tensor
    """[blocks, heads, BLOCK, value size]"""


class CacheFull(Exception):
    """No block is free, and the limit allows no more."""


@dataclass
class BlockCache:
    """Which blocks are free, and what the others hold."""

    most_bytes: float = math.inf
    block_bytes: int = 0
    """What a block takes in all layers; 0: not known before the first pass."""
    expected: int = 0
    """So many blocks are made at once when the first is taken: memory that nobody has written to costs nothing yet, and
    to grow copies what there is.
    """
    layers: dict[int, LayerStore] = field(default_factory=dict)
    capacity: int = 0
    _scratch: int | None = None
    _free: list[int] = field(default_factory=list)
    _users: Counter[int] = field(default_factory=Counter)
    _known: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    """Full blocks of prompts by what they hold: the block before, -1 for the first, and their tokens."""
    _contents: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    """What blocks of prompts hold, full or not."""
    _after: dict[int, dict[int, tuple[int, ...]]] = field(default_factory=dict)
    """The same by the block before: its successors and their tokens, the oldest first."""

    @property
    def scratch(self) -> int:
        """A block for tokens that nobody reads."""
        if self._scratch is None:
            self._scratch = self.take()
        return self._scratch

    @property
    def blocks_in_use(self) -> int:
        return self.capacity - len(self._free)

    def take(self) -> int:
        """A block for one user. Raises CacheFull."""
        if not self._free:
            self._grow()
        block = self._free.pop()
        self._users[block] = 1
        return block

    def share(self, blocks: Sequence[int]) -> None:
        """One user more for each."""
        for block in blocks:
            self._users[block] += 1

    def users(self, block: int) -> int:
        return self._users[block]

    def give_back(self, blocks: Sequence[int]) -> None:
        """One user less for each; without users a block is free and known no more."""
        for block in blocks:
            self._users[block] -= 1
            if not self._users[block]:
                del self._users[block]
                self._free.append(block)
                self._forget(block)

    def _forget(self, block: int) -> None:
        contents = self._contents.pop(block, None)
        if contents is None:
            return
        if self._known.get(contents) == block:
            del self._known[contents]
        successors = self._after[contents[0]]
        del successors[block]
        if not successors:
            del self._after[contents[0]]

    def known_prefix(self, tokens: Sequence[int]) -> list[int]:
        """The full blocks that hold the beginning of `tokens` already, each with one user more."""
        table: list[int] = []
        for start in range(0, len(tokens) - BLOCK + 1, BLOCK):
            block = self._known.get((table[-1] if table else -1, tuple(tokens[start : start + BLOCK])))
            if block is None:
                break
            table.append(block)
        self.share(table)
        return table

    def make_known(self, table: Sequence[int], tokens: Sequence[int], place: int) -> bool:
        """Block `place` of a table holds the last of these tokens, or will after the pass that comes next; a full block
        once. Whether that is new.
        """
        block = table[place]
        contents = (table[place - 1] if place else -1, tuple(tokens[place * BLOCK : (place + 1) * BLOCK]))
        if self._contents.get(block) == contents or contents in self._known:
            return False
        self._forget(block)
        self._contents[block] = contents
        self._after.setdefault(contents[0], {})[block] = contents[1]
        if len(contents[1]) == BLOCK:
            self._known[contents] = block
        return True

    def successors(self, block: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Blocks of prompts that come after this one (-1: that come first) and their tokens, the newest first."""
        return reversed(self._after.get(block, {}).items())

    def copy(self, sources: Mapping[int, int]) -> None:
        """The contents of blocks {to: from} in all layers, all of them as they are now."""
        if not sources:
            return
        for store in self.layers.values():
            target = torch.tensor(list(sources), device=store.keys.device)
            source = torch.tensor(list(sources.values()), device=store.keys.device)
            store.keys[target] = store.keys[source]
            store.values[target] = store.values[source]

    def store(self, layer: int, key: Tensor, value: Tensor) -> LayerStore:
        """The blocks of a layer whose new keys and values are [1, heads, tokens, size]."""
        store = self.layers.get(layer)
        if store is None:
            _, heads, _, size = key.shape
            store = self.layers[layer] = LayerStore(
                key.new_empty(self.capacity, heads, size, BLOCK),
                value.new_empty(self.capacity, heads, BLOCK, value.shape[-1]),
            )
        return store

    @property
    def most_blocks(self) -> float:
        """How many there may be. No limit where it is not known what one takes."""
        block_bytes = self.block_bytes or sum(
            store.keys[0].nbytes + store.values[0].nbytes for store in self.layers.values()
        )
        return self.most_bytes // block_bytes if block_bytes and self.most_bytes < math.inf else math.inf

    @property
    def room(self) -> float:
        """How many blocks can still be taken."""
        return max(self.capacity, self.most_blocks) - self.blocks_in_use

    def _grow(self) -> None:
        wanted = max(_FIRST_BLOCKS, self.capacity // 2, self.expected - self.capacity)
        more = int(min(wanted, self.most_blocks - self.capacity))
        if more <= 0:
            raise CacheFull
        for store in self.layers.values():
            store.keys, store.values = (_longer(blocks, more) for blocks in (store.keys, store.values))
        self._free.extend(range(self.capacity + more - 1, self.capacity - 1, -1))
        self.capacity += more

    def clear(self) -> None:
        """Forget all, and give the memory back."""
        self.layers.clear()
        self.capacity = 0
        self._scratch = None
        self._free.clear()
        self._users.clear()
        self._known.clear()
        self._contents.clear()
        self._after.clear()


def _longer(blocks: Tensor, more: int) -> Tensor:
    grown = blocks.new_empty(len(blocks) + more, *blocks.shape[1:])
    grown[: len(blocks)] = blocks
    return grown
