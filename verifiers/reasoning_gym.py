"""The verifier of reasoning-gym problems: each data set of that package scores its own answers, so it is an outside
judge of ours.

A reference is {"dataset": "chain_sum", "entry": {"question", "answer", "metadata"}}. `reasoning_gym` is an optional
package, imported in the worker processes only.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import time
from collections.abc import Sequence
from typing import Any

from verifiers.errors import BadReference, MissingPackage
from verifiers.math.extract import extract
from verifiers.pool.pool import Outcome, WorkerPool
from verifiers.response import Extraction, Mode, bare_answer, check_mode, wrap_answer
from verifiers.types import Status, Verdict

PACKAGE = "reasoning_gym"


class ReasoningGymVerifier:
    """Scores answers by the `score_answer` of the data set that they belong to. Correct means a score of exactly 1; the
    score is kept.

    Args:
        answer_mode: how the answer is found: "strict", "lenient" or "whole" (see `verifiers.math.extract`).
        timeout_s: deadline of one answer.
        workers: worker processes at most.
        memory_limit_mb: address space of one worker.

    Raises:
        MissingPackage: reasoning-gym is not installed.
        ValueError: there is no such mode.
    """

    thread_safe = True

    def __init__(
        self, *, answer_mode: Mode = "strict", timeout_s: float = 5.0, workers: int = 1, memory_limit_mb: int = 2048
    ) -> None:
        check_mode(answer_mode)
        if importlib.util.find_spec(PACKAGE) is None:
            raise MissingPackage("reasoning_gym is not installed; run: pip install reasoning-gym")
        self.answer_mode: Mode = answer_mode
        self._options = {
            "answer_mode": answer_mode,
            "timeout_s": timeout_s,
            "workers": workers,
            "memory_limit_mb": memory_limit_mb,
        }
        self._pool = WorkerPool(
            "verifiers.reasoning_gym:score",
            workers=workers,
            timeout_s=timeout_s,
            memory_limit_mb=memory_limit_mb,
            initializer="verifiers.reasoning_gym:load_reasoning_gym",
        )

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order.

        Nothing to read: UNPARSED. A bad reference, an unknown data set, an error inside `score_answer`: ERROR. Past the
        deadline: TIMEOUT.

        Raises:
            ValueError: the two lists differ in length.
            PoolError: the worker processes do not start.
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        return self._judge([extract(response, self.answer_mode) for response in responses], references)

    def verify_answers(self, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for bare answers: nothing is looked for in them. Same errors."""
        return self._judge([bare_answer(answer) for answer in answers], references)

    def wrap_answer(self, answer: str) -> str:
        """A response in the format of the mode."""
        return wrap_answer(answer, self.answer_mode)

    def _judge(self, extractions: Sequence[Extraction], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        verdicts: list[Verdict | None] = []
        waiting: list[tuple[int, Extraction, dict[str, Any]]] = []  # row, what was read, the worker's item
        for row, (extraction, reference) in enumerate(zip(extractions, references, strict=True)):
            started = time.perf_counter()
            verdict = None
            try:
                item = {"dataset": _dataset(reference), "entry": _entry(reference), "answer": extraction.answer}
            except BadReference as bad:
                seconds = time.perf_counter() - started
                verdict = Verdict(None, None, Status.ERROR, extraction.answer, "reference", str(bad), seconds)
            else:
                if extraction.answer is None:
                    method = f"extract.{self.answer_mode}"
                    seconds = time.perf_counter() - started
                    verdict = Verdict(False, 0.0, Status.UNPARSED, None, method, extraction.reason, seconds)
                else:
                    waiting.append((row, extraction, item))
            verdicts.append(verdict)
        outcomes = self._pool.map([item for _, _, item in waiting])
        for (row, extraction, item), outcome in zip(waiting, outcomes, strict=True):
            verdicts[row] = _conclude(outcome, extraction, str(item["dataset"]))
        return [verdict for verdict in verdicts if verdict is not None]

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response in the format of the mode that holds the entry's own answer. Raises BadReference: the entry has
        none.
        """
        _dataset(reference)
        answer = _entry(reference).get("answer")
        if answer is None or not str(answer).strip():
            raise BadReference('the reference\'s "entry" has no "answer"; this data set has no gold answers')
        return wrap_answer(str(answer), self.answer_mode)

    def close(self) -> None:
        """Ends the worker processes. They also end with the verifier and with the program."""
        self._pool.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(ReasoningGymVerifier, **self._options), ()  # type: ignore[arg-type]


def _dataset(reference: dict[str, Any]) -> str:
    name = reference.get("dataset")
    if not isinstance(name, str) or not name:
        raise BadReference(
            f'the reference\'s "dataset" is {name!r}; write the name of a reasoning-gym data set, such as "chain_sum"'
        )
    return name


def _entry(reference: dict[str, Any]) -> dict[str, Any]:
    entry = reference.get("entry")
    if not isinstance(entry, dict) or "answer" not in entry or "metadata" not in entry:
        raise BadReference(
            'the reference\'s "entry" must be a reasoning-gym entry with "question", "answer" and "metadata"'
        )
    return entry


def _conclude(outcome: Outcome, extraction: Extraction, dataset: str) -> Verdict:
    method = f"reasoning_gym.{dataset}"

    def judge(score: Any) -> Verdict:
        if not isinstance(score, int | float) or not math.isfinite(score) or not 0 <= score <= 1:
            reason = f"{dataset} gave the score {score!r}, which is not in [0, 1]"
            return Verdict(None, None, Status.ERROR, extraction.answer, method, reason, 0.0)
        reason = f"{dataset} scores the answer ({extraction.reason}) {score:g}"
        return Verdict(score >= 1, float(score), Status.JUDGED, extraction.answer, method, reason, 0.0)

    return outcome.verdict(judge, method=method, task=f"score_answer of {dataset}", extracted=extraction.answer)


def load_reasoning_gym() -> None:
    """Runs in a new worker: the import takes a second."""
    import reasoning_gym  # noqa: F401


@functools.lru_cache(maxsize=256)
def _score_answer(dataset: str) -> Any:
    from reasoning_gym.factory import DATASETS, get_score_answer_fn

    if dataset not in DATASETS:
        import difflib

        near = difflib.get_close_matches(dataset, DATASETS, n=1)
        raise ValueError(
            f"reasoning-gym has no data set {dataset!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return get_score_answer_fn(dataset)


def score(item: dict[str, Any]) -> float:
    """Runs in a worker. `item` is {"dataset", "entry", "answer"}."""
    return float(_score_answer(item["dataset"])(answer=item["answer"], entry=item["entry"]))
