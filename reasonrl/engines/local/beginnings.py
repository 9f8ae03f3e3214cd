"""What prompts have in common is computed once. A prompt begins with blocks that others have filled, and with a copy of
the block in which it parts from them, so it computes the tokens from there on.

A block is copied before a pass. Where this pass itself computes tokens of it, the kernel copies them as soon as their
keys and values are stored, so that prompts which begin together wait for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from reasonrl.engines.local.cache import BlockCache, CacheFull
from reasonrl.engines.local.sequences import Prompt
from reasonrl.models.cache_size import BLOCK
from reasonrl.models.prefix_tree import common_prefix

_SUCCESSORS = 64
"""So many beginnings a prompt is compared with at most. Neighbours of a batch come last and share most."""


class _Slots(NamedTuple):
    """Places of a block that are copied into another in a pass."""

    source: int
    first: int
    end: int


class Beginnings:
    """Of the prompts of a cache. Between `new_pass` and `copies_of_pass` a pass is planned: older prompts first, and
    none that has been added is closed for a younger one.
    """

    def __init__(self, cache: BlockCache) -> None:
        self._cache = cache
        self._copies: dict[int, int] = {}
        """Whole blocks that wait to be copied: to and from."""
        self._coming: dict[int, list[_Slots]] = {}
        """Blocks of which the pass computes tokens, and what it copies into them."""

    def copy_later(self, source: int, target: int) -> None:
        self._copies[target] = source

    def copy(self) -> None:
        """All at once and before anything is computed: a block that was given back since still holds what it held."""
        self._cache.copy(self._copies)
        self._copies.clear()

    def new_pass(self) -> None:
        self._coming.clear()

    def take_over(self, prompt: Prompt) -> None:
        """What others have computed of it since, or compute in this pass: full blocks, and the beginning of one. The
        last token is computed anyway, for what follows it.
        """
        tokens = prompt.tokens[:-1]
        known = self._cache.known_prefix(tokens)
        source, same = self._longest_successor(known[-1] if known else -1, tokens[len(known) * BLOCK :])
        computed = len(known) * BLOCK + same
        if computed <= prompt.computed:
            self._cache.give_back(known)
            return
        if same:
            try:
                known.append(self._cache.take())
            except CacheFull:
                self._cache.give_back(known)
                return
            self._copy_slots(source, known[-1], same)
        self._cache.give_back(prompt.table)
        prompt.table, prompt.computed = known, computed

    def add(self, prompt: Prompt, start: int, end: int) -> None:
        """The pass computes these tokens of it."""
        for place in range(start // BLOCK, -(-end // BLOCK)):
            if self._cache.make_known(prompt.table, prompt.tokens[:end], place):
                self._coming.setdefault(prompt.table[place], [])

    def copies_of_pass(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """As `Pass` has them."""
        copies = [(one.source, target, one.first, one.end) for target, some in self._coming.items() for one in some]
        return np.array(copies, np.int32).reshape(-1, 4)

    def _longest_successor(self, block: int, tokens: Sequence[int]) -> tuple[int, int]:
        """The block after this one that holds most of `tokens`, and how many."""
        best = (block, 0)
        for other, held in islice(self._cache.successors(block), _SUCCESSORS):
            same = common_prefix(held, tokens)
            if same > best[1]:
                best = (other, same)
        return best

    def _copy_slots(self, source: int, target: int, count: int) -> None:
        """The first `count` tokens of a block: before the pass, or in it where the pass computes some of them. What is
        itself copied in this pass comes from where that comes from, so the order of the copies does not matter.
        """
        if source not in self._coming:
            self.copy_later(source, target)
            return
        slots = [
            _Slots(one.source, one.first, min(one.end, count)) for one in self._coming[source] if one.first < count
        ]
        start = max((one.end for one in slots), default=0)
        if start < count:
            slots.append(_Slots(source, start, count))
        self._coming[target] = slots
