"""Draws the answers of benchmarks and keeps each as soon as it is judged, so that a killed evaluation goes on where it
stopped: what is in samples.jsonl is not drawn again, and the file ends as if nothing had happened.

Answers are drawn in chunks of whole problems. The rows of a chunk are appended together; a chunk that was torn by a
kill is dropped and drawn again. What is drawn does not depend on the chunks (see `Evaluator.play`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.errors import UsageError
from reasonrl.evaluation.evaluate import Evaluator
from reasonrl.runs.folder import append_rows
from verifiers.types import Problem

CHUNK_ANSWERS = 256
"""At least so many answers are drawn together: an engine wants full batches."""


@dataclass(frozen=True)
class Draw:
    """One benchmark, ready to be asked."""

    name: str
    problems: Sequence[Problem]
    evaluator: Evaluator
    sampling: Sampling
    samples_per_problem: int

    @property
    def mode(self) -> str:
        return "greedy" if self.sampling.temperature == 0 else "sampled"


@dataclass
class AnswerStore:
    """The rows of samples.jsonl, by benchmark and problem; without a file, in memory alone."""

    path: Path | None
    rows: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None) -> AnswerStore:
        """What an earlier session has left. A torn last line is cut off. Raises UsageError for a damaged file."""
        store = cls(path)
        if path is None or not path.exists():
            return store
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with path.open("r+b") as file:
                file.truncate(whole)
        for number, line in enumerate(content[:whole].splitlines(), 1):
            try:
                store._keep(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UsageError(
                    f"{path}, line {number}: is not a row of answers ({error}); remove the file"
                ) from error
        return store

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        if self.path is not None:
            append_rows(self.path, rows)
        for row in rows:
            self._keep(row)

    def whole_problems(self, draw: Draw) -> int:
        """How many problems of a benchmark have all of their answers. A problem with some of them loses these.

        Raises UsageError where the file holds other problems than the benchmark.
        """
        known = self.rows.get(draw.name, {})
        ids = [problem.id for problem in draw.problems]
        if strangers := [name for name in known if name not in set(ids)]:
            raise UsageError(f"{self.path} holds answers to {strangers[0]}, which is not a problem of {draw.name}")
        complete = {name for name, rows in known.items() if len(rows) == draw.samples_per_problem}
        if len(complete) < len(known):
            self._drop(draw.name, set(known) - complete)
        return len(complete)

    def answers(self, draw: Draw) -> Iterator[dict[str, Any]]:
        """In the order of the problems."""
        known = self.rows.get(draw.name, {})
        for problem in draw.problems:
            yield from known.get(problem.id, ())

    def _keep(self, row: dict[str, Any]) -> None:
        self.rows.setdefault(row["set"], {}).setdefault(row["problem_id"], []).append(row)

    def _drop(self, name: str, problems: set[str]) -> None:
        from reasonrl.host.files import replace_text
        from reasonrl.runs.row_text import row_text

        for problem in problems:
            del self.rows[name][problem]
        if self.path is not None:
            everything = [row for of_set in self.rows.values() for rows in of_set.values() for row in rows]
            replace_text(self.path, "".join(row_text(row) + "\n" for row in everything))


def draw_answers(draw: Draw, store: AnswerStore, on_chunk: Callable[[int, int], None] | None = None) -> int:
    """Draw what the store lacks. Returns how many answers were drawn.

    Args:
        on_chunk: called with the problems that are answered and all of them.
    """
    store.whole_problems(draw)
    known = store.rows.get(draw.name, {})
    missing = [problem for problem in draw.problems if problem.id not in known]
    size = max(1, -(-CHUNK_ANSWERS // draw.samples_per_problem))
    done = len(draw.problems) - len(missing)
    if on_chunk is not None:
        on_chunk(done, len(draw.problems))
    for start in range(0, len(missing), size):
        chunk = missing[start : start + size]
        episodes = draw.evaluator.play(draw.name, chunk, draw.mode, draw.sampling, draw.samples_per_problem)
        store.add([_without_clock(draw.evaluator.sample(episode, draw.mode, draw.name)) for episode in episodes])
        done += len(chunk)
        if on_chunk is not None:
            on_chunk(done, len(draw.problems))
    return len(missing) * draw.samples_per_problem


def refuse_repeated(draws: Sequence[Draw]) -> None:
    """Raises UsageError for problems with one id: their answers could not be told apart."""
    for draw in draws:
        repeated = [name for name, count in Counter(problem.id for problem in draw.problems).items() if count > 1]
        if repeated:
            raise UsageError(f"{draw.name}: several problems have the id {repeated[0]!r}")


def _without_clock(row: dict[str, Any]) -> dict[str, Any]:
    """The row without seconds: the same answers give the same bytes."""
    verdicts = {name: {k: v for k, v in verdict.items() if k != "seconds"} for name, verdict in row["verdicts"].items()}
    calls = [{k: v for k, v in call.items() if k != "seconds"} for call in row.get("calls", ())]
    return row | {"verdicts": verdicts} | ({"calls": calls} if calls else {})
