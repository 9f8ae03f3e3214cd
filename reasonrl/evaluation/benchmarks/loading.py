"""The problems of a benchmark, from the hub or from a file of the user's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from reasonrl.data.columns import problems_from_rows
from reasonrl.data.files import READERS, read_rows
from reasonrl.data.hub import hub_rows
from reasonrl.data.mistakes import Mistakes
from reasonrl.data.rows import SourceRow
from reasonrl.errors import DataError, UsageError
from reasonrl.evaluation.benchmarks import BENCHMARKS, CRITIC_BENCHMARKS, find_benchmark
from reasonrl.evaluation.benchmarks.base import Benchmark
from verifiers.types import Problem

_NAMES = ("source", "suite", "data_source")


@dataclass(frozen=True)
class LoadedBenchmark:
    """The problems of a benchmark, and where they are from."""

    benchmark: Benchmark
    problems: list[Problem]
    origin: str
    """The hub id with its revision, or the name of the file."""
    notes: tuple[str, ...]
    """What a person should know of the rows that were taken."""

    @property
    def data_hash(self) -> str:
        """Of ids, questions and golds, in their order: two runs with one hash had the same problems."""
        digest = hashlib.blake2b(digest_size=16)
        for problem in self.problems:
            digest.update(json.dumps([problem.id, problem.prompt, problem.reference], sort_keys=True).encode())
        return digest.hexdigest()


def load_benchmark(
    benchmark: Benchmark, *, path: str | None = None, limit: int | None = None, offline: bool = False
) -> LoadedBenchmark:
    """Reads a benchmark from the hub, or from a file in the hub's columns or in ours.

    Raises:
        UsageError: the file cannot be one of this benchmark.
        DataError: the rows cannot be read, or have other columns than the revision that this benchmark was written for.
    """
    hub = benchmark.hub
    notes: list[str] = []
    if path is None and hub is None:
        raise UsageError(
            f"{benchmark.name} is not on the hub: get {benchmark.published}, and write --benchmarks"
            f" {benchmark.name}=FILE"
        )
    if path is None and hub is not None:
        origin = (
            f"{hub.hub_id}{f', {hub.config}' if hub.config else ''}, {hub.split}, {hub.revision or 'newest revision'}"
        )
        options = {"revision": hub.revision} if hub.revision else {}
        instead = f"Or name a copy: --benchmarks {benchmark.name}=FILE ({', '.join(READERS)})"
        mistakes = Mistakes(f"{benchmark.name} ({hub.hub_id})")
        rows: Iterable[SourceRow] = hub_rows(
            hub.hub_id, name=hub.config, split=hub.split, offline=offline, options=options, instead=instead
        )
    else:
        path = str(path)
        origin = Path(path).name
        mistakes = Mistakes(str(path))
        rows = _rows_of(benchmark, list(read_rows(Path(path).expanduser(), mistakes)), path, notes)
    try:
        problems = problems_from_rows(
            islice(_read(benchmark, rows, mistakes), limit),
            mistakes,
            stem=benchmark.name,
            source=benchmark.name,
            kind=benchmark.kind,
        )
    except DataError as error:
        written_for = benchmark.published if hub is None else hub.hub_id
        written_for += f", revision {hub.revision}" if hub is not None and hub.revision else ""
        raise DataError(f"{error}\nThe benchmark {benchmark.name} reads the columns of {written_for}") from error
    if hub is not None and hub.rows is not None and limit is None and len(problems) != hub.rows:
        notes.append(
            f"{len(problems):,} problems; {benchmark.title} has {hub.rows:,}, so this is another set or a part"
        )
    return LoadedBenchmark(benchmark, problems, origin, tuple(notes))


def _rows_of(benchmark: Benchmark, rows: list[SourceRow], path: str, notes: list[str]) -> list[SourceRow]:
    """Those of a file that are of this benchmark, where the rows say what they are of."""
    mine = [row for row in rows if _names(row) & _labels(benchmark)]
    if mine:
        if len(mine) < len(rows):
            notes.append(f"{len(mine):,} of the {len(rows):,} rows of {Path(path).name} are of {benchmark.name}")
        return mine
    for name in BENCHMARKS if benchmark.kind != "critique" else CRITIC_BENCHMARKS:
        other = find_benchmark(name, for_critics=benchmark.kind == "critique")
        if other.name != benchmark.name and any(_names(row) & _labels(other) for row in rows):
            raise UsageError(
                f"{path}: its rows say that they are of {other.name}, and none of {benchmark.name}; name another file"
            )
    return rows


def _names(row: SourceRow) -> set[str]:
    return {str(row.fields[name]).lower() for name in _NAMES if isinstance(row.fields.get(name), str)}


def _labels(benchmark: Benchmark) -> set[str]:
    return {name.lower() for name in (benchmark.name, *benchmark.also_named)}


def _read(benchmark: Benchmark, rows: Iterable[SourceRow], mistakes: Mistakes) -> Iterator[SourceRow]:
    """The rows in columns of ours. What cannot be read is noted."""
    for row in rows:
        fields: dict[str, Any] = row.fields
        if benchmark.keeps is not None and not benchmark.keeps(fields):
            continue
        try:
            yield row._replace(fields=benchmark.row(fields))
        except KeyError as error:
            mistakes.add(row.where, f"no column {error.args[0]!r}. It has {', '.join(fields)}")
        except ValueError as error:
            mistakes.add(row.where, str(error))
