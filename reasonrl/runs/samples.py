"""An index of samples.jsonl: filters and pages without holding the file in memory, and follows it while a trainer
appends.

Only the fields that filters need are kept, with the byte offset of each row; a row's text is read from the file when it
is shown. A resumed trainer drops rows and writes them again, so the index checks that the last row it knows is still
there and else starts over.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reasonrl.errors import UsageError
from reasonrl.runs.sample_fields import sample_mistake

OUTCOMES = ("correct", "wrong", "unparsed", "timeout", "error", "none")
"""How an answer came out. `wrong` was read and is not right, `unparsed` could not be read (and counts as wrong),
`timeout` and `error` were not judged, `none` has no verdict (a supervised row).
"""
_MAIN_PARTS = ("correctness", "correct", "accuracy", "answer")


def main_verdict(row: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The reward part that says whether the answer is right, and its verdict: a part named like correctness, else the
    first part.
    """
    verdicts = row.get("verdicts") or {}
    for part in _MAIN_PARTS:
        if part in verdicts:
            return part, verdicts[part]
    return next(iter(verdicts.items()), None)


def outcome(row: dict[str, Any]) -> str:
    """One of `OUTCOMES`."""
    main = main_verdict(row)
    if main is None:
        return "none"
    status, correct = main[1].get("status"), main[1].get("correct")
    if status in ("unparsed", "timeout", "error"):
        return str(status)
    if correct is None:
        return "none"
    return "correct" if correct else "wrong"


def is_correct(row: dict[str, Any]) -> bool | None:
    """Whether the answer is right; None where it could not be judged or has no verdict."""
    main = main_verdict(row)
    correct = None if main is None else main[1].get("correct")
    return None if correct is None else bool(correct)


class SampleKey(NamedTuple):
    """What the index keeps of one row."""

    offset: int
    kind: str
    step: int
    set: str | None
    mode: str
    problem_id: str
    outcome: str
    correct: bool | None
    """Of the main verdict; None for an answer that could not be judged."""
    detail: Any = None
    """What the `detail` of the index keeps of the row besides."""

    @property
    def group(self) -> tuple[str, int, str | None, str, str]:
        return self.kind, self.step, self.set, self.mode, self.problem_id


@dataclass(frozen=True, slots=True)
class SampleFilter:
    """Which rows are wanted; None means any. `text` is looked for in prompt, response, all turns, verdict
    reasons and critiques, without regard to case.
    """

    kind: str | None = None
    step: int | None = None
    set: str | None = None
    mode: str | None = None
    problem_id: str | None = None
    outcomes: frozenset[str] | None = None
    text: str | None = None

    def takes(self, key: SampleKey) -> bool:
        wanted = (self.kind, self.step, self.set, self.mode, self.problem_id)
        present = (key.kind, key.step, key.set, key.mode, key.problem_id)
        return all(want is None or want == have for want, have in zip(wanted, present, strict=True)) and (
            self.outcomes is None or key.outcome in self.outcomes
        )


class SampleIndex:
    """The rows of one samples.jsonl. Safe to use from several threads. A file that does not exist (yet) has no rows.

    Args:
        detail: what to keep of each row besides the fields of a key.
    """

    def __init__(self, path: Path, detail: Callable[[dict[str, Any]], Any] | None = None) -> None:
        self.path = path
        self._detail = detail
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._keys: list[SampleKey] = []
        self._end = 0
        self._last = (0, b"")  # offset and digest of the last row

    def scan(self) -> list[SampleKey]:
        """All rows now in the file, in its order; reads only what is new. A torn last line waits until it is whole.

        Raises:
            UsageError: a line is not a JSON object with the fields of a sample (`sample_mistake`).
        """
        with self._lock:
            if not self.path.exists():
                self._forget()
                return []
            with self.path.open("rb") as file:
                if not self._last_row_is_unchanged(file):
                    self._forget()
                file.seek(self._end)
                for line in file:
                    if is_torn(line):
                        break
                    self._add(line)
            return list(self._keys)

    @property
    def version(self) -> Hashable:
        """Other rows, another version: as of the last scan."""
        return len(self._keys), self._last

    def rows(self, wanted: SampleFilter | None = None) -> Iterator[dict[str, Any]]:
        """The rows that pass the filter, read one at a time."""
        wanted = wanted or SampleFilter()
        return self.read([key for key in self.scan() if wanted.takes(key)], wanted.text)

    def read(self, keys: list[SampleKey], text: str | None = None) -> Iterator[dict[str, Any]]:
        """The rows of these keys, in their order; with `text`, only those that hold it."""
        needle = text.casefold() if text else None
        if not keys:
            return
        with self.path.open("rb") as file:
            for key in keys:
                file.seek(key.offset)
                try:
                    row = json.loads(file.readline(), parse_constant=_no_number)
                except ValueError as error:
                    raise UsageError(f"{self.path} was changed while it was read. Read it again") from error
                if needle is None or needle in _searchable(row):
                    yield row

    def groups(self, wanted: SampleFilter) -> list[list[SampleKey]]:
        """The rows that pass the filter, gathered by (kind, step, set, mode, problem), in order of first appearance."""
        keys = [key for key in self.scan() if wanted.takes(key)]
        if wanted.text:
            needle = wanted.text.casefold()
            keys = [key for key, row in zip(keys, self.read(keys), strict=True) if needle in _searchable(row)]
        groups: dict[tuple[str, int, str | None, str, str], list[SampleKey]] = {}
        for key in keys:
            groups.setdefault(key.group, []).append(key)
        return list(groups.values())

    def _add(self, line: bytes) -> None:
        offset, end = self._end, self._end + len(line)
        if not line.strip():
            self._end = end
            return
        try:
            row = json.loads(line, parse_constant=_no_number)
            mistake = sample_mistake(row)
        except (ValueError, RecursionError) as error:
            row, mistake = None, f"it is not a JSON object of a sample ({error})"
        if mistake:
            raise UsageError(
                f"{self.path}, row {self.row_number(offset)}: {mistake}. The file is damaged: remove that line to read"
                " the rest."
            )
        key = SampleKey(
            offset,
            row["kind"],
            row["step"],
            row.get("set"),
            row.get("mode") or row["kind"],
            row["problem_id"],
            outcome(row),
            is_correct(row),
            None if self._detail is None else self._detail(row),
        )
        self._keys.append(key)
        self._end = end
        self._last = (offset, hashlib.blake2b(line).digest())

    def row_number(self, offset: int) -> int:
        """The number of the row at this offset, from 1."""
        with self.path.open("rb") as file:
            return file.read(offset).count(b"\n") + 1

    def _last_row_is_unchanged(self, file: Any) -> bool:
        offset, digest = self._last
        file.seek(offset)
        return not digest or hashlib.blake2b(file.readline()).digest() == digest


def _no_number(name: str) -> None:
    """NaN and infinity, which older versions wrote, are what newer ones write as null."""


def is_torn(line: bytes) -> bool:
    """Whether a line of a file of rows is the beginning of one that a kill cut off: no line end, and not JSON (no true
    prefix of an object is).
    """
    if line.endswith(b"\n") or not line.startswith(b"{"):
        return False
    try:
        json.loads(line)
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    except (ValueError, RecursionError):
        return True
    return False


def torn_row(path: Path) -> int | None:
    """The number of the last row of a file, from 1, where it is torn."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        last = deque(enumerate(file, 1), maxlen=1)
    return next((number for number, line in last if is_torn(line)), None)


def refuse_torn(path: Path) -> None:
    """Call this before numbers are computed from whole groups of rows. Raises UsageError for a file whose last row is
    torn.
    """
    if (row := torn_row(path)) is not None:
        raise UsageError(
            f"{path}, row {row}: it is cut off, so rows of its step are missing. If the run still goes on, wait for it;"
            " else resume it, or remove that line to read the rest"
        )


def _searchable(row: dict[str, Any]) -> str:
    reasons = [str(verdict.get("reason") or "") for verdict in (row.get("verdicts") or {}).values()]
    turns = [str(turn.get("text", "")) for turn in row.get("turns") or []]
    texts = [str(row.get(name, "")) for name in ("problem_id", "prompt", "response")]
    critiques = [str(review.get("text") or "") for review in (row.get("reviews") or {}).values()]
    return "\n".join([*texts, *turns, *reasons, *critiques]).casefold()
