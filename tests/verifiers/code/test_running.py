"""Which tests run, and what a verdict is made of. A fake sandbox gives the outcomes, except in the last tests."""

from __future__ import annotations

import itertools
import sys
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


def test_rows_that_differ_in_their_demonstration_have_the_same_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of them teach one function: its tests are read once, and a program runs once."""
    sandbox = FakeSandbox(["passed"])
    monkeypatch.setattr("verifiers.code.verifier.open_sandbox", lambda *args, **options: sandbox)
    verifier = CodeVerifier(mode="whole")
    rows = [{"tests": ["assert f(0) == 0"], "demonstration": f"def f(x): return {number}"} for number in range(5)]
    assert all(verdict.correct for verdict in verifier.verify(["def f(x): return 0"] * 5, rows))
    assert sandbox.runs == 1
    verifier.verify(["def f(x): return 0"], [{"tests": ["assert f(0) == 0 "]}])
    assert sandbox.runs == 2


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


TEXT = "import random\nx = random.random()\n"
"""Makes a test one that runs as text."""
IN_PLACE = """
def f(nums):
    k = 0
    for x in list(nums):
        if k == 0 or x != nums[k - 1]:
            nums[k] = x
            k += 1
    return k
"""
"""Leaves each of sorted numbers once, at the front, and returns how many there are."""
UNITTEST = """
import unittest

class T(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.nums = [1, 1, 2]

    def first(self, k):
        self.assertEqual(self.nums[:k], [1, 2])

    def test_f(self):
        k = f(self.nums)
        self.first(k)
"""
# (the reference, right programs, wrong programs)
REFERENCES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "lines for __main__ do not run where functions are called": (
        {"tests": ["assert f(2) == 4"]},
        [
            f"def f(x): return 2 * x\nif __name__ == '__main__':\n    {line}"
            for line in ("print(f(int(input())))", "import sys; sys.exit(1)", "raise ValueError")
        ],
        ["if __name__ == '__main__':\n    def f(x): return 2 * x"],
    ),
    "nor where the test text shares their process": (
        {"tests": ["node = Node(1)\nassert height(node) == 1"]},
        ["class Node:\n    def __init__(self, x): pass\ndef height(n): return 1\nif __name__ == '__main__': input()"],
        ["class Node:\n    def __init__(self, x): pass\ndef height(n): return 2"],
    ),
    "a script has them": (
        {"tests": {"inputs": ["2\n"], "outputs": ["4\n"]}},
        ["if __name__ == '__main__':\n    print(2 * int(input()))"],
        ["if __name__ != '__main__':\n    print(2 * int(input()))"],
    ),
    "an end of iteration is no end of the test": (
        {"tests": [TEXT + "for got, want in zip(map(lambda y: f(y), [x, 1]), [2 * x, 2]):\n    assert got == want"]},
        ["def f(x): return 2 * x"],
        ["def f(x): raise StopIteration", "def f(x):\n    if x == 1: raise StopIteration\n    return 2 * x"],
    ),
    "subclasses of an expected exception": (
        {"tests": ["import pytest\nwith pytest.raises(ValueError):\n    f(-1)"]},
        [
            "def f(x): raise ValueError(x)",
            "class Bad(ValueError): pass\ndef f(x): raise Bad",
            "import statistics\ndef f(x): return statistics.mean([])",
            "def f(x): return b'\\xff'.decode()",
        ],
        [
            "def f(x): raise KeyError(x)",
            "class ValueErrors(Exception): pass\ndef f(x): raise ValueErrors",
            "def f(x): 1",
        ],
    ),
    "and as text": (
        {"tests": [TEXT + "try:\n    f(x)\nexcept ValueError:\n    pass\nelse:\n    assert False"]},
        [
            "def f(x): raise ValueError(x)",
            "class Bad(ValueError): pass\ndef f(x): raise Bad",
            "def f(x): return b'\\xff'.decode()",
        ],
        ["def f(x): raise KeyError(x)", "import os\ndef f(x): os._exit(3)", "raise ValueError"],
    ),
    "the key of a KeyError": (
        {"tests": [TEXT + "try:\n    f(x)\nexcept KeyError as error:\n    assert str(error) == \"'k'\""]},
        ["def f(x): return {}['k']"],
        ["def f(x): return {}['q']"],
    ),
    "what does not load, or has no such function, raises no expected exception": (
        {"tests": ["import pytest\nwith pytest.raises(Exception):\n    f(-1)"]},
        ["def f(x): raise OSError"],
        ["def f(:", "def g(x): raise OSError", "raise OSError", "import no_such_module"],
    ),
    "one of several outputs": (
        {"tests": {"inputs": ["1\n", "2\n"], "outputs": [["30", "40"], ["5 6", "7"]]}, "checker": "one_of"},
        ["print(30 if input() == '1' else '5  6')"],
        ["pass", "print(3)", "print('30\\n40')", "print(0)"],
    ),
    "an infinite value is equal to itself alone": (
        {"entry_point": "f", "base_input": [[1e308], [2.0]], "canonical_solution": "def f(x): return x * 1e10"},
        ["def f(x): return x * 1e10"],
        ["def f(x): return 2e10", "def f(x): return 0 if x > 2 else 2e10"],
    ),
    "by pytest.approx, too": (
        {"tests": [TEXT + "import pytest\nassert f(x) == pytest.approx(float('inf'))"]},
        ["def f(x): return float('inf')"],
        ["def f(x): return 5", "def f(x): return -float('inf')"],
    ),
    "an infinite argument of a reference solution": (
        {"entry_point": "f", "base_input": [[float("inf")]], "canonical_solution": "def f(x): return x > 1"},
        ["def f(x): return x > 1"],
        ["def f(x): return x < 1"],
    ),
    "functions that are handed over": (
        {"tests": ["import operator\nassert f(operator.add, 2, 3) == 5", "assert f(str.upper, 'a') == 'A'"]},
        ["def f(g, *rest): return g(*rest)"],
        ["def f(g, *rest): return rest[0]"],
    ),
    "functions that functions return": (
        {"tests": ["from operator import itemgetter\nassert f(itemgetter(1), [2, 3]) == 3"]},
        ["def f(g, *rest): return g(*rest)"],
        ["def f(g, *rest): return rest[0]"],
    ),
    "what a call changed in its argument, up to a length that it returned": (
        {"tests": ["nums = [1, 1, 2]\nk = f(nums)\nassert k == 2\nassert nums[:k] == [1, 2]"]},
        [IN_PLACE],
        ["def f(nums): return len(set(nums))", "def f(nums): nums[:] = [1, 2, 2]; return 3"],
    ),
    "what it changed, as text": (
        {"tests": [TEXT + "nums = [x, x, 2]\nk = f(nums)\nassert k == 2 and nums[:k] == [x, 2]"]},
        [IN_PLACE],
        ["def f(nums): return len(set(nums))"],
    ),
    "what setUpClass makes, and a method looks at": (
        {"tests": [UNITTEST]},
        [IN_PLACE],
        ["def f(nums): return len(set(nums))", "def f(nums): return 2"],
    ),
    "a method of a unittest class that is no test": (
        {
            "tests": [
                "import unittest\nclass T(unittest.TestCase):\n    def same(self, x, y): self.assertEqual(f(x), y)\n"
                "    def test_two(self): self.same([1, 1, 2], 2)\n    def test_one(self): self.same([2, 2], 1)"
            ]
        },
        [IN_PLACE],
        ["def f(nums): return 2", "def f(nums): return 1"],
    ),
    "and of a class of pytest": (
        {
            "tests": [
                "class TestF:\n    @classmethod\n    def setup_class(cls): cls.expected = 2\n"
                "    def check(self, x): assert f(x) == self.expected\n    def test_f(self): self.check([1, 1, 2])"
            ]
        },
        [IN_PLACE],
        ["def f(nums): return len(nums)"],
    ),
    "the same items in any order": (
        {
            "tests": [
                "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n"
                f"        self.assertCountEqual(f({given}), {expected})"
                for given, expected in (("[{1}, {2, 3}]", "[{3, 2}, {1}]"), ("[2, 1, 2]", "[2, 2, 1]"))
            ]
        },
        ["def f(x): return x", "def f(x): return x[::-1]"],
        ["def f(x): return x[:1] * 2", "def f(x): return [*x, *x]", "def f(x): return sorted(set(map(str, x)))"],
    ),
    "a test that is asynchronous": (
        {
            "tests": [
                "import unittest\nclass T(unittest.IsolatedAsyncioTestCase):\n"
                "    async def test_two(self): self.assertEqual(await f(2), 4)\n"
                "    def test_name(self): self.assertEqual(f.__name__, 'f')"
            ]
        },
        ["async def f(x): return 2 * x"],
        ["async def f(x): return x", "def f(x): return 2 * x"],
    ),
    "a generator that ends": (
        {"tests": ["assert any(next(g) == 0 for g in [f(3)])"]},
        ["def f(n): yield from range(n)"],
        ["def f(n): yield from ()"],
    ),
}


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeVerifier]:
    verifier = CodeVerifier(mode="whole")
    yield verifier
    verifier.close()


@pytest.mark.parametrize("name", REFERENCES)
def test_right_programs_are_right_and_wrong_ones_wrong(judge: CodeVerifier, name: str) -> None:
    reference, right, wrong = REFERENCES[name]
    for program, expected in [*((each, True) for each in right), *((each, False) for each in wrong)]:
        (verdict,) = judge.verify([program], [reference])
        assert (verdict.correct, verdict.status) == (expected, Status.JUDGED), (program, verdict)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({"tests": [TEXT + "if x > 2:\n    assert f(x) == 2 * x"]}, "never called the program"),
        ({"tests": [TEXT + "import no_such_module\nassert f(x) == 2 * x"]}, "failed before they called the program"),
        ({"tests": ["assert f(2) == 4" + "+0" * 500]}, "nest too deeply"),
        ({"tests": {"inputs": ["1"], "outputs": ["2"]}, "checker": "one_of"}, "one_of needs a list"),
        ({"tests": {"inputs": ["1"], "outputs": ["2"]}, "checker": "any_order"}, "values that a function returns"),
    ],
)
def test_tests_that_cannot_judge_are_an_error(judge: CodeVerifier, reference: dict[str, Any], said: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)  # whatever a test before this one left
    try:
        (verdict,) = judge.verify(["def f(x): return 2 * x"], [reference])
    finally:
        sys.setrecursionlimit(limit)
    assert verdict.status is Status.ERROR and said in verdict.reason, verdict
