"""The math verifier: reads the final answer out of a response and compares it with the reference {"answer": "..."}."""

from __future__ import annotations

import collections
import dataclasses
import difflib
import functools
import math
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from verifiers.errors import BadReference
from verifiers.math.algebra import POOL_INITIALIZER, POOL_TARGET, concluded
from verifiers.math.compare import UNEVALUATED, Comparison, compare, explain
from verifiers.math.extract import extract
from verifiers.math.policy import MathPolicy
from verifiers.math.whole import number_and_words
from verifiers.pool.limits import check_count
from verifiers.pool.pool import Outcome, WorkerPool
from verifiers.response import Extraction, Mode, bare_answer, check_mode, wrap_answer
from verifiers.types import Layer, Status, Verdict

MAX_SHOWN = 60


class MathVerifier:
    """Judges math answers. Rows that need sympy go to worker processes, which start when the first such row comes.

    Args:
        policy: what counts as the same answer where people differ (`MathPolicy`, or its fields as a dictionary).
        mode: how the answer is found: "strict", "lenient" or "whole" (see `verifiers.math.extract`).
        timeout_s: deadline of one comparison; past it the worker is killed and the verdict is TIMEOUT.
        workers: worker processes at most.
        memory_limit_mb: address space of one worker.
        cache_size: this many comparisons are remembered; 0: none.

    Raises:
        ValueError: an argument is invalid.
    """

    thread_safe = True
    command_options: ClassVar[dict[str, Any]] = {"mode": "lenient"}

    def __init__(
        self,
        *,
        mode: Mode = "strict",
        timeout_s: float = 2.0,
        workers: int = 1,
        memory_limit_mb: int = 1024,
        cache_size: int = 10_000,
        policy: MathPolicy | Mapping[str, Any] | None = None,
    ) -> None:
        check_mode(mode)
        check_count("cache_size", cache_size, least=0)
        self.mode: Mode = mode
        self.policy = policy if isinstance(policy, MathPolicy) else _policy_of(policy or {})
        self._options = {
            "mode": mode,
            "timeout_s": timeout_s,
            "workers": workers,
            "memory_limit_mb": memory_limit_mb,
            "cache_size": cache_size,
            "policy": self.policy,
        }
        self._pool = WorkerPool(
            POOL_TARGET,
            workers=workers,
            timeout_s=timeout_s,
            memory_limit_mb=memory_limit_mb,
            initializer=POOL_INITIALIZER,
        )
        self._cache: collections.OrderedDict[tuple[str, str], Comparison] = collections.OrderedDict()
        self._cache_size = cache_size
        self._lock = threading.Lock()

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order.

        Nothing to read, or several different marked answers: UNPARSED, wrong. A reference without an answer, or an
        error inside math-verify: ERROR. Past the deadline: TIMEOUT.

        Raises:
            ValueError: the two lists differ in length.
            PoolError: the worker processes do not start (for example because math-verify is not installed).
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        return self.judge([extract(response, self.mode) for response in responses], references)

    def judge(self, extractions: Sequence[Extraction], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for answers that have been found already, e.g. `Extraction("1/2", "the bare answer")`. Same
        errors.
        """
        verdicts: list[Verdict | None] = []
        waiting: dict[tuple[str, str], list[int]] = {}
        items: list[tuple[Extraction, str]] = []
        for row, (extraction, reference) in enumerate(zip(extractions, references, strict=True)):
            started = time.perf_counter()
            gold, verdict = "", None
            try:
                gold = gold_answer(reference)
            except BadReference as bad:
                verdict = _undecided(Status.ERROR, extraction, "reference", str(bad), time.perf_counter() - started)
            items.append((extraction, gold))
            if verdict is None and extraction.answer is None:
                seconds = time.perf_counter() - started
                verdict = Verdict(False, 0.0, Status.UNPARSED, None, "extract", extraction.reason, seconds)
            elif verdict is None and extraction.answer is not None:
                pair = (extraction.answer, gold)
                try:
                    comparison = self._remembered(pair) or self._compare(*pair)
                except (
                    Exception
                ) as broken:  # a fault of ours must not end a run of days: the row is not judged, counted, and says why
                    reason = (
                        f"a fault in verifiers.math, please report it: {type(broken).__name__}: {broken} on"
                        f" {_short(pair[0])!r}"
                    )
                    verdict = _undecided(Status.ERROR, extraction, "compare", reason, time.perf_counter() - started)
                else:
                    if comparison is None:
                        waiting.setdefault(pair, []).append(row)
                    else:
                        self._remember(pair, comparison)
                        seconds = time.perf_counter() - started
                        verdict = (
                            _undecided(Status.TIMEOUT, extraction, comparison.method, comparison.reason, seconds)
                            if comparison.method == UNEVALUATED and self.policy.unevaluated == "mask"
                            else _decided(comparison, extraction, gold, seconds)
                        )
            verdicts.append(verdict)
        if waiting:  # each different pair once, though a group of rollouts may hold it many times
            for (pair, rows), outcome in zip(waiting.items(), self._pool.map(list(waiting)), strict=True):
                for row in rows:
                    verdicts[row] = self._conclude(outcome, pair, *items[row])
        return [verdict for verdict in verdicts if verdict is not None]

    def verify_answers(self, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for bare answers: nothing is looked for in them. Same errors."""
        return self.judge([bare_answer(answer) for answer in answers], references)

    def reference_of(self, gold: Any) -> dict[str, Any]:
        """The reference of a bare gold answer. What is wrong with one is said in its verdict."""
        return {"answer": gold}

    def wrap_answer(self, answer: str) -> str:
        """A response in the format of the mode."""
        return wrap_answer(answer, self.mode)

    def explain(self, answer: str, reference: dict[str, Any], verdict: Verdict) -> list[Layer]:
        """What each layer of the comparison says, up to the one that decides. Raises BadReference."""
        layers = []
        for name, opinion in explain(answer, gold_answer(reference), self.policy):
            says = "passes it on" if opinion is None else "equal" if opinion.equal else "not equal"
            layers.append(Layer(name, says, opinion.method if opinion is not None else None))
        if layers[-1].method is None:
            layers.append(Layer("sympy", verdict.summary, verdict.method))
        return layers

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response in the format of the mode that must score 1. Raises BadReference."""
        return wrap_answer(gold_answer(reference), self.mode)

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the live workers: to look at their memory, or at `ps`."""
        return self._pool.pids

    def close(self) -> None:
        """Ends the worker processes. They also end with the verifier and with the program."""
        self._pool.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(MathVerifier, **self._options), ()  # type: ignore[arg-type]

    def _compare(self, answer: str, gold: str) -> Comparison | None:
        seen = number_and_words(answer, gold) if self.mode == "whole" else None
        return seen or compare(answer, gold, self.policy)

    def _remembered(self, pair: tuple[str, str]) -> Comparison | None:
        with self._lock:
            comparison = self._cache.get(pair)
            if comparison is not None:
                self._cache.move_to_end(pair)
            return comparison

    def _remember(self, pair: tuple[str, str], comparison: Comparison) -> None:
        """Only what was decided is remembered: a time-out may be the machine's fault."""
        with self._lock:
            self._cache[pair] = comparison
            while len(self._cache) > self._cache_size:
                self._cache.popitem(last=False)

    def _conclude(self, outcome: Outcome, pair: tuple[str, str], extraction: Extraction, gold: str) -> Verdict:
        def judge(value: Any) -> Verdict:
            comparison = concluded(value)
            self._remember(pair, comparison)
            return _decided(comparison, extraction, gold, 0.0)

        task = f"math-verify failed on {_short(pair[0])}"
        return outcome.verdict(judge, method="math-verify", task=task, extracted=extraction.answer)


def _policy_of(fields: Mapping[str, Any]) -> MathPolicy:
    if not isinstance(fields, Mapping):
        raise ValueError(f"policy is {fields!r}; write a section, such as {{percent: number}}")
    known = [field.name for field in dataclasses.fields(MathPolicy)]
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise ValueError(
                f"policy has no field {name!r}{f'; did you mean {near[0]!r}?' if near else '.'} Its fields:"
                f" {', '.join(known)}"
            )
    return MathPolicy(**fields)


def gold_answer(reference: dict[str, Any]) -> str:
    """The answer of a reference as a text. Raises BadReference: there is none, or it is empty, NaN, or no text and no
    number.
    """
    if not isinstance(reference, dict) or "answer" not in reference:
        keys = ", ".join(map(repr, reference)) if isinstance(reference, dict) else type(reference).__name__
        raise BadReference(f'the reference has no "answer" (it has: {keys or "nothing"}); write {{"answer": "42"}}')
    answer = reference["answer"]
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        raise BadReference(f'the reference\'s "answer" is a {type(answer).__name__}; write a text or a number')
    if isinstance(answer, float) and not math.isfinite(answer):
        raise BadReference(f'the reference\'s "answer" is {answer}; write a text or a finite number')
    text = str(answer).strip()
    if not text:
        raise BadReference('the reference\'s "answer" is empty')
    return text


def _decided(comparison: Comparison, extraction: Extraction, gold: str, seconds: float) -> Verdict:
    relation = "equals" if comparison.equal else "is not"
    reason = f"{_short(extraction.answer or '')} ({extraction.reason}) {relation} the reference {_short(gold)}"
    if comparison.reason:
        reason += f": {comparison.reason}"
    score = 1.0 if comparison.equal else 0.0
    return Verdict(comparison.equal, score, Status.JUDGED, extraction.answer, comparison.method, reason, seconds)


def _undecided(status: Status, extraction: Extraction, method: str, reason: str, seconds: float) -> Verdict:
    return Verdict(None, None, status, extraction.answer, method, " ".join(reason.split()), seconds)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
