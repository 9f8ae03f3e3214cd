"""Which rows run when: what prompts have in common is computed once, a row that ends makes room at once for the
next that waits, and an episode's next turn begins where its last one ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.local.attention import Pass
from reasonrl.engines.local.beginnings import Beginnings
from reasonrl.engines.local.cache import BlockCache, CacheFull
from reasonrl.engines.local.sequences import Computed, Kept, Prompt, Response, Row
from reasonrl.engines.sampling import row_noise
from reasonrl.models.cache_size import BLOCK

PASS_TOKENS = 1024
"""Tokens of prompts that go through the model in one pass, beside those that were drawn last."""

Drawn = tuple[Response, int, bool]
"""A response, its next token, and whether it ends with it."""


Part = tuple[Computed, int, int]
"""Tokens of a sequence that are computed next: from, to."""


@dataclass(frozen=True)
class Planned:
    """A pass and its tokens, and by place whose state is computed there."""

    step: Pass
    tokens: list[int]
    ends: dict[int, Computed]


class Rows:
    """All rows that are decoded together, `most` at a time. Requests may come and go between two passes."""

    def __init__(self, cache: BlockCache, episodes: Kept, most: int) -> None:
        self._cache = cache
        self._kept = episodes
        self._most = most
        assert cache.scratch >= 0  # taken while there is room
        self.requests: dict[int, Request] = {}
        """By number: those that have not ended."""
        self._prompts: dict[tuple[int, ...], Prompt] = {}
        """Those that further requests may join, by their tokens."""
        self._unopened: deque[Prompt] = deque()
        self._open: list[Prompt] = []
        self._paused: deque[Row] = deque()
        self._beginnings = Beginnings(cache)
        self._gone: set[int] = set()
        """By identity: rows and prompts that lost their blocks while a pass was planned."""
        self.live: list[Row] = []

    @property
    def count(self) -> int:
        """Responses that are being drawn."""
        return sum(len(row.responses) for row in self.live)

    @property
    def is_done(self) -> bool:
        return not (self.live or self._open or self._paused or self._unopened)

    @property
    def waiting(self) -> set[int]:
        """Requests of which nothing has been computed: there was no room for their prompts yet."""
        return {number for prompt in self._unopened for number in prompt.waiting}

    def add(self, number: int, request: Request) -> None:
        """A request that waits for its row. Give those of a batch in the order of their tokens: prompts of the same
        beginning then follow each other.
        """
        self.requests[number] = request
        tokens = tuple(request.token_ids)
        prompt = self._prompts.get(tokens)
        # One that is open is joined only if nobody else waits: else a popular prompt would never let others in.
        if prompt is None or (self._unopened and prompt in self._open):
            prompt = self._prompts[tokens] = Prompt(list(tokens))
            self._unopened.append(prompt)
        prompt.waiting.append(number)

    def cancel(self, number: int) -> None:
        """The request is not wanted any more. Nothing happens for one that has ended."""
        request = self.requests.pop(number, None)
        if request is None:
            return
        for rows in (self.live, self._paused):
            for row in rows:
                left = [response for response in row.responses if response.request != number]
                if len(left) < len(row.responses):
                    row.responses = left
                    if not left:
                        self._cache.give_back(row.table)
                        rows.remove(row)
                    return
        for prompts in (self._open, self._unopened):
            for prompt in prompts:
                if number in prompt.waiting:
                    prompt.waiting.remove(number)
                    if not prompt.waiting:
                        self._cache.give_back(prompt.table)
                        prompts.remove(prompt)
                        self._let_nobody_join(prompt)
                    return

    def end_episode(self, episode: Hashable) -> None:
        """What it still asks for is kept for nobody."""
        for number, request in self.requests.items():
            if request.episode == episode:
                self.requests[number] = replace(request, episode=None)

    def _let_nobody_join(self, prompt: Prompt) -> None:
        if self._prompts.get(tuple(prompt.tokens)) is prompt:
            del self._prompts[tuple(prompt.tokens)]

    # ---------------------------------------------------------------- who begins

    def admit(self) -> None:
        """Continues paused rows, starts rows of computed prompts, and opens prompts for those that will find room."""
        while self._paused and (not self.live or self._finds_room(self._blocks_of(self._paused[0]) + self.count)):
            self.live.append(self._paused.popleft())
        for prompt in list(self._open):
            while prompt in self._open and prompt.state is not None and self._may_start():
                self._start(prompt)
        expected = self.count + sum(len(prompt.waiting) for prompt in self._open)
        while self._unopened and expected < self._most and not self._paused and self._may_open(self._unopened[0]):
            prompt = self._unopened.popleft()
            self._find_beginning(prompt)
            self._open.append(prompt)
            expected += len(prompt.waiting)
        self._beginnings.copy()

    def _may_start(self) -> bool:
        return self.count < self._most and not self._paused and (not self.live or self._finds_room(self.count))

    def _may_open(self, prompt: Prompt) -> bool:
        """Whether its blocks will be there beside those that open prompts and live rows are about to take."""
        if not self.live and not self._open:
            return True
        promised = sum(self._blocks_of(other) - len(other.table) for other in self._open)
        blocks = promised + self._blocks_of(prompt) + self.count
        if self._cache.room > blocks:
            return True
        episode = self.requests[prompt.waiting[0]].episode
        shared = 0 if episode is None else self._kept.longest(episode, prompt.tokens[:-1])[1] // BLOCK
        return self._finds_room(blocks - shared, episode)

    def _finds_room(self, blocks: int, but: Hashable = None) -> bool:
        """Whether more than so many blocks can be taken; for that, what other episodes than `but` keep is forgotten,
        the oldest first. It is not where that would not be enough.
        """
        if self._cache.room > blocks:
            return True
        if self._cache.room + self._kept.blocks_of_others(but) <= blocks:
            return False
        while self._cache.room <= blocks and self._kept.drop_oldest(but):
            pass
        return self._cache.room > blocks

    def _find_beginning(self, prompt: Prompt) -> None:
        """What of it is in the cache. The last token is computed anyway, for what follows it."""
        known = self._cache.known_prefix(prompt.tokens[:-1])
        prompt.table, prompt.computed = known, len(known) * BLOCK
        episode = self.requests[prompt.waiting[0]].episode
        table, same = self._kept.longest(episode, prompt.tokens[:-1]) if episode is not None else ([], 0)
        if same > prompt.computed:
            self._cache.give_back(known)
            prompt.table, prompt.computed = self._beginning_of(table, same), same

    def _beginning_of(self, table: Sequence[int], tokens: int, of_prompt: Prompt | None = None) -> list[int]:
        """Full blocks are shared; one that is not full is copied, since it will be filled further. Raises CacheFull."""
        full = tokens // BLOCK
        beginning = list(table[:full])
        self._cache.share(beginning)
        if tokens % BLOCK:
            try:
                beginning.append(self._take(of_prompt))
            except CacheFull:
                self._cache.give_back(beginning)
                raise
            self._beginnings.copy_later(table[full], beginning[full])
        return beginning

    def _take(self, for_prompt: Prompt | None) -> int:
        """A block for a row that is about to begin. Raises CacheFull if no other prompt can make room."""
        while True:
            try:
                return self._cache.take()
            except CacheFull:
                self._beginnings.copy()
                others = [prompt for prompt in self._open if prompt is not for_prompt and prompt.table]
                if self._kept.drop_oldest():
                    continue
                if not others:
                    raise
                self._close(others[-1])

    def _start(self, prompt: Prompt) -> None:
        most = min(self._most, max(self._cache.room, self.count + 1)) - self.count
        numbers = [prompt.waiting.popleft() for _ in range(int(min(len(prompt.waiting), most)))]
        state = prompt.state
        responses = [Response(number, self._noise_of(self.requests[number])) for number in numbers]
        try:
            table = self._beginning_of(prompt.table, len(prompt.tokens), prompt) if prompt.waiting else None
        except CacheFull:
            table = None
        if table is None:  # the last one takes the prompt's own blocks over, and so does one that finds no other
            table, prompt.table = prompt.table, []
            if prompt.waiting:
                self._close(prompt)
            else:
                self._open.remove(prompt)
                self._let_nobody_join(prompt)
        self.live.append(Row(list(prompt.tokens), table, len(prompt.tokens), state, responses))

    def _noise_of(self, request: Request) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.asarray(row_noise([request.seed], request.sampling.max_new_tokens)[0])

    def _close(self, prompt: Prompt) -> None:
        """Takes its blocks. It is opened and computed again when there is room."""
        self._cache.give_back(prompt.table)
        prompt.table, prompt.computed, prompt.state = [], 0, None
        self._open.remove(prompt)
        self._unopened.appendleft(prompt)
        self._gone.add(id(prompt))

    def _blocks_of(self, one: Computed) -> int:
        return -(-len(one.tokens) // BLOCK)

    # ---------------------------------------------------------------- what is computed next

    def plan(self, multiple: int) -> Planned | None:
        """The next pass; None if there is nothing to compute."""
        parts: list[Part] = []
        room = PASS_TOKENS
        self._gone.clear()
        self._beginnings.new_pass()
        for one in self._pending():
            if id(one) in self._gone:
                continue
            if room <= 0 and len(one.tokens) - one.computed > 1:
                continue
            if isinstance(one, Prompt):
                self._beginnings.take_over(one)
            start, end = one.computed, min(len(one.tokens), one.computed + max(1, room))
            if not self._make_room(one, end):
                continue
            if isinstance(one, Prompt):
                self._beginnings.add(one, start, end)
            room -= end - start if end - start > 1 else 0
            one.computed = end
            parts.append((one, start, end))
        parts = [part for part in parts if id(part[0]) not in self._gone]
        self._beginnings.copy()
        return self._pass_of(parts, multiple) if parts else None

    def _pending(self) -> list[Computed]:
        return [
            *(row for row in self.live if row.state is None),
            *(prompt for prompt in self._open if prompt.state is None),
        ]

    def _make_room(self, one: Computed, tokens: int) -> bool:
        """Blocks for so many tokens of it. Where the cache is full, kept episodes are forgotten, oldest first; then the
        youngest prompts are closed and the youngest rows paused, to be computed again later. False: it waits itself.
        Raises CacheFull if nothing else has blocks.
        """
        while len(one.table) * BLOCK < tokens:
            try:
                one.table.append(self._cache.take())
            except CacheFull:
                if self._kept.drop_oldest() or self._close_youngest(one):
                    continue
                if not any(other.table for other in (*self.live, *self._open) if other is not one):
                    raise
                if isinstance(one, Prompt):
                    return False
                youngest = self.live[-1]
                self._pause(youngest)
                if youngest is one:
                    return False
        return True

    def _close_youngest(self, asking: Computed) -> bool:
        """Closes the youngest prompt that has blocks. One that asks itself closes no older one: those are part of the
        pass already, and others may count on their blocks.
        """
        for prompt in reversed(self._open):
            if prompt is asking:
                return False
            if prompt.table:
                self._close(prompt)
                return True
        return False

    def _pause(self, row: Row) -> None:
        self._cache.give_back(row.table)
        row.table, row.computed, row.state = [], 0, None
        self.live.remove(row)
        self._paused.appendleft(row)
        self._gone.add(id(row))

    def _pass_of(self, parts: Sequence[Part], multiple: int) -> Planned:
        """The tokens are filled up to a multiple."""
        tokens: list[int] = []
        places: list[int] = []
        sequence: list[int] = []
        tables: list[list[int]] = []
        ends: dict[int, Computed] = {}
        for one, start, end in parts:
            tokens += one.tokens[start:end]
            places += range(start, end)
            sequence += [len(tables)] * (end - start)
            tables.append(one.table)
            if end == len(one.tokens):
                ends[len(tokens) - 1] = one
        if more := -len(tokens) % multiple:
            sequence += [len(tables)] * more
            tables.append([self._cache.scratch])
            tokens += [0] * more
            places += [0] * more
        width = max(map(len, tables))
        table = np.zeros((len(tables), width), np.int32)
        for i, blocks in enumerate(tables):
            table[i, : len(blocks)] = blocks
        copies = self._beginnings.copies_of_pass()
        step = Pass(self._cache, table, np.array(sequence, np.int32), np.array(places, np.int32), copies)
        return Planned(step, tokens, ends)

    # ---------------------------------------------------------------- who goes on, and who ends

    def advance(self, drawn: Sequence[tuple[Row, Sequence[Drawn]]]) -> None:
        """What was drawn for the responses of each row. Those that drew the same stay together; ended ones of episodes
        stay for the next turn.
        """
        went_on = {id(row): self._branches(row, some) for row, some in drawn}
        self.live = [branch for row in self.live for branch in went_on.get(id(row), [row])]
        self._beginnings.copy()

    def _branches(self, row: Row, drawn: Sequence[Drawn]) -> list[Row]:
        """The rows that continue this one. The first that wants its blocks takes them over."""
        by_token: dict[int, list[Response]] = {}
        for_episodes: list[tuple[Hashable, int]] = []
        for response, token, ends in drawn:
            if not ends:
                by_token.setdefault(token, []).append(response)
            elif (episode := self.requests.pop(response.request).episode) is not None:
                for_episodes.append((episode, token))
        tables = self._tables_of(row, len(by_token) + len(for_episodes))
        branches = []
        for (token, responses), table in zip(by_token.items(), tables, strict=False):
            branch = Row([*row.tokens, token], table or [], row.computed if table else 0, None, responses)
            if table is None:
                self._paused.append(branch)
            else:
                branches.append(branch)
        for (episode, token), table in zip(for_episodes, tables[len(by_token) :], strict=True):
            if table is not None:
                self._kept.add(episode, Computed([*row.tokens, token], table, row.computed))
        return branches

    def _tables_of(self, row: Row, count: int) -> list[list[int] | None]:
        """The row's blocks for so many; None for one that finds no room."""
        if not count:
            self._cache.give_back(row.table)
            return []
        tables: list[list[int] | None] = [row.table]
        for _ in range(count - 1):
            try:
                tables.append(self._beginning_of(row.table, row.computed))
            except CacheFull:
                tables.append(None)
        return tables

    def give_back(self) -> None:
        """After an error: all blocks."""
        for one in (*self.live, *self._open):
            self._cache.give_back(one.table)
        self.live, self._open = [], []
        self._paused.clear()
        self._unopened.clear()
        self._prompts.clear()
        self.requests.clear()


def alike(
    pairs: Iterable[tuple[Row, Response]], requests: Mapping[int, Request]
) -> list[tuple[Sampling, list[tuple[Row, Response]]]]:
    """Rows and responses by how their tokens are drawn."""
    by_sampling: dict[Sampling, list[tuple[Row, Response]]] = {}
    for row, response in pairs:
        by_sampling.setdefault(requests[response.request].sampling.for_turn(0), []).append((row, response))
    return list(by_sampling.items())
