"""The problems of a benchmark, from the hub or from a file of the user's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from reasonrl.data.columns import problems_from_rows
from reasonrl.data.files import READERS, read_rows
from reasonrl.data.hub import hub_rows
from reasonrl.data.mistakes import Mistakes
from reasonrl.data.rows import SourceRow
from reasonrl.errors import DataError, UsageError
from reasonrl.evaluation.benchmarks import BENCHMARKS, CRITIC_BENCHMARKS, find_benchmark
from reasonrl.evaluation.benchmarks.base import QUESTION_NAMES, Benchmark, KnownError, question_key
from verifiers.types import Problem

KnownErrors = Literal["count", "exclude", "mend"]
"""What becomes of problems that are known to be judged wrongly: they count as published, or are left out, or get the
right answer and are left out where there is none."""
_NAMES = ("source", "suite", "data_source")
_IDS = ("id", "task_id", "unique_id", "question_id", "ID")


@dataclass(frozen=True)
class LoadedBenchmark:
    """The problems of a benchmark, and where they are from."""

    benchmark: Benchmark
    problems: list[Problem]
    origin: str
    """The hub id with its revision, or the name of the file."""
    notes: tuple[str, ...]
    """What a person should know of the rows that were taken."""
    known_errors: Mapping[str, KnownError] = field(default_factory=dict)
    """By the id of the problem, also of those that were left out."""
    treatment: KnownErrors = "count"
    needs: tuple[str, ...] = ()
    """Modules that the programs import, beyond the standard library."""

    @property
    def data_hash(self) -> str:
        """Of ids, questions and golds, in their order: two runs with one hash had the same problems."""
        digest = hashlib.blake2b(digest_size=16)
        for problem in self.problems:
            digest.update(json.dumps([problem.id, problem.prompt, problem.reference], sort_keys=True).encode())
        return digest.hexdigest()


def load_benchmark(
    benchmark: Benchmark,
    *,
    path: str | None = None,
    limit: int | None = None,
    offline: bool = False,
    known_errors: KnownErrors = "count",
) -> LoadedBenchmark:
    """Reads a benchmark from the hub, or from a file in the hub's columns or in ours.

    Args:
        limit: of the rows as they are published. Those that are left out for their known errors are not replaced.

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
    read = list(islice(_read(benchmark, rows, mistakes), limit))
    needs = {name for row in read for name in row.needs}
    try:
        problems = problems_from_rows(
            [_mended(row) if known_errors == "mend" else row.source_row for row in read],
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
    known = {problem.id: row.error for problem, row in zip(problems, read, strict=True) if row.error is not None}
    if known:
        notes.append(_errors_text(known, known_errors))
    problems = [problem for problem in problems if not _is_left_out(known.get(problem.id), known_errors)]
    return LoadedBenchmark(benchmark, problems, origin, tuple(notes), known, known_errors, tuple(sorted(needs)))


def check_known_errors(value: str) -> KnownErrors:
    """Raises UsageError."""
    for known in get_args(KnownErrors):
        if value == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"--known-errors {value}: write count, exclude or mend")


def _is_left_out(error: KnownError | None, treatment: KnownErrors) -> bool:
    return error is not None and (treatment == "exclude" or (treatment == "mend" and error.answer is None))


def _errors_text(known: Mapping[str, KnownError], treatment: KnownErrors) -> str:
    listed = ", ".join(f"{name} ({error.what})" for name, error in known.items())
    left_out = sum(_is_left_out(error, treatment) for error in known.values())
    done = {
        "count": "counted as published; --known-errors exclude leaves them out, mend puts right answers in",
        "exclude": "left out",
        "mend": f"right answers are put in for {len(known) - left_out}, and {left_out} are left out",
    }
    number = "1 problem is" if len(known) == 1 else f"{len(known)} problems are"
    return f"{number} known to be judged wrongly: {listed}; {done[treatment]}"


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


@dataclass(frozen=True, slots=True)
class _Read:
    """A row in columns of ours, and what is known of it."""

    source_row: SourceRow
    error: KnownError | None
    needs: tuple[str, ...]


def _read(benchmark: Benchmark, rows: Iterable[SourceRow], mistakes: Mistakes) -> Iterator[_Read]:
    """What cannot be read is noted."""
    errors = {error.row: error for error in benchmark.known_errors}
    for row in rows:
        fields: dict[str, Any] = row.fields
        if benchmark.keeps is not None and not benchmark.keeps(fields):
            continue
        try:
            needs = benchmark.needs(fields) if benchmark.needs is not None else ()
            yield _Read(row._replace(fields=benchmark.row(fields)), _known_error(fields, errors), needs)
        except KeyError as error:
            mistakes.add(row.where, f"no column {error.args[0]!r}. It has {', '.join(fields)}")
        except ValueError as error:
            mistakes.add(row.where, str(error))


def _known_error(row: Mapping[str, Any], errors: Mapping[str, KnownError]) -> KnownError | None:
    if not errors:
        return None
    names = [str(row[name]).rpartition("/")[2] for name in _IDS if row.get(name) is not None]
    names += [question_key(row[name]) for name in QUESTION_NAMES if isinstance(row.get(name), str)]
    return next((errors[name] for name in names if name in errors), None)


def _mended(row: _Read) -> SourceRow:
    if row.error is None or row.error.answer is None:
        return row.source_row
    return row.source_row._replace(fields={**row.source_row.fields, "answer": row.error.answer})
