"""Tests as language models and people write them: runners that print instead of failing, classes with bases, fixtures,
generators, state. Each row has right programs and wrong ones, or is refused in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from verifiers.code.verifier import CodeVerifier
from verifiers.types import Status

DOUBLE, ZERO = "def f(x): return 2 * x", "def f(x): return 0"
TEXT = "import random\nr = random.random()\n"
"""Makes a test one that runs as text."""
TESTS: dict[str, tuple[str, list[str], list[str]]] = {
    "a runner that prints what failed": (
        "def test_a():\n    assert f(1) == 2\nif __name__ == '__main__':\n    try:\n        test_a()\n"
        "        print('ok')\n    except AssertionError as e:\n        print('failed', e)",
        [DOUBLE],
        [ZERO],
    ),
    "a runner of a list": (
        "def test_a():\n    assert f(1) == 2\nfor test in [test_a]:\n"
        "    try: test()\n    except Exception: print('bad')",
        [DOUBLE],
        [ZERO],
    ),
    "a runner that counts": (
        "failed = 0\nfor x, y in [(1, 2), (2, 4)]:\n    try: assert f(x) == y\n"
        "    except AssertionError: failed += 1\nassert failed == 0",
        [DOUBLE],
        [ZERO],
    ),
    "a function that only another one calls, which nothing calls": (
        "def test_a():\n    assert f(1) == 2\ndef run_all():\n    test_a()\ndef test_b():\n    assert f(0) == 0",
        [DOUBLE],
        [ZERO],
    ),
    "a base of the text's own": (
        "import unittest\nclass Base(unittest.TestCase):\n    def setUp(self): self.k = 2\nclass TestA(Base):\n"
        "    def test_a(self): self.assertEqual(f(3), 3 * self.k)\nclass TestB(unittest.TestCase):\n"
        "    def test_b(self): self.assertEqual(f(0), 0)",
        [DOUBLE],
        [ZERO],
    ),
    "a class of pytest with a base": (
        "class Base:\n    k = 2\nclass TestX(Base):\n    def test_a(self): assert f(3) == 3 * self.k\n"
        "class TestY(object):\n    def test_b(self): assert f(1) == 2\ndef test_c(): assert f(0) == 0",
        [DOUBLE],
        [ZERO, "def f(x): return 6 if x == 3 else 0"],
    ),
    "unittest by another name": (
        "import unittest as ut\nclass T(ut.TestCase):\n    def test_a(self): self.assertEqual(f(1), 2)\n"
        "def test_b(): assert f(0) == 0\nif __name__ == '__main__': ut.main()",
        [DOUBLE],
        [ZERO],
    ),
    "an attribute of a class of tests": (
        "import unittest\nclass T(unittest.TestCase):\n    func = staticmethod(f)\n"
        "    def test_a(self): self.assertEqual(self.func(1), 2)",
        [DOUBLE],
        [ZERO],
    ),
    "setup_method with the method": (
        "class TestX:\n    def setup_method(self, method): self.x = 3\n    def test_a(self): assert f(self.x) == 6",
        [DOUBLE],
        [ZERO],
    ),
    "main of unittest, and an end": (
        "from unittest import TestCase, main\nimport sys\nclass T(TestCase):\n"
        "    def test_a(self): self.assertEqual(f(1), 2)\nmain()\nsys.exit(0)",
        [DOUBLE],
        [ZERO],
    ),
    "pytest.raises with a function": (
        TEXT + "import pytest\npytest.raises(ValueError, f, -1)\npytest.raises(ValueError, lambda: f(-r))",
        ["def f(x):\n    if x < 0: raise ValueError"],
        ["def f(x): return x", "def f(x): raise KeyError", "def f(x):\n    if x == -1: raise ValueError"],
    ),
    "pytest with another module, its marks and its params": (
        "import json, pytest\n@pytest.mark.timeout(5)\ndef test_a():\n    for x, y in [pytest.param(1, 2, id='a')]:\n"
        "        assert f(x) == pytest.approx(y)\ntest_a()\nassert f(json.loads('2')) == 4",
        [DOUBLE],
        [ZERO],
    ),
    "a generator that goes on": (
        "g = f(3)\nassert next(g) == 0\nassert next(g) == 1",
        ["def f(n): yield from range(n)"],
        ["def f(n):\n    while True: yield 0", "def f(n): yield 0"],
    ),
    "a function that is returned": (
        "assert f(3)(4) == 7\nadd = f(1)\nassert add(1) == 2",
        ["def f(n): return lambda x: x + n"],
        ["def f(n): return lambda x: 7"],
    ),
    "an argument by its name": (
        "nums = [2, 1]\nf(nums=nums)\nassert nums == [1, 2]",
        ["def f(nums): nums.sort()"],
        ["def f(nums): return sorted(nums)"],
    ),
    "an argument that a helper reads": (
        "def same(a, b):\n    assert a == b\nx = [2, 1]\nf(x)\nsame(x, [1, 2])",
        ["def f(x): x.sort()"],
        ["def f(x): return sorted(x)"],
    ),
    "an argument that an `if` reads": (
        "x = [2, 1]\nf(x)\nif x != [1, 2]: raise AssertionError(x)",
        ["def f(x): x.sort()"],
        ["def f(x): return sorted(x)"],
    ),
    "state from one call to the next": (
        "assert f(1) == True\nassert f(1) == False\nassert f(2)\nassert not f(2)",
        ["seen = set()\ndef f(x):\n    new = x not in seen\n    seen.add(x)\n    return new"],
        ["def f(x): return True", "def f(x): return False"],
    ),
    "names of a helper are those of its own place": (
        "n = 3\ndef helper():\n    assert f(n) == 2 * n\ndef test_a():\n    n = 0\n    helper()",
        [DOUBLE],
        [ZERO],
    ),
    "an import of the program within a function": (
        "def test_a():\n    from solution import f\n    assert f(1) == 2",
        [DOUBLE],
        [ZERO],
    ),
    "a file that the text writes": (
        "with open('t.txt', 'w') as file:\n    file.write('abc')\nassert f('t.txt') == 3",
        ["def f(path): return len(open(path).read())"],
        ["def f(path): return len(path)"],
    ),
    "a function with the name of a built-in": (
        "assert pow(2, 3) == 8\nassert pow(2, 0) == 1",
        ["def pow(a, b): return a ** b", "pow = lambda a, b: a ** b"],
        ["def f(a, b): return a ** b", "def pow(a, b): return 8", "pass"],
    ),
    "counters that end the script": (
        "failed = 0\nfor x, y in [(1, 2), (2, 4)]:\n    try:\n        assert f(x) == y\n"
        "    except AssertionError:\n        failed += 1\nif __name__ == '__main__':\n    import sys\n"
        "    print(failed)\n    sys.exit(failed)",
        [DOUBLE],
        [ZERO, "def f(x): return 2"],
    ),
    "a parametrised function in a counting loop": (
        "def test_case(x, y): assert f(x) == y\nfailed = 0\nfor x, y in [(1, 2), (2, 4)]:\n"
        "    try: test_case(x, y)\n    except AssertionError: failed += 1\nassert failed == 0",
        [DOUBLE],
        [ZERO],
    ),
    "a handler that asserts, and errors that are collected": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        try: self.assertIsNone(f(None))\n        except Exception as e: self.assertIsInstance(e, TypeError)\n"
        "    def test_b(self):\n        errors = []\n        try: self.assertEqual(f(1), 2)\n"
        "        except AssertionError as e: errors.append(str(e))\n        self.assertEqual(errors, [])",
        [DOUBLE],
        [ZERO],
    ),
    "a function that says whether it passed": (
        "def run():\n    try:\n        assert f(1) == 2\n        return True\n    except AssertionError:\n"
        "        return False\nassert run()",
        [DOUBLE],
        [ZERO],
    ),
    "attributes of classes whose names begin with test": (
        "class TestF:\n    test_cases = [(1, 2), (2, 4)]\n    def test_b(self):\n        TestF.done = True\n"
        "    def test_a(self):\n        assert TestF.done\n        for x, y in self.test_cases: assert f(x) == y",
        [DOUBLE],
        [ZERO],
    ),
    "tests within the guard that calls them": (
        "if __name__ == '__main__':\n    def test_a():\n        assert f(1) == 2\n    test_a()\n"
        "    print('ok')\n    exit(0)",
        [DOUBLE],
        [ZERO],
    ),
    "setup_class as a plain function": (
        "class TestX:\n    def setup_class(self): self.x = 3\n    def test_a(self): assert f(self.x) == 6",
        [DOUBLE],
        [ZERO],
    ),
    "warnings": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        with self.assertWarns(UserWarning): f(1)",
        ["import warnings\ndef f(x): warnings.warn('no')"],
        [ZERO],
    ),
}
REFUSED = {
    "failed = 0\nfor x, y in [(1, 2)]:\n    try: assert f(x) == y\n    except AssertionError: failed += 1\n"
    "if failed == 0: print('all passed')": "passes over",
    "try:\n    result = f(1)\n    assert result == 2\nexcept Exception:\n    result = None": "passes over",
    "def run(x, y):\n    assert f(x) == y\n"
    "for x, y in [(1, 2)]:\n    try: run(x, y)\n    except AssertionError: pass": "passes over",
    "import contextlib\nwith contextlib.suppress(AssertionError):\n    assert f(1) == 2": "passes over",
    "def test_a():\n    try: assert f(1) == 2\n    finally: return": "passes over",
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        try: self.assertEqual(f(1), 2)\n"
    "        except Exception as e: print(e)": "passes over",
    "def f(x):\n    y = 2 * x\n    return y\nassert f(2) == 4": "calls nothing",
    "import statistics\nassert statistics.mean([1, 3]) == 2": "calls nothing",
    "async def test_f():\n    assert f(2) == 5\nassert f(2) == 4": "defines async test_f and does not run",
    "if True:\n    def test_a():\n        assert f(1) == 2\n"
    "def test_b():\n    assert f(0) == 0": "defines test_a within",
    "class TestA:\n    class TestB:\n        def test_b(self): assert f(1) == 2\n"
    "def test_c(): assert f(0) == 0": "defines TestB within",
    "import pytest\n@pytest.fixture\ndef x(): return 1\ndef test_a(x=1): assert f(x) == f(1)": "uses pytest.fixture",
    "import pytest\nclass TestA:\n    @pytest.mark.parametrize('x', [1])\n"
    "    def test_a(self, x): assert f(x) == 2": "needs pytest",
}


@pytest.fixture(scope="module")
def judge() -> Iterator[CodeVerifier]:
    verifier = CodeVerifier(mode="whole")
    yield verifier
    verifier.close()


@pytest.mark.parametrize("name", TESTS)
def test_right_programs_pass_and_wrong_ones_do_not(judge: CodeVerifier, name: str) -> None:
    source, right, wrong = TESTS[name]
    for program, expected in [*((each, True) for each in right), *((each, False) for each in wrong)]:
        (verdict,) = judge.verify([program], [{"tests": [source]}])
        assert (verdict.correct, verdict.status) == (expected, Status.JUDGED), (program, verdict)


@pytest.mark.parametrize("source", REFUSED)
def test_tests_that_every_program_passes_are_refused(judge: CodeVerifier, source: str) -> None:
    for program in (DOUBLE, ZERO, "pass"):
        (verdict,) = judge.verify([program], [{"tests": [source]}])
        assert verdict.status is Status.ERROR and REFUSED[source] in verdict.reason, verdict


ROWS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "a list, or -1, in any order": (
        {"tests": {"fn_name": "f", "inputs": [[1], [2]], "outputs": [-1, [1, 2]]}, "checker": "any_order"},
        ["def f(x): return -1 if x == 1 else [2, 1]"],
        ["def f(x): return []", "def f(x): return -1", "def f(x): return [2, 1]"],
    ),
    "the imports of LeetCode's prompt": (
        {
            "prompt": "from typing import *\nclass ListNode:\n    def __init__(self, val=0): self.val = val\n",
            "entry_point": "Solution().f",
            "test": "def check(candidate):\n    assert candidate(nums=[1]) == [2]",
        },
        [
            "class Solution:\n    def f(self, nums: List[int]) -> List[int]: return [2 * x for x in nums]",
            "class Solution:\n    def f(self, nums): return [ListNode(2 * x).val for x in nums]",
        ],
        ["class Solution:\n    def f(self, nums: List[int]) -> List[int]: return nums"],
    ),
    "a prompt of LeetCode hides no built-in": (
        {
            "prompt": "from math import *\nfrom typing import *\n",
            "entry_point": "Solution().f",
            "test": "def check(candidate):\n    assert candidate(7) == 7",
        },
        ["class Solution:\n    def f(self, x: Optional[int]): return int(min(inf, pow(x, 1, 10 ** 9 + 7)))"],
        ["class Solution:\n    def f(self, x): return pi", "class Solution:\n    def f(self, x): return inf"],
    ),
    "EvalPlus without expected values: a root": (
        {
            "entry_point": "find_zero",
            "base_input": [[[1, 2]]],
            "canonical_solution": "def find_zero(xs): return -0.5",
        },
        ["def find_zero(xs): return -0.5"],
        ["def find_zero(xs): return 0.5"],
    ),
    "EvalPlus without expected values: the same members": (
        {
            "entry_point": "similar_elements",
            "base_input": [[[1, 2], [2, 3, 1]]],
            "canonical_solution": "def similar_elements(a, b): return tuple(set(a) & set(b))",
        },
        ["def similar_elements(a, b): return [x for x in b if x in a]"],
        ["def similar_elements(a, b): return a + [5]", "def similar_elements(a, b): return [1]"],
    ),
    "long outputs": (
        {"tests": {"inputs": ["150000"], "outputs": ["\n".join(str(10**8 + i) for i in range(150_000))]}},
        ["for i in range(int(input())): print(10 ** 8 + i)"],
        ["for i in range(int(input())): print(10 ** 8)", "while True: print(10 ** 8)"],
    ),
    "long values": (
        {"tests": {"fn_name": "f", "inputs": [[120_000]], "outputs": [[10**9 + i for i in range(120_000)]]}},
        ["def f(n): return [10 ** 9 + i for i in range(n)]"],
        ["def f(n): return [10 ** 9] * n", "def f(n): return [10 ** 9] * 10 * n"],
    ),
    "scripts of contests": (
        {"tests": {"inputs": ["1\n"], "outputs": ["2\n"]}},
        [
            "import sys\nwith sys.stdout as out: out.write(str(2 * int(sys.stdin.readline())))",
            "import sys\nprint(2)\nsys.stdout.close()",
            "import sys\nprint(2, flush=True)\nsys.stdout = None",
            "import sys\nprint(2 if (sys.stdin.mode, sys.stdout.mode) == ('r', 'w') else 3)",
        ],
        ["import sys\nsys.stdout = None\nprint(2)", "import sys\nsys.stdout.close()\nprint(2)"],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_benchmarks(judge: CodeVerifier, name: str) -> None:
    reference, right, wrong = ROWS[name]
    for program, expected in [*((each, True) for each in right), *((each, False) for each in wrong)]:
        (verdict,) = judge.verify([program], [reference])
        assert (verdict.correct, verdict.status) == (expected, Status.JUDGED), (program, verdict)


@pytest.mark.parametrize(
    "reference",
    [
        {"base_input": [[1]], "entry_point": "f", "expected_output": {"base": [2]}, "checker": 5},
        {
            "base_input": [[1]],
            "entry_point": "f",
            "expected_output": {"base": [2]},
            "checker": "near",
            "checker_options": 5,
        },
    ],
)
def test_options_of_another_kind_are_refused(judge: CodeVerifier, reference: dict[str, Any]) -> None:
    (verdict,) = judge.verify([DOUBLE], [reference])
    assert verdict.status is Status.ERROR and "checker" in verdict.reason


@pytest.mark.parametrize("tolerance", ["rel_tol=-1", "rel_tol='a'"])
def test_a_tolerance_that_is_none_accepts_nothing(judge: CodeVerifier, tolerance: str) -> None:
    (verdict,) = judge.verify([DOUBLE], [{"tests": [f"import math\nassert math.isclose(f(1), 2.5, {tolerance})"]}])
    assert not verdict.correct
