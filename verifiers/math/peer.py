"""math-verify unchanged, with our types and in our pool: the second opinion of `reasonrl audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verifiers.errors import BadReference
from verifiers.math.algebra import POOL_INITIALIZER
from verifiers.math.verifier import gold_answer
from verifiers.pool.pool import WorkerPool
from verifiers.response import wrap_answer
from verifiers.types import Status, Verdict


class MathVerify:
    """math-verify's own extraction and comparison, with its default settings but for the time-outs, which are the
    pool's.
    """

    thread_safe = True

    def __init__(self, *, timeout_s: float = 5.0, workers: int = 1) -> None:
        self._pool = WorkerPool(
            "verifiers.math.peer:opinion", workers=workers, timeout_s=timeout_s, initializer=POOL_INITIALIZER
        )

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each pair, in order. Never raises for what a response holds."""
        verdicts: list[Verdict | None] = [None] * len(responses)
        pairs, places = [], []
        for place, (response, reference) in enumerate(zip(responses, references, strict=True)):
            try:
                pairs.append((response, gold_answer(reference)))
                places.append(place)
            except BadReference as bad:
                verdicts[place] = Verdict(None, None, Status.ERROR, None, "reference", str(bad), 0.0)
        for place, outcome in zip(places, self._pool.map(pairs), strict=True):
            verdicts[place] = outcome.verdict(_judge, method="math-verify", task="math-verify")
        return [verdict for verdict in verdicts if verdict is not None]

    def reference_of(self, gold: Any) -> dict[str, Any]:
        return {"answer": gold}

    def wrap_answer(self, answer: str) -> str:
        return wrap_answer(answer, "strict")

    def gold_response(self, reference: dict[str, Any]) -> str:
        return self.wrap_answer(gold_answer(reference))

    def close(self) -> None:
        self._pool.close()


def _judge(value: tuple[bool, str | None]) -> Verdict:
    """From what `opinion` returned."""
    correct, extracted = value
    return Verdict(correct, 1.0 if correct else 0.0, Status.JUDGED, extracted, "math-verify", "", 0.0)


def opinion(pair: tuple[str, str]) -> tuple[bool, str | None]:
    """Runs in a worker. `pair` is (response, gold)."""
    from math_verify import parse, verify

    answer = parse(pair[0], parsing_timeout=None)
    gold = parse(pair[1] if "$" in pair[1] or "\\boxed" in pair[1] else f"${pair[1]}$", parsing_timeout=None)
    return bool(verify(gold, answer, timeout_seconds=None)), str(answer[-1])[:200] if answer else None
