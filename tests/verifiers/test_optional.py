"""What a verifier may have beside `verify`: the same verdicts from threads, bare answers, and one way from an outcome
of the pool to a verdict.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers import load_verifier
from verifiers.errors import MissingMethod, VerifierError
from verifiers.loading import command_options, option_names
from verifiers.optional import reads_reference, reference_of, verify_answers
from verifiers.pool.pool import Outcome
from verifiers.types import Status, Verdict, Verifier, is_thread_safe

ENTRY = {"question": "4 + 3 =", "answer": "7", "metadata": {}}
GYM = {"dataset": "chain_sum", "entry": ENTRY}
BUILT_IN: dict[str, tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]] = {
    "math": (
        {"mode": "whole", "timeout_s": 20.0},
        [
            (answer, {"answer": gold})
            for gold in ("1/2", r"\sqrt{3}+\pi", "x^2-1", r"\sin(2x)", "n(n+1)/2")
            for answer in ("0.5", r"\pi+\sqrt3", "(x-1)(x+1)", r"2\sin x\cos x", r"\sum_{k=1}^{n} k", "")
        ],
    ),
    "code": (
        {"mode": "whole"},
        [
            (f"def f(x):\n    return {body}", {"tests": ["assert f(2) == 4", "assert f(3) == 6"]})
            for body in ("2 * x", "x * x", "1 / 0")
        ],
    ),
    "format": ({"pattern": "a+b"}, [("aab", {}), ("ba", {}), ("", {})]),
    "reasoning_gym": (
        {"timeout_s": 20.0},
        [(r"\boxed{7}", GYM), (r"\boxed{8}", GYM), ("7", GYM), (r"\boxed{7}", {"dataset": "none", "entry": ENTRY})],
    ),
}


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns as often as the interpreter can, so that what they share is used by several at a time."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def without_time(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return [dataclasses.replace(verdict, seconds=0.0) for verdict in verdicts]


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_verifier_that_says_so_is_thread_safe(name: str, quick_switches: None) -> None:
    options, rows = BUILT_IN[name]
    alone, shared = load_verifier(name, **options), load_verifier(name, **options)
    assert is_thread_safe(shared)
    expected = [without_time(alone.verify([response], [reference])) for response, reference in rows]
    assert len({verdicts[0].correct for verdicts in expected}) > 1, "rows that all come out the same show nothing"

    def judge(turn: int) -> list[list[Verdict]]:
        order = [(i + turn) % len(rows) for i in range(len(rows))]
        verdicts = {i: without_time(shared.verify([rows[i][0]], [rows[i][1]])) for i in order}
        return [verdicts[i] for i in range(len(rows))]

    with ThreadPoolExecutor(8) as threads:
        assert all(verdicts == expected for verdicts in threads.map(judge, range(8)))
    for verifier in (alone, shared):
        verifier.close()  # type: ignore[attr-defined]


class Bare:
    """A verifier with nothing beside the two methods of the protocol."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        return [
            Verdict(
                response == reference["target"], float(response == reference["target"]), Status.JUDGED, None, "", "", 0
            )
            for response, reference in zip(responses, references, strict=True)
        ]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return str(reference["target"])


class Wrapping(Bare):
    command_options: ClassVar[dict[str, Any]] = {"limit": 3}

    def __init__(self, limit: int = 1) -> None:
        self.limit = limit

    def wrap_answer(self, answer: str) -> str:
        if len(answer) > self.limit:
            raise ValueError("too long")
        return f"<{answer}>"


def test_without_the_optional_parts() -> None:
    bare = Bare()
    assert isinstance(bare, Verifier) and not is_thread_safe(bare) and reads_reference(bare)
    with pytest.raises(MissingMethod, match=r'Bare cannot turn a bare.*Write "reference"'):
        reference_of(bare, "7")
    with pytest.raises(MissingMethod, match=r'Bare cannot judge a bare "answer".*Write "response"'):
        verify_answers(bare, ["7"], [{"target": "7"}])


@given(st.lists(st.text(max_size=3), max_size=8), st.integers(0, 3))
def test_answers_are_wrapped_and_come_back_in_order(answers: list[str], limit: int) -> None:
    verdicts = verify_answers(Wrapping(limit), answers, [{"target": f"<{answer}>"} for answer in answers])
    assert [verdict.correct for verdict in verdicts] == [True if len(a) <= limit else None for a in answers]
    assert {verdict.reason for verdict in verdicts if verdict.correct is None} <= {"too long"}


def test_a_verifier_that_returns_too_little_is_noticed() -> None:
    class Short(Wrapping):
        def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
            return super().verify(responses, references)[1:]

    with pytest.raises(VerifierError, match="returned 1 verdicts for 2 responses"):
        verify_answers(Short(), ["a", "b"], [{"target": "<a>"}] * 2)


@pytest.mark.parametrize("name", ["math", "format", "math_verify"])
def test_a_wrapped_answer_is_read_back_as_it_stands(name: str) -> None:
    verifier = load_verifier(name, **({"pattern": "boxed"} if name == "format" else {}))
    wrapped = verifier.wrap_answer("7")  # type: ignore[attr-defined]
    assert verifier.verify([wrapped], [reference_of(verifier, "7")])[0].correct is True
    verifier.close()  # type: ignore[attr-defined]


def test_what_a_command_may_know_of_a_verifier() -> None:
    spec = f"{__name__}:Wrapping"
    assert command_options(spec) == {"limit": 3} and option_names(spec) == ["limit"]
    assert command_options(f"{__name__}:Bare") == {} and option_names(f"{__name__}:Bare") == []
    assert command_options("math") == {"mode": "lenient"} and "workers" in option_names("math")


@settings(max_examples=50)
@given(st.sampled_from(["ok", "timeout", "error", "crashed"]), st.floats(0, 9), st.text(max_size=9))
def test_one_way_from_an_outcome_to_a_verdict(status: Any, seconds: float, error: str) -> None:
    outcome = Outcome(status, 1.0, "" if status == "ok" else error, seconds)
    judged = Verdict(True, 1.0, Status.JUDGED, "7", "mine", "equal", 0.0)
    verdict = outcome.verdict(lambda value: judged, method="pool", task="the task", extracted="7")
    assert verdict.seconds == seconds
    if status == "ok":
        assert verdict == dataclasses.replace(judged, seconds=seconds)
    else:
        assert verdict.status is (Status.TIMEOUT if status == "timeout" else Status.ERROR)
        assert (verdict.correct, verdict.score, verdict.extracted, verdict.method) == (None, None, "7", "pool")
        assert verdict.reason.startswith("the task:") and "\n" not in verdict.reason
