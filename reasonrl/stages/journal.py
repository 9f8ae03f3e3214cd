"""What a stage that gathers has generated so far, so that a killed one continues instead of beginning anew.

Each batch of an engine is appended to `generated.jsonl` as it ends: a digest of its requests, and the generations. A
resumed stage asks for the same batches, since requests and seeds do not depend on time, and gets what is recorded. The
answers of served models are not recorded; they are asked for again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from array import array
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reasonrl.engines.base import BatchEngine, Generation, KeepingEngine, Request, Sampling
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.plain import PlainEngine
from reasonrl.runs.folder import append_rows
from reasonrl.setup.roles import Roles

JOURNAL = "generated.jsonl"
LARGE_BATCH = 4096
"""Requests for an engine that schedules them itself."""
_BATCHES = 8
"""So many times `rows_per_batch` requests are written at once for CachedEngine: what a kill may cost."""


class Journal:
    """The file of one stage. `identity` describes what the generations depend on beside their requests: a file of
    another identity is not used.
    """

    def __init__(self, folder: Path, identity: str, *, resume: bool, stop_requested: Callable[[], bool]) -> None:
        self._path = folder / JOURNAL
        self._identity = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        self._stop_requested = stop_requested
        self._batches: dict[str, list[Generation]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if resume:
            self._read()
        if not self._batches:
            self.remove()

    def __len__(self) -> int:
        """Recorded generations."""
        return sum(map(len, self._batches.values()))

    def engine(self, engine: BatchEngine, rows_per_batch: int, role: str = "") -> BatchEngine:
        """The same engine, recorded. `rows_per_batch` is the setting of the recipe."""
        return _RecordedEngine(self, role, engine, rows_per_batch)

    def roles(self, roles: Roles, rows_per_batch: int) -> Roles:
        """The same roles, their engines recorded."""
        engines = {role: self.engine(engine, rows_per_batch, role) for role, engine in roles.engines.items()}
        return replace(roles, engines=engines)

    def generate(self, role: str, engine: BatchEngine, requests: Sequence[Request]) -> list[Generation]:
        """From the file, or from the engine and into the file. Raises KeyboardInterrupt where a stop is requested."""
        key = _key(role, requests)
        generations = self._batches.get(key)
        if generations is None:
            if self._stop_requested():
                raise KeyboardInterrupt
            generations = engine.generate_batch(requests)
            if not self._path.exists():
                append_rows(self._path, [{"identity": self._identity}])
            append_rows(self._path, [{"key": key, "generations": [_packed(generation) for generation in generations]}])
        return generations

    def remove(self) -> None:
        """The stage is complete."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        """Up to the first line that a kill has torn, which is cut off."""
        if not self._path.exists():
            return
        whole = 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file):
                try:
                    row = json.loads(line)
                    if number == 0 and row["identity"] != self._identity:
                        return
                    if number:
                        self._batches[row["key"]] = [_unpacked(packed) for packed in row["generations"]]
                except (ValueError, KeyError, TypeError):
                    break
                whole += len(line)
        with self._path.open("r+b") as file:
            file.truncate(whole)


class _RecordedEngine:
    def __init__(self, journal: Journal, role: str, engine: BatchEngine, rows_per_batch: int) -> None:
        self._journal, self._role, self._engine, self._rows_per_batch = journal, role, engine, rows_per_batch

    def end_episode(self, episode: Hashable) -> None:
        if isinstance(self._engine, KeepingEngine):
            self._engine.end_episode(episode)

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """In the batches that `PlainEngine` makes of all requests, so that each number is the one without a journal.
        Other engines schedule themselves; they get batches large enough for that, in order.
        """
        if not isinstance(self._engine, PlainEngine):
            size = _BATCHES * self._rows_per_batch if isinstance(self._engine, CachedEngine) else LARGE_BATCH
            batches = [requests[start : start + size] for start in range(0, len(requests), size)]
            return [each for batch in batches for each in self._journal.generate(self._role, self._engine, batch)]
        by_sampling: dict[Sampling, list[int]] = {}
        for i, request in enumerate(requests):
            by_sampling.setdefault(request.sampling.for_turn(0), []).append(i)
        results: dict[int, Generation] = {}
        for members in by_sampling.values():
            members.sort(key=lambda i: (len(requests[i].token_ids), requests[i].token_ids, i))
            for start in range(0, len(members), self._rows_per_batch):
                batch = members[start : start + self._rows_per_batch]
                generations = self._journal.generate(self._role, self._engine, [requests[i] for i in batch])
                results.update(zip(batch, generations, strict=True))
        return [results[i] for i in range(len(requests))]


def _key(role: str, requests: Sequence[Request]) -> str:
    text = repr([(tuple(request.token_ids), request.sampling, request.seed) for request in requests])
    return hashlib.sha256(f"{role}\n{text}".encode()).hexdigest()


def _packed(generation: Generation) -> list[Any]:
    tokens, logprobs = array("i", generation.token_ids), array("d", generation.logprobs)
    return [*(base64.b64encode(numbers.tobytes()).decode() for numbers in (tokens, logprobs)), generation.finish_reason]


def _unpacked(packed: Sequence[Any]) -> Generation:
    tokens, logprobs = array("i"), array("d")
    tokens.frombytes(base64.b64decode(packed[0]))
    logprobs.frombytes(base64.b64decode(packed[1]))
    return Generation(tokens.tolist(), logprobs.tolist(), packed[2])
