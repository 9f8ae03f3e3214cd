"""Sequences of tokens with blocks in the cache: prompts, rows of responses, and what episodes keep between turns."""

from __future__ import annotations

import math
from collections import Counter, deque
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
    """Sequences of episodes that wait for their next turn, the oldest first. They take at most `most_bytes`."""

    def __init__(self, cache: BlockCache, most_bytes: float = math.inf) -> None:
        self._cache, self._most_bytes = cache, most_bytes
        self._of: dict[Hashable, list[Computed]] = {}
        self._users: Counter[int] = Counter()
        """How many of the sequences have each block."""

    def __bool__(self) -> bool:
        return bool(self._of)

    def add(self, episode: Hashable, sequence: Computed) -> None:
        """Takes over the blocks of the sequence. What it continues is not needed any more."""
        before = self._of.pop(episode, [])
        stays = []
        for old in before:
            if old.tokens == sequence.tokens[: len(old.tokens)]:
                self._give_back(old)
            else:
                stays.append(old)
        self._of[episode] = [*stays, sequence]
        self._users.update(sequence.table)
        while self._is_too_much and len(self._of) > 1:
            self.drop_oldest()
        while self._is_too_much and len(self._of[episode]) > 1:
            self._give_back(self._of[episode].pop(0))

    @property
    def _is_too_much(self) -> bool:
        return len(self._users) * self._cache.block_bytes > self._most_bytes

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
            self._give_back(sequence)

    def drop_all(self) -> None:
        while self.drop_oldest():
            pass

    def drop_oldest(self, but: Hashable = None) -> bool:
        """Whether there was one, of another episode than `but`."""
        oldest = next((episode for episode in self._of if episode != but), None)
        if oldest is None:
            return False
        self.drop(oldest)
        return True

    def blocks_of_others(self, but: Hashable = None) -> int:
        """How many blocks become free where all episodes but one are forgotten."""
        stays = {block for sequence in self._of.get(but, ()) for block in sequence.table}
        return sum(self._cache.users(block) == count for block, count in self._users.items() if block not in stays)

    def _give_back(self, sequence: Computed) -> None:
        for block in sequence.table:
            self._users[block] -= 1
            if not self._users[block]:
                del self._users[block]
        self._cache.give_back(sequence.table)
