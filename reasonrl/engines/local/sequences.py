"""Sequences of tokens with blocks in the cache: prompts, rows of responses, and what episodes keep between turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from reasonrl.engines.local.cache import BlockCache
from reasonrl.models.cache_size import BLOCK
from reasonrl.models.prefix_tree import common_prefix


@dataclass(eq=False)
class Computed:
    """Tokens, some of which have keys and values in the cache."""

    tokens: list[int]
    table: list[int] = field(default_factory=list)
    computed: int = 0
    state: Tensor | None = None
    """[H] what the head gets at the last token, until a token is drawn from it."""


@dataclass(eq=False)
class Prompt(Computed):
    """One prompt and the requests that continue it."""

    waiting: deque[int] = field(default_factory=deque)
    """Requests that have no row yet."""


@dataclass(eq=False)
class Response:
    """What one request has of its own."""

    request: int
    noise: np.ndarray[Any, np.dtype[np.float64]]
    logprobs: list[float] = field(default_factory=list)


@dataclass(eq=False)
class Row(Computed):
    """Responses that are the same so far, computed once; `tokens` begin with their prompt."""

    responses: list[Response] = field(default_factory=list)


class Kept:
    """Sequences of episodes that wait for their next turn, the oldest first."""

    def __init__(self, cache: BlockCache) -> None:
        self._cache = cache
        self._of: dict[Hashable, list[Computed]] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def add(self, episode: Hashable, sequence: Computed) -> None:
        """Takes over the blocks of the sequence. What it continues is not needed any more."""
        before = self._of.pop(episode, [])
        stays = []
        for old in before:
            if old.tokens == sequence.tokens[: len(old.tokens)]:
                self._cache.give_back(old.table)
            else:
                stays.append(old)
        self._of[episode] = [*stays, sequence]

    def longest(self, episode: Hashable, tokens: Sequence[int]) -> tuple[list[int], int]:
        """The blocks that hold the beginning of `tokens`, and how many tokens they hold of it. They stay the episode's
        own.
        """
        best: tuple[list[int], int] = ([], 0)
        for old in self._of.get(episode, ()):
            same = min(common_prefix(old.tokens, tokens), old.computed)
            if same > best[1]:
                best = (old.table[: -(-same // BLOCK)], same)
        return best

    def drop(self, episode: Hashable) -> None:
        for sequence in self._of.pop(episode, ()):
            self._cache.give_back(sequence.table)

    def drop_oldest(self) -> bool:
        """Whether there was one."""
        if not self._of:
            return False
        self.drop(next(iter(self._of)))
        return True
