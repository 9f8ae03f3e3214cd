"""The math verifier as a whole: verdicts, worker processes, hostile rows."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from typing import Literal

import pytest

from tests.verifiers.hostile import HOSTILE_ANSWERS, HOSTILE_RESPONSES, PLAIN_ANSWERS
from verifiers.errors import BadReference
from verifiers.math import MathVerifier
from verifiers.types import Status, Verifier

# What only sympy can tell, and what it cannot tell in time.
SUM = r"\sum_{k=1}^{n} k"
ASKED = r"\int_0^1 x dx"
"""A reference that asks for an integral, so that integrals are not refused by their size."""
HARD = r"\int_0^1 \frac{\sin(\sin(x^x))}{\ln(1+x^{x^x})} dx"


DEADLINE_S = 3.0
"""The first sum in a new process takes 0.3 s, and over a second where other tests run beside it."""


@pytest.fixture(scope="module")
def verifier() -> Iterator[MathVerifier]:
    made = MathVerifier(timeout_s=DEADLINE_S)
    yield made
    made.close()


def judge(verifier: MathVerifier, response: str, answer: object):
    return verifier.verify([response], [{"answer": answer}])[0]


def test_it_is_a_verifier(verifier: MathVerifier) -> None:
    assert isinstance(verifier, Verifier)


def test_arithmetic_starts_no_process() -> None:
    fresh = MathVerifier(mode="whole")
    verdicts = fresh.verify(["12", "13", "", "no idea", "12.0", "x = 12"], [{"answer": 12}] * 6)
    assert [verdict.correct for verdict in verdicts] == [True, False, False, False, True, True]
    assert [verdict.status for verdict in verdicts] == [Status.JUDGED] * 2 + [Status.UNPARSED] + [Status.JUDGED] * 3
    assert fresh._pool.pids == []


@pytest.mark.parametrize(
    ("answer", "gold", "equal"),
    [
        ("x+1", "1+x", True),
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        (r"\sqrt{8}", r"2\sqrt{3}", False),
        ("(1, 2)", "(1,2)", True),
        (r"\frac{\pi}{2}", r"0.5\pi", True),
        ("x \\le 5", "5 \\ge x", True),
        ("0.333333", r"\frac{1}{3}", True),
        (r"x^2", "x\u00b2", True),
    ],
)
def test_algebra(verifier: MathVerifier, answer: str, gold: str, equal: bool) -> None:
    verdict = judge(verifier, f"So it is \\boxed{{{answer}}}.", gold)
    assert verdict.status is Status.JUDGED
    assert verdict.correct is equal and verdict.score == float(equal)
    assert verdict.extracted == answer


def test_a_row_past_its_deadline_is_no_wrong_answer_and_harms_no_other(verifier: MathVerifier) -> None:
    responses = [rf"\boxed{{{SUM}}}", rf"\boxed{{{HARD}}}", rf"\boxed{{{SUM}+1}}"]
    golds = ["n(n+1)/2", ASKED, "n(n+1)/2+1"]
    first, slow, last = verifier.verify(responses, [{"answer": gold} for gold in golds])
    assert first.correct is True and last.correct is True
    assert (slow.status, slow.correct, slow.score) == (Status.TIMEOUT, None, None)
    assert DEADLINE_S <= slow.seconds < DEADLINE_S + 1


def test_an_error_inside_math_verify_is_no_wrong_answer(verifier: MathVerifier) -> None:
    verdict = judge(verifier, r"\boxed{x}", r"\sum_{k=1}^{n} k + {9^{9^{9^{9}}}}")
    assert (verdict.status, verdict.correct) == (Status.ERROR, None)
    assert "math-verify failed" in verdict.reason


def test_spraying_and_cutting_off_earn_nothing(verifier: MathVerifier) -> None:
    for response in [r"\boxed{7} \boxed{8}", r"\boxed{7", "7", "", "<think>\\boxed{7}</think>"]:
        verdict = judge(verifier, response, "7")
        assert (verdict.status, verdict.correct, verdict.score, verdict.extracted) == (
            Status.UNPARSED,
            False,
            0.0,
            None,
        ), response
        assert verdict.reason


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"answer": None},
        {"answer": ""},
        {"answer": "  "},
        {"answer": [1]},
        {"answer": True},
        {"answer": float("nan")},
    ],
)
def test_a_bad_reference(verifier: MathVerifier, reference: dict) -> None:
    bad, good = verifier.verify([r"\boxed{1}", r"\boxed{1}"], [reference, {"answer": "1"}])
    assert (bad.status, bad.correct, bad.method) == (Status.ERROR, None, "reference")
    assert good.correct is True
    with pytest.raises(BadReference, match="answer"):
        verifier.gold_response(reference)


@pytest.mark.parametrize("mode", ["strict", "lenient", "whole"])
@pytest.mark.parametrize(
    "answer", ["5", 5, 2.5, -3, r"\frac{1}{2}", r"\{1, 2\}", "Monday", r"x^2 + 1", "1,234", r"\text{(C)}", "90^\\circ"]
)
def test_the_gold_response_scores_one(mode: str, answer: object) -> None:
    made = MathVerifier(mode=mode)
    reference = {"answer": answer}
    verdict = made.verify([made.gold_response(reference)], [reference])[0]
    assert verdict.correct is True, verdict
    assert made.verify([""], [reference])[0].status is Status.UNPARSED


def test_equal_pairs_are_compared_once_and_remembered(verifier: MathVerifier) -> None:
    seen: list[int] = []
    original = verifier._pool.map

    def counting(items, timeout_s=None):
        seen.append(len(items))
        return original(items, timeout_s)

    verifier._pool.map = counting  # type: ignore[method-assign]
    try:
        for _ in range(2):
            verdicts = verifier.verify([rf"\boxed{{{SUM}}}"] * 8, [{"answer": r"\frac{n(n+1)}{2}"}] * 8)
            assert all(verdict.correct for verdict in verdicts)
    finally:
        del verifier._pool.map
    assert seen == [1]


def test_threads_and_pickles(verifier: MathVerifier) -> None:
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(judge(verifier, r"\boxed{z+1}", "1+z")))
    thread.start()
    thread.join()
    assert verdicts[0].correct is True
    copy = pickle.loads(pickle.dumps(MathVerifier(mode="whole", timeout_s=3.0)))
    assert copy.mode == "whole" and judge(copy, "5", "5").correct is True


def test_lists_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="2 responses for 1 references"):
        MathVerifier().verify(["1", "2"], [{"answer": "1"}])


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "mode"), [(HOSTILE_ANSWERS, "whole"), (HOSTILE_RESPONSES, "lenient")])
def test_hostile_rows_end_in_time(rows: list[tuple[str, str]], mode: Literal["whole", "lenient"]) -> None:
    judging = MathVerifier(mode=mode, timeout_s=2.0)
    verdicts = judging.verify([text for text, _ in rows], [{"answer": gold} for _, gold in rows])
    judging.close()
    assert len(verdicts) == len(rows)
    assert max(verdict.seconds for verdict in verdicts) < 2.5


@pytest.mark.parametrize("mode", ["strict", "lenient", "whole"])
def test_plain_answers_are_their_own_gold(mode: Literal["strict", "lenient", "whole"]) -> None:
    references = [{"answer": answer} for answer in PLAIN_ANSWERS]
    judging = MathVerifier(mode=mode, workers=2)
    verdicts = judging.verify([judging.gold_response(reference) for reference in references], references)
    judging.close()
    assert [verdict.reason for verdict in verdicts if verdict.correct is not True] == []


def test_a_fault_of_ours_leaves_one_row_unjudged_and_the_others_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    import verifiers.math.verifier as module

    original = module.compare

    def faulty(answer: str, gold: str, policy: object) -> object:
        if answer == "13":
            raise ZeroDivisionError("thirteen")
        return original(answer, gold, policy)

    monkeypatch.setattr(module, "compare", faulty)
    first, bad, last = MathVerifier(mode="whole").verify(["12", "13", "14"], [{"answer": "12"}] * 3)
    assert (first.correct, last.correct) == (True, False)
    assert (bad.status, bad.correct, bad.score) == (Status.ERROR, None, None)
    assert "ZeroDivisionError: thirteen" in bad.reason
