"""Which tests run, and what a verdict is made of. A fake sandbox gives the outcomes, except in the last tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.code.verifier import CodeVerifier, Reward
from verifiers.sandbox import Call, Ending, Input, Limits, Outcome
from verifiers.types import Status

LIMITS = Limits()
OUTCOMES = {
    "passed": Outcome(Ending.FINISHED, value=0),
    "wrong_answer": Outcome(Ending.FINISHED, value=1),
    "runtime_error": Outcome(Ending.ERROR, error="no", exception="KeyError"),
    "time_limit": Outcome(Ending.TIME_LIMIT, error="6 s"),
    "memory_limit": Outcome(Ending.MEMORY_LIMIT, error="1024 MB"),
    "sandbox_failure": Outcome(Ending.BROKEN, error="it fell"),
}


class FakeSandbox:
    """Gives the outcomes that a test wrote, the first one to f(0), whatever the program is."""

    isolation = "fake"

    def __init__(self, outcomes: Sequence[str]) -> None:
        self.outcomes = outcomes
        self.runs = 0

    def run(
        self, program: str, inputs: Sequence[Input], limits: Limits = LIMITS, *, share_process: bool = False
    ) -> Iterator[Outcome]:
        for each in inputs:
            assert isinstance(each, Call)
            self.runs += 1
            yield OUTCOMES[self.outcomes[each.args[0]]]

    def close(self) -> None:
        """Nothing is open."""


def verdict_of(monkeypatch: pytest.MonkeyPatch, tests: Sequence[tuple[str, bool]], reward: Reward) -> tuple[Any, int]:
    """Of (outcome, is it visible?) for each test; and how many ran."""
    sandbox = FakeSandbox([name for name, _ in tests])
    monkeypatch.setattr("verifiers.code.verifier.open_sandbox", lambda *args, **options: sandbox)
    verifier = CodeVerifier(mode="whole", reward=reward)
    reference = {
        "tests": [f"assert f({number}) == 0" for number in range(len(tests))],
        "visible": [number for number, (_, visible) in enumerate(tests) if visible],
    }
    (verdict,) = verifier.verify(["def f(x): return 0"], [reference])
    return verdict, sandbox.runs


outcomes = st.sampled_from([*sorted(OUTCOMES), "time_limit", "time_limit", "passed", "passed"])
some_tests = st.lists(st.tuples(outcomes, st.booleans()), min_size=1, max_size=12).filter(
    lambda tests: any(not visible for _, visible in tests)
)


@given(tests=some_tests, reward=st.sampled_from(["correctness", "pass_rate"]))
def test_a_program_is_right_only_if_every_deciding_test_ran_and_passed(
    tests: list[tuple[str, bool]], reward: Reward
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        verdict, _ = verdict_of(monkeypatch, tests, reward)
    deciding = [name for name, visible in tests if not visible]
    assert (verdict.correct is True) == (set(deciding) == {"passed"})
    if verdict.status is Status.JUDGED:
        assert verdict.score == (
            verdict.details["passed"] / len(deciding) if reward == "pass_rate" else verdict.correct
        )
        assert "passed" in verdict.reason if verdict.correct else any(name in verdict.reason for name in ("test", "f("))
    else:
        assert verdict.correct is verdict.score is None and "sandbox_failure" in deciding


@given(tests=some_tests, seen=st.lists(outcomes, max_size=6))
def test_visible_tests_change_no_verdict(tests: list[tuple[str, bool]], seen: list[str]) -> None:
    for reward in ("correctness", "pass_rate"):
        with pytest.MonkeyPatch.context() as monkeypatch:
            alone, _ = verdict_of(monkeypatch, [each for each in tests if not each[1]], reward)
            among, _ = verdict_of(monkeypatch, [(name, True) for name in seen] + tests, reward)
        assert (alone.correct, alone.score, alone.status) == (among.correct, among.score, among.status)


def test_after_three_time_limits_the_others_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict, runs = verdict_of(monkeypatch, [("time_limit", False)] * 3 + [("passed", False)] * 3, "pass_rate")
    assert (verdict.correct, verdict.score, runs) == (False, 0.0, 3)
    assert verdict.details["per_test"] == ["time_limit"] * 3 + ["not_run"] * 3
    verdict, runs = verdict_of(monkeypatch, [("time_limit", True)] * 5 + [("passed", False)] * 2, "correctness")
    assert (verdict.correct, verdict.details["passed"]) == (True, 2)


def test_tests_for_which_no_time_is_left_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=10)
    monkeypatch.setattr("verifiers.code.running.time.perf_counter", lambda: float(next(ticks)))
    tests = [f"assert f({number}) == 0" for number in range(9)]
    for outcomes, correct, method in (
        (["passed"] * 9, None, "out_of_time"),
        (["passed", "wrong_answer", *["passed"] * 7], False, "tests"),
    ):
        sandbox = FakeSandbox(outcomes)
        monkeypatch.setattr("verifiers.code.verifier.open_sandbox", lambda *args, box=sandbox, **options: box)
        verifier = CodeVerifier(mode="whole", total_s=35)
        for _ in range(2):  # what was not decided is not remembered
            before = sandbox.runs
            (verdict,) = verifier.verify(["def f(x): return 0"], [{"tests": tests}])
            assert (verdict.correct, verdict.method) == (correct, method), verdict
        if correct is None:
            assert sandbox.runs == before + 3 and verdict.details["per_test"][2:4] == ["passed", "out_of_time"]
            assert "took all the time" in verdict.reason


@pytest.mark.parametrize("total_s", [0, -1, True, "60", float("nan")])
def test_a_limit_that_is_no_time_is_refused(total_s: Any) -> None:
    with pytest.raises(ValueError, match=r"total_s is .*; write seconds above 0"):
        CodeVerifier(total_s=total_s)


# ---------------------------------------------------------------- in the sandbox of this machine


def test_a_program_cannot_pass_by_sleeping_through_the_tests_that_it_is_shown() -> None:
    """It did: after three time limits no other test ran, and none had failed."""
    verifier = CodeVerifier(mode="whole", limits={"cpu_s": 0.5})
    asserts = [f"assert f({number}) == {number + 1}" for number in range(4)]
    cheat = "def f(x):\n    while x < 3: pass\n    return 0\n"
    for reference in ({"tests": asserts, "visible": [0, 1, 2]}, {"tests": asserts}):
        (verdict,) = verifier.verify([cheat], [reference])
        assert (verdict.correct, verdict.score) == (False, 0.0), verdict
    verifier.close()


def test_texts_that_never_end_are_cut_off_as_well() -> None:
    verifier = CodeVerifier(mode="whole", reward="pass_rate", limits={"cpu_s": 0.5})
    text = "import random\nfor _ in range(3):\n    x = random.random()\n    assert f(x) == x"
    (verdict,) = verifier.verify(["def f(x):\n    while True: pass"], [{"tests": [text] * 6}])
    assert verdict.correct is False and verdict.details["per_test"] == ["time_limit"] * 3 + ["not_run"] * 3
    verifier.close()


def test_a_program_that_never_returns_raises_no_exception_that_a_test_expects() -> None:
    """In a sandbox of its own a test sees the limit as an exception."""
    verifier = CodeVerifier(mode="whole", limits={"cpu_s": 0.5})
    test = """
import random
x = random.random()
try:
    f(x)
except Exception:
    pass
else:
    assert False
"""
    hangs = "def f(x):\n    while True: pass"
    raises, verdict = verifier.verify(["def f(x): raise ValueError(x)", hangs], [{"tests": [test]}] * 2)
    assert raises.correct is True and raises.details["trust"] == "separate"
    assert verdict.correct is False and verdict.details["per_test"] == ["time_limit"]
    verifier.close()
