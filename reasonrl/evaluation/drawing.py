"""Draws the answers of benchmarks and keeps each as soon as it is judged, so that a killed evaluation goes on where it
stopped: what is in samples.jsonl is not drawn again, and the file ends as if nothing had happened.

Answers are drawn in chunks, in the order of the problems. Of a chunk that a kill has torn the whole lines stay, and the
others are drawn again. What is drawn does not depend on the chunks (see `Evaluator.play`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonrl.engines.base import Sampling
from reasonrl.errors import UsageError
from reasonrl.evaluation.evaluate import Evaluator
from reasonrl.runs.folder import append_rows
from verifiers.types import Problem

CHUNK_ANSWERS = 256
"""So many answers are drawn together: an engine wants full batches, a kill should cost little."""


@dataclass(frozen=True)
class Draw:
    """One benchmark, ready to be asked."""

    name: str
    problems: Sequence[Problem]
    evaluator: Evaluator
    sampling: Sampling
    samples_per_problem: int
    is_served: bool = False
    """A server answers: what fails may be asked again."""

    @property
    def attempts(self) -> list[tuple[Problem, int]]:
        """All answers that are asked for: a problem and the number of the answer to it."""
        return [(problem, number) for problem in self.problems for number in range(self.samples_per_problem)]

    @property
    def mode(self) -> str:
        return "greedy" if self.sampling.temperature == 0 else "sampled"


@dataclass
class AnswerStore:
    """The rows of samples.jsonl, by benchmark, problem and number of the answer; without a file, in memory alone."""

    path: Path | None
    rows: dict[tuple[str, str, int], dict[str, Any]] = field(default_factory=dict)

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

    def answers(self, draw: Draw) -> list[dict[str, Any]]:
        """Those that are there, in the order in which they are asked for."""
        return [
            self.rows[key] for problem, number in draw.attempts if (key := (draw.name, problem.id, number)) in self.rows
        ]

    def missing(self, draw: Draw) -> list[tuple[Problem, int]]:
        """Those that are not."""
        return [
            (problem, number) for problem, number in draw.attempts if (draw.name, problem.id, number) not in self.rows
        ]

    def _keep(self, row: dict[str, Any]) -> None:
        self.rows[row["set"], row["problem_id"], row["rollout"]] = row


def draw_answers(draw: Draw, store: AnswerStore, on_chunk: Callable[[int, int], None] | None = None) -> None:
    """Draw what the store lacks. What a server does not answer stays missing.

    Args:
        on_chunk: called with the number of answers that are there, and of all.
    """
    wanted = store.missing(draw)
    done = len(draw.attempts) - len(wanted)
    if on_chunk is not None:
        on_chunk(done, len(draw.attempts))
    for start in range(0, len(wanted), CHUNK_ANSWERS):
        chunk = wanted[start : start + CHUNK_ANSWERS]
        episodes = draw.evaluator.play(draw.name, chunk, draw.mode, draw.sampling)
        answered = [episode for episode in episodes if not (draw.is_served and episode.failure)]
        store.add([_without_clock(draw.evaluator.sample(episode, draw.mode, draw.name)) for episode in answered])
        done += len(answered)
        if on_chunk is not None:
            on_chunk(done, len(draw.attempts))


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
