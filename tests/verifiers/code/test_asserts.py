"""Assert-style tests become calls and expected values; what cannot be turned stays text."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.verifiers.code.judging import judged
from verifiers.code.formats.reading import read_tests
from verifiers.code.types import BadTests

ADD = "def f(a, b): return a + b"
SUB = "def f(a, b): return a - b"
ECHO = "def f(x): return x"
NONE = "def f(*args, **kwargs): return None"

# (the test, a program that passes it, a program that does not)
TURNED: dict[str, tuple[str, str, str]] = {
    "a value": ("assert f(1, 2) == 3", ADD, SUB),
    "a value with a message": ("assert f(1, 2) == 3, 'wrong'", ADD, SUB),
    "the expected value first": ("assert 3 == f(1, 2)", ADD, SUB),
    "parentheses": ("assert (f(1, 2)) == (3)", ADD, SUB),
    "named arguments": ("assert f(a=1, b=2) == 3", ADD, SUB),
    "arguments from a list": ("assert f(*[1, 2]) == 3", ADD, SUB),
    "arguments from a mapping": ("assert f(**{'a': 1, 'b': 2}) == 3", ADD, SUB),
    "negative numbers and arithmetic": ("assert f(-1, 2 ** 10) == 1024 - 1", ADD, SUB),
    "a big number": ("assert f(10 ** 40, 1) == 10 ** 40 + 1", ADD, "def f(a, b): return float(a + b)"),
    "lists are not tuples": ("assert f((1, 2)) == (1, 2)", ECHO, "def f(x): return list(x)"),
    "a set": ("assert f([1, 2, 2]) == {1, 2}", "def f(x): return set(x)", "def f(x): return x"),
    "an empty set": ("assert f() == set()", "def f(): return set()", "def f(): return {}"),
    "a dictionary": ("assert f() == dict(a=1, b=1)", "def f(): return {'b': 1, 'a': 1}", "def f(): return {'a': 1}"),
    "bytes": ("assert f() == b'ab'", "def f(): return b'ab'", "def f(): return 'ab'"),
    "a complex number": ("assert f() == 1 + 2j", "def f(): return 1 + 2j", "def f(): return 1 - 2j"),
    "one is not True": ("assert f() == 1", "def f(): return 1", "def f(): return True"),
    "is True": ("assert f() is True", "def f(): return True", "def f(): return 1"),
    "is False": ("assert f() is False", "def f(): return False", "def f(): return 0"),
    "is None": ("assert f(1) is None", "def f(x): pass", ECHO),
    "is not None": ("assert f(1) is not None", ECHO, "def f(x): pass"),
    "== None": ("assert f(1) == None", "def f(x): pass", ECHO),
    "a true value": ("assert f([1])", ECHO, "def f(x): return []"),
    "a false value": ("assert not f([])", ECHO, "def f(x): return [1]"),
    "another value": ("assert f(1) != 2", ECHO, "def f(x): return 2"),
    "one of several": ("assert f(1) in (1, 2)", ECHO, "def f(x): return 3"),
    "none of several": ("assert f(1) not in [2, 3]", ECHO, "def f(x): return 3"),
    "contains": ("assert 2 in f([1, 2])", ECHO, "def f(x): return [1]"),
    "a part of a text": ("assert 'b' in f('abc')", ECHO, "def f(x): return 'x'"),
    "an order": ("assert f(1) <= 1", ECHO, "def f(x): return 2"),
    "between": ("assert 0 < f(1) < 2", ECHO, "def f(x): return 2"),
    "a distance": ("assert abs(f(1.0, 2.0) - 3.0) < 1e-6", ADD, SUB),
    "a distance the other way round": ("assert abs(3.0 - f(1.0, 2.0)) <= 1e-6", ADD, SUB),
    "a distance with its bound first": ("assert 1e-6 > abs(f(1.0, 2.0) - 3.0)", ADD, SUB),
    "a relative distance": ("assert abs(f(1.0, 2.0) - 3.0) / 3.0 < 1e-6", ADD, SUB),
    "math.fabs": ("import math\nassert math.fabs(f(1.0, 2.0) - 3.0) < 1e-6", ADD, SUB),
    "math.isclose": ("import math\nassert math.isclose(f(0.1, 0.2), 0.3)", ADD, SUB),
    "isclose imported": ("from math import isclose\nassert isclose(f(0.1, 0.2), 0.3, rel_tol=1e-9)", ADD, SUB),
    "math without an import": ("assert math.isclose(f(0.1, 0.2), 0.3, abs_tol=1e-6)", ADD, SUB),
    "math under another name": ("import math as m\nassert f(m.pi, 0) == m.pi", ADD, "def f(a, b): return 3.14"),
    "round": ("assert round(f(0.1, 0.2), 2) == 0.3", ADD, SUB),
    "a set of the value": ("assert set(f([1, 2])) == {2, 1}", "def f(x): return x[::-1]", "def f(x): return [1]"),
    "sorted": ("assert sorted(f([2, 1])) == [1, 2]", ECHO, "def f(x): return [2]"),
    "sorted with a key": ("assert sorted(f([[2], [1]]), key=lambda p: p[0]) == [[1], [2]]", ECHO, NONE),
    "tuple on both sides": ("assert tuple(f([1])) == tuple([1])", ECHO, "def f(x): return [2]"),
    "a list": ("assert list(f((1, 2))) == [1, 2]", ECHO, "def f(x): return (2, 1)"),
    "a length": ("assert len(f([1, 2])) == 2", ECHO, "def f(x): return [1]"),
    "a text of the value": ("assert str(f(12)) == '12'", ECHO, "def f(x): return 13"),
    "an item": ("assert f([5, 6])[1] == 6", ECHO, "def f(x): return [6, 5]"),
    "a slice": ("assert f([5, 6, 7])[:2] == [5, 6]", ECHO, "def f(x): return [5]"),
    "a method": ("assert f('Ab').lower() == 'ab'", ECHO, "def f(x): return 'b'"),
    "a type": ("assert isinstance(f(1), int)", ECHO, "def f(x): return '1'"),
    "several types": ("assert isinstance(f([1]), (list, tuple))", ECHO, "def f(x): return {1}"),
    "type is": ("assert type(f([1])) is list", ECHO, "def f(x): return (1,)"),
    "and": ("assert f(1, 2) == 3 and f(2, 2) == 4", ADD, SUB),
    "or of one call": ("assert f(1, 2) == 3 or f(1, 2) == 4", ADD, SUB),
    "a loop": ("for i in range(3):\n    assert f(i, 1) == i + 1", ADD, SUB),
    "a loop over pairs": ("for x, y in [(1, 2), (3, 4)]:\n    assert f(x, 1) == y", ADD, SUB),
    "a loop over zip": ("xs = [1, 2]\nys = [2, 3]\nfor x, y in zip(xs, ys):\n    assert f(x, 1) == y", ADD, SUB),
    "a loop over a mapping": ("for x, y in {1: 2}.items():\n    assert f(x, 1) == y", ADD, SUB),
    "a loop over cases as dictionaries": (
        "cases = [{'in': (1, 2), 'out': 3}]\nfor case in cases:\n    assert f(*case['in']) == case['out']", ADD, SUB,
    ),
    "a loop with an index": ("for i, (x, y) in enumerate([(1, 2)]):\n    assert f(x, 1) == y, f'{i}: {x}'", ADD, SUB),
    "all of a list": ("assert all([f(1, 2) == 3, f(2, 2) == 4])", ADD, SUB),
    "all of a generator": ("assert all(f(x, 1) == y for x, y in [(1, 2), (2, 3)])", ADD, SUB),
    "all over the value": ("assert all(x > 0 for x in f([1, 2]))", ECHO, "def f(x): return [0]"),
    "any over the value": ("assert any(x > 1 for x in f([1, 2]))", ECHO, "def f(x): return [0]"),
    "names": ("x = [1, 2]\nexpected = [1, 2]\nassert f(x) == expected", ECHO, "def f(x): return []"),
    "the value under a name": ("result = f(1, 2)\nassert result == 3\nassert result > 2", ADD, SUB),
    "the values under two names": ("a, b = f((1, 2))\nassert a == 1 and b == 2", ECHO, "def f(x): return (1, 2, 3)"),
    "a name for the function": ("g = f\nassert g(1, 2) == 3", ADD, SUB),
    "an annotated name": ("x: int = 1\nassert f(x, 2) == 3", ADD, SUB),
    "a constant that grows": ("x = 1\nx += 1\nassert f(x, 2) == 4", ADD, SUB),
    "a helper": ("def near(a, b):\n    return abs(a - b) < 1e-6\nassert near(f(0.1, 0.2), 0.3)", ADD, SUB),
    "a helper that asserts": ("def same(a, b):\n    assert a == b\nsame(f(1, 2), 3)", ADD, SUB),
    "a helper with its default": ("def same(a, b=3):\n    assert a == b\nsame(f(1, 2))", ADD, SUB),
    "a list of squares": ("assert f([i * i for i in range(3)]) == [0, 1, 4]", ECHO, "def f(x): return []"),
    "repetition": ("assert f('ab' * 2, [0] * 1) == 'abab'", "def f(a, b): return a", "def f(a, b): return b"),
    "infinity": ("assert f(float('inf')) == float('inf')", ECHO, "def f(x): return 1e308"),
    "nan": ("import math\nassert math.isnan(f(float('nan')))", ECHO, "def f(x): return 0.0"),
    "a copy": ("import copy\nx = [1]\nassert f(copy.deepcopy(x)) == x", ECHO, "def f(x): return []"),
    "must raise": (
        "try:\n    f(0)\n    assert False\nexcept ZeroDivisionError:\n    pass", "def f(x): return 1 / x", ECHO,
    ),
    "must raise, with else": (
        "try:\n    f(0)\nexcept ZeroDivisionError:\n    assert True\nelse:\n    raise AssertionError('no error')",
        "def f(x): return 1 / x", ECHO,
    ),
    "must raise one of two": (
        "try:\n    f(0)\n    assert False\nexcept (ValueError, ZeroDivisionError):\n    pass",
        "def f(x): return 1 / x", ECHO,
    ),
    "must raise, by pytest": (
        "import pytest\nwith pytest.raises(ValueError):\n    f('x')",
        "def f(x): return int(x)", "def f(x): return x['a']",
    ),
    "a base class of what is raised": (
        "import pytest\nwith pytest.raises(LookupError):\n    f({})",
        "def f(x): return x['a']", "def f(x): return int('x')",
    ),
    "a test function": ("def test_f():\n    assert f(1, 2) == 3", ADD, SUB),
    "a test function that is called": ("def test_f():\n    assert f(1, 2) == 3\n\ntest_f()", ADD, SUB),
    "a test over parameters": (
        "import pytest\n@pytest.mark.parametrize('x, y', [(1, 3), (2, 4)])\ndef test_f(x, y):\n    assert f(x, 2) == y",
        ADD, SUB,
    ),
    "a test over two sets of parameters": (
        "import pytest\n@pytest.mark.parametrize('x', [1, 2])\n@pytest.mark.parametrize(('y',), [(1,), (2,)])\n"
        "def test_f(x, y):\n    assert f(x, y) == x + y", ADD, SUB,
    ),
    "an import of the program": ("from solution import f\n\ndef test_f():\n    assert f(1, 2) == 3", ADD, SUB),
    "an import of all names": ("from math import *\nassert f(pi, 0) == pi", ADD, "def f(a, b): return 3.14"),
    "a sum over a list": (
        "xs = list(range(-9, 10, 2))\ntotal = sum([i ** 2 for i in xs if i % 2 != 0 and i > 0])\nassert f(xs) == total",
        "def f(xs): return sum(x * x for x in xs if x % 2 and x > 0)", "def f(xs): return sum(xs)",
    ),
    "a number as text": ("for x in range(2, 8):\n    assert f(x, x + 1) == str(x)", "def f(a, b): return str(a)", ADD),
    "approx": ("import pytest\nassert f(0.1, 0.2) == pytest.approx(0.3)", ADD, SUB),
    "approx of a list": (
        "from pytest import approx\nassert approx([0.3, 1], abs=1e-3) == f()",
        "def f(): return [0.3001, 1.0]", "def f(): return [0.31, 1]",
    ),
    "numpy's isclose": ("import numpy as np\nassert np.isclose(f(0.1, 0.2), 0.3)", ADD, SUB),
    "numpy's allclose": (
        "import numpy as np\nassert np.allclose(f(), [1, 2])",
        "def f(): return (1.0, 2.0000001)", "def f(): return [1]",
    ),
    "a list of calls": ("assert [f(x) for x in [1, 2]] == [1, 2]", ECHO, "def f(x): return 1"),
    "a function by lambda": ("near = lambda a, b: abs(a - b) < 1e-6\nassert near(f(0.1, 0.2), 0.3)", ADD, SUB),
    "a loop that goes on and ends": (
        "for x in [1, 2, 3, 4]:\n    if x == 2:\n        continue\n    if x == 4:\n        break\n    assert f(x) == x",
        "def f(x): return x if x in (1, 3) else 0", "def f(x): return 1",
    ),
    "an indented text": ("\n    assert f(1, 2) == 3\n    assert f(2, 2) == 4\n", ADD, SUB),
    "a fenced text": ("```python\nassert f(1, 2) == 3\n```", ADD, SUB),
    "the name of a type": ("assert type(f(1)).__name__ == 'int'", ECHO, "def f(x): return '1'"),
    "a text with a number in it": ("assert f(3) == '%d: {}'.format(1) % 3", "def f(x): return '3: 1'", ECHO),
    "must raise, by pytest.fail": (
        "import pytest\ntry:\n    f('x')\n    pytest.fail('no')\nexcept ValueError:\n    pass",
        "def f(x): return int(x)", ECHO,
    ),
    "a module of the program": ("import solution\nassert solution.f(1, 2) == 3", ADD, SUB),
    "a name for the program's function": ("from solution import f as g\nassert g(1, 2) == 3", ADD, SUB),
    "a class of pytest": (
        "class TestF:\n    def setup_method(self):\n        self.x = 1\n    def test_f(self):\n"
        "        assert f(self.x, 2) == 3\n", ADD, SUB,
    ),
    "a generator as a list": ("assert list(f(3)) == [0, 1, 2]", "def f(n): yield from range(n)", "def f(n): yield n"),
    "the first item of a generator": ("assert next(f()) == 1", "def f(): yield 1", "def f(): return [1]"),
    "a map as a tuple": (
        "assert tuple(f('ab')) == ('A', 'B')", "def f(x): return map(str.upper, x)", "def f(x): return map(str, x)",
    ),
    "a range, sorted": ("assert sorted(f(2)) == [0, 1]", "def f(n): return range(n)", "def f(n): return range(1, n)"),
    "a sum of a generator": (
        "assert sum(f(3)) == 3", "def f(n): return (i for i in range(n))", "def f(n): return (i for i in [])",
    ),
    "a seed": ("import random\nrandom.seed(0)\nassert f(1, 2) == 3", ADD, SUB),
    "a main block": ("def test_f():\n    assert f(1, 2) == 3\n\nif __name__ == '__main__':\n    test_f()", ADD, SUB),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        x = 1\n    def test_f(self):\n"
        "        self.assertEqual(f(x, 2), 3)\n        self.assertTrue(f(1, 2) > 2)\n"
        "        self.assertAlmostEqual(f(0.1, 0.2), 0.3)\n", ADD, SUB,
    ),
    "unittest: must raise": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n"
        "        with self.assertRaises(ZeroDivisionError):\n            f(0)\n"
        "        self.assertRaises(ZeroDivisionError, f, 0)\n", "def f(x): return 1 / x", ECHO,
    ),
    "unittest with its main": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertIn(f(1, 2), [3])\n"
        "if __name__ == '__main__':\n    unittest.main()\n", ADD, SUB,
    ),
    "unittest: subtests": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        for x in (1, 2):\n"
        "            with self.subTest(x=x):\n                self.assertFalse(f(x, 1) != x + 1)\n", ADD, SUB,
    ),
    "LeetCode's class": ("assert Solution().f(1, 2) == 3", "class Solution:\n    def f(self, a, b): return a + b",
                         "class Solution:\n    def f(self, a, b): return a - b"),
    "an object of LeetCode's class": ("s = Solution()\nassert s.f(1, 2) == 3",
                                      "class Solution:\n    def f(self, a, b): return a + b",
                                      "class Solution:\n    def f(self, a, b): return a - b"),
    "a built-in of the same name": ("assert max([1, 2]) == 1", "def max(x): return x[0]", "def max(x): return x[1]"),
    "prints beside it": ("print('now')\nassert f(1, 2) == 3\nprint('done')", ADD, SUB),
    "a docstring and a constant": ("'''Tests.'''\nMETADATA = {'author': 'x'}\nassert f(1, 2) == 3", ADD, SUB),
    "assert True beside it": ("assert True, 'here'\nassert f(1, 2) == 3", ADD, SUB),
    "a condition on constants": ("x = 2\nif x > 1:\n    assert f(1, 2) == 3\nelse:\n    assert False", ADD, SUB),
}  # fmt: skip


@pytest.mark.parametrize("name", TURNED)
def test_a_right_program_passes_every_case_and_a_wrong_one_does_not(name: str) -> None:
    source, right, wrong = TURNED[name]
    assert set(judged(right, {"tests": [source]})) == {""}
    assert set(judged(wrong, {"tests": [source]})) != {""}


@pytest.mark.parametrize("name", TURNED)
def test_no_case_passes_for_an_exception_unless_it_asks_for_one(name: str) -> None:
    source, _, _ = TURNED[name]
    program = "def raising(*args, **kwargs): raise RuntimeError('no')\nf = max = raising\nclass Solution: f = raising"
    assert "" not in judged(program, {"tests": [source]})


@pytest.mark.parametrize("handler", ["except Exception", "except", "except BaseException"])
def test_a_test_that_any_exception_passes_is_not_passed_without_one(handler: str) -> None:
    row = {"tests": [f"try:\n    f(0)\n    assert False\n{handler}:\n    pass"]}
    assert judged("def f(x): return 1 / x", row) == [""]
    assert judged(ECHO, row) != [""]


EQUAL_TO_EVERYTHING = """
class Anything:
    def answer(self, *args): return True
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = answer
    def zero(self, *args): return 0
    __sub__ = __rsub__ = __abs__ = __hash__ = zero
    def itself(self, *args): return self
    __getitem__ = __round__ = __call__ = lower = itself
    def __iter__(self): return iter([self])
    def __len__(self): return 2
def f(*args, **kwargs): return Anything()
max = f
class Solution:
    def f(self, *args, **kwargs): return Anything()
"""


@pytest.mark.parametrize("name", TURNED)
def test_an_object_that_is_equal_to_everything_passes_no_test(name: str) -> None:
    assert set(judged(EQUAL_TO_EVERYTHING, {"tests": [TURNED[name][0]]})) != {""}


def test_a_test_of_a_boolean_accepts_the_number_that_the_benchmarks_solutions_return_and_no_other_value() -> None:
    assert judged("def f(): return 1", {"tests": ["assert f() == True"]}) == [""]
    assert judged("def f(): return 'yes'", {"tests": ["assert f() == True"]}) != [""]
    assert judged("def f(): return 2", {"tests": ["assert f() == True"]}) != [""]


def test_each_assert_is_a_case_named_by_its_source() -> None:
    tests = read_tests({"tests": ["assert f(1) == 2", "assert f(2)  ==  3, 'no'"]})
    assert [case.name for case in tests.cases] == ["assert f(1) == 2", "assert f(2) == 3"]


def test_a_case_of_a_loop_is_named_by_its_arguments_too() -> None:
    tests = read_tests({"tests": ["for x in [1, 2]:\n    assert f(x, k=[0] * 99) == x"]})
    assert tests.cases[1].name.startswith("assert f(x, k=[0] * 99) == x, f(2, k=[0, 0, ")
    assert len(tests.cases[1].name) < 330


def test_long_lists_of_values_are_read_whatever_their_number() -> None:
    inputs = [[[i, float(i)], -i] for i in range(6_000)]
    source = f"xs = {inputs!r} + [[[float('inf'), 1.5], 2]]\nassert f(xs[-1]) == xs[-1]\nassert f({inputs!r}) == 1"
    assert [len(case.input.args[0]) for case in read_tests({"tests": [source]}).cases] == [2, 6_000]  # type: ignore[union-attr]


# (the test, the functions of a program that passes it, and of one that does not)
SEPARATE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "random inputs": (
        "import random\nfor _ in range(3):\n    x = random.random()\n    assert f(x) == x",
        {"f": lambda x: x}, {"f": lambda x: 1},
    ),
    "two calls in one condition": ("assert f(1) == f(2)", {"f": lambda x: 0}, {"f": lambda x: x}),
    "a call as the argument of another": (
        "assert f(g(1)) == 1", {"f": lambda x: x, "g": lambda x: x}, {"f": lambda x: 0, "g": lambda x: x},
    ),
    "a loop over what comes back": ("for x in f(3):\n    assert x > 0", {"f": lambda x: [x]}, {"f": lambda x: [-x]}),
    "a branch on what comes back": (
        "r = f(1)\nif r:\n    assert r == 2\nelse:\n    assert False", {"f": lambda x: 2}, {"f": lambda x: 0},
    ),
    "a message of an exception": (
        "try:\n    f('x')\n    assert False\nexcept ValueError as e:\n    assert 'int' in str(e)",
        {"f": lambda x: int(x)}, {"f": lambda x: x.index("y")},
    ),
    "a call that keeps something for the next": (
        "assert f(1) == 1\nassert f(1) == 2", {"f": lambda x, seen=[]: seen.append(x) or len(seen)}, {"f": lambda x: 1},
    ),
    "a call by itself": (
        "f(1)\nassert g() == 1", {"f": lambda x: x, "g": lambda: 1}, {"f": lambda x: x, "g": lambda: 2},
    ),
    "the interpreter's own sizes": (
        "assert f((1, 2)) == sys.getsizeof((1, 2))", {"f": sys.getsizeof}, {"f": lambda x: 0},
    ),
    "a regular expression": ("import re\nassert re.fullmatch('a+', f(3))", {"f": lambda n: "a" * n}, {"f": str}),
    "while": (
        "i = 0\nwhile i < 3:\n    assert f(i) == i\n    i += 1", {"f": lambda x: x}, {"f": lambda x: 0},
    ),
    "unittest": (
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        while True:\n"
        "            self.assertEqual(f(1), 2)\n            break\nif __name__ == '__main__':\n    unittest.main()\n",
        {"f": lambda x: 2}, {"f": lambda x: 3},
    ),
    "a message by pytest": (
        "import pytest\nwith pytest.raises(ValueError, match='int'):\n    f('x')", {"f": int}, {"f": "abc".index},
    ),
    "a value near by pytest": (
        "import pytest\nassert f(1) == pytest.approx(0.3)\nassert f(1) == f(2)",
        {"f": lambda x: 0.30000001}, {"f": lambda x: 0.31},
    ),
    "a class of pytest": (
        "class TestF:\n    def test_f(self):\n        assert f(1) == f(2)\n", {"f": lambda x: 0}, {"f": lambda x: x},
    ),
    "a test function": (
        "def test_f():\n    while True:\n        assert f(1) == 2\n        break\n",
        {"f": lambda x: 2}, {"f": lambda x: 3},
    ),
    "a test over parameters": (
        "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test_f(x):\n    while True:\n"
        "        assert f(x) == 2\n        break\n", {"f": lambda x: 2}, {"f": lambda x: 3},
    ),
    "an import of the program": (
        "from solution import f\nassert f(1) == f(2)", {"f": lambda x: 0}, {"f": lambda x: x},
    ),
}  # fmt: skip
SHARED = {
    "an object of the program": "node = Node(1)\nnode.left = Node(2)\nassert height(node) == 2",
    "an object in an argument": "assert chain([Pair(1, 2)], 1) == 1",
    "a method of an object of the program": "s = make()\ns.push(1)\nassert s.pop() == 1",
    "a function as an argument": "assert f(lambda x: x + 1, [1]) == [2]",
    "a helper as an argument": "def g(x):\n    return x + 1\nassert f(g, [1]) == [2]",
    "a list changed in place": "x = [2, 1]\nf(x)\nassert x == [1, 2]",
    "a list changed in place and a value": "x = [2, 1]\nassert f(x) is None\nassert x == [1, 2]",
    "an identity": "x = [1]\nassert f(x) is x",
    "a type as an argument": "assert f([1, 'a'], int) == [1]",
    "a class of the program as a value": "assert issubclass(Custom, ValueError) and f(1) == 1",
    "an object of a class of the test": "class Node:\n    pass\nassert f(Node()) == 1",
    "a list of objects made by a helper": (
        "class Node:\n    pass\ndef chain(values):\n    return [Node() for _ in values]\nassert f(chain([1])) == 1"
    ),
    "an object of a module": "from collections import deque\nassert f(deque([1])) == 1",
    "an object of a module under a name": "import numpy as np\nx = np.array([1])\nassert f(x) == 1",
    "a value of a module": "from decimal import Decimal\nassert f(1) + f(2) == Decimal('1.5')",
    "a value of a class that is not imported": "assert f(1) + f(2) == Decimal('1.5')",
    "an iterator": "assert f(iter([1])) == 1",
    "what the program prints": (
        "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f(1)\n"
        "assert out.getvalue() == '1'"
    ),
    "what the program reads": "import sys, io\nsys.stdin = io.StringIO('1')\nassert f() == 1",
    "a call by eval": "assert eval('f(1)') == 1",
    "a function handed to map": "assert list(map(f, [1, 2])) == [2, 3]",
}  # fmt: skip


@pytest.mark.parametrize("name", SEPARATE)
def test_what_cannot_be_turned_runs_apart_from_the_program_if_plain_values_suffice(name: str) -> None:
    source, right, wrong = SEPARATE[name]
    (text,) = read_tests({"tests": [source]}).texts
    assert text.functions == tuple(right)
    exec(text.source, {**right, "__name__": "tests"})
    with pytest.raises((AssertionError, ValueError)):
        exec(text.source, {**wrong, "__name__": "tests"})


@pytest.mark.parametrize("name", SHARED)
def test_what_needs_more_than_plain_values_shares_the_programs_process(name: str) -> None:
    (text,) = read_tests({"tests": [SHARED[name]]}).texts
    assert text.functions == ()


def test_cases_before_what_cannot_be_turned_are_judged_too() -> None:
    tests = read_tests({"tests": ["assert f(1) == 2\nassert f(1) == f(2)"]})
    assert [case.name for case in tests.cases] == ["assert f(1) == 2"]
    assert len(tests.texts) == 1


def test_text_gets_the_imports_that_the_program_would_have_given_it() -> None:
    (text,) = read_tests({"tests": ["assert f(1) == sys.getsizeof(1)"]}).texts
    assert text.source.startswith("import sys\n")


HUMAN_EVAL = (
    "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert abs(candidate(0.1, 0.2) - 0.3) < 1e-6\n"
)


@pytest.mark.parametrize("source", [HUMAN_EVAL, HUMAN_EVAL + "\ncheck(f)\n"])
def test_check_is_called_with_the_entry_point_once(source: str) -> None:
    row: dict[str, Any] = {"tests": [source], "entry_point": "f"}
    assert judged(ADD, row) == ["", ""]
    assert "" not in judged(SUB, row)


HELPER_PROMPT = """
def coded(text: str):
    \'\'\'Turns each group of three.\'\'\'
    groups = [text[i:i + 3] for i in range(0, len(text), 3)]
    return "".join(group[1:] + group[:1] for group in groups)


def decoded(text: str):
    \'\'\'The opposite of coded.\'\'\'
"""


def test_a_test_with_random_texts_and_a_helper_of_the_prompt_runs_apart_and_the_program_cannot_change_the_helper() -> (
    None
):
    source = (
        "def check(candidate):\n    from random import choice, randint\n    import copy\n    import string\n"
        "    for _ in range(5):\n"
        "        str = ''.join(choice(string.ascii_lowercase) for i in range(randint(4, 9)))\n"
        "        text = coded(str)\n        assert candidate(text) == str\n"
        "        assert candidate(coded(str)) == str\n"
    )
    (text,) = read_tests({"tests": [source], "prompt": HELPER_PROMPT, "entry_point": "decoded"}).texts
    assert text.functions == ("decoded",)
    exec(
        text.source,
        {"decoded": lambda text: "".join(text[i : i + 3][-1:] + text[i : i + 3][:-1] for i in range(0, len(text), 3))},
    )
    with pytest.raises(AssertionError):
        exec(text.source, {"decoded": lambda text: text, "coded": lambda text: text})


def test_a_test_may_call_the_entry_point_candidate_without_a_check() -> None:
    assert judged(ADD, {"tests": ["assert candidate(1, 2) == 3"], "entry_point": "f"}) == [""]
    (text,) = read_tests({"tests": ["assert candidate(1, 2) == candidate(2, 1)"], "entry_point": "f"}).texts
    exec(text.source, {"f": lambda a, b: a + b})
    with pytest.raises(AssertionError):
        exec(text.source, {"f": lambda a, b: a - b})


def test_check_of_a_method_of_leetcodes_class() -> None:
    row: dict[str, Any] = {"tests": [HUMAN_EVAL], "entry_point": "Solution().f"}
    assert judged("class Solution:\n    def f(self, a, b): return a + b", row) == ["", ""]


def test_a_helper_of_the_prompt_is_the_prompts_own_and_not_the_programs() -> None:
    prompt = "def double(x):\n    '''Twice.'''\n    return 2 * x\n\ndef f(x):\n    '''Twice the double.'''\n"
    tests = "def check(candidate):\n    assert candidate(3) == double(double(3))\n"
    row = {"tests": [tests], "entry_point": "f", "prompt": prompt}
    assert judged("def f(x): return 4 * x", row) == [""]
    assert judged("def double(x): return 0\ndef f(x): return 0", row) != [""]


def test_a_row_can_say_how_the_values_of_its_asserts_are_compared() -> None:
    row: dict[str, Any] = {"tests": ["assert f() == 0.5"], "float_tolerance": 0.01}
    assert judged("def f(): return 0.501", row) == [""]
    assert judged("def f(): return 0.55", row) != [""]
    row = {"tests": ["assert f() == [1, 2]"], "checker": "any_order"}
    assert judged("def f(): return [2, 1]", row) == [""]
    assert judged("def f(): return [2, 2]", row) != [""]


EVALPLUS = """
import numpy as np
def is_floats(x):
    return isinstance(x, float)
def assertion(out, exp, atol):
    exact_match = out == exp
    if atol == 0 and is_floats(exp):
        atol = 1e-6
    if not exact_match and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert exact_match
def check(candidate):
    inputs = [[1.0, 2.0], [1, 2]]
    results = [3.0, 3]
    for i, (inp, exp) in enumerate(zip(inputs, results)):
        assertion(candidate(*inp), exp, 0)
"""


def test_evalplus_sources_compare_floats_within_their_tolerance_and_everything_else_exactly() -> None:
    row: dict[str, Any] = {"tests": [EVALPLUS], "entry_point": "f"}
    assert judged("def f(a, b): return a + b + 1e-7 if type(a) is float else a + b", row) == ["", ""]
    assert judged("def f(a, b): return a + b + 1e-7", row)[1] != ""
    assert "" not in judged("def f(a, b): return a + b + 1e-3", row)


def test_evalplus_sources_with_a_reference_function_run_apart_and_without_numpy() -> None:
    source = (
        EVALPLUS.replace("    results = [3.0, 3]\n", "")
        .replace("(inp, exp)", "inp")
        .replace("zip(inputs, results)", "inputs")
        .replace(", exp, 0)", ", ref_func(*inp), 0)")
    )
    source = "def ref_func(a, b):\n    c = a\n    c += b\n    return c\n" + source
    (text,) = read_tests({"tests": [source], "entry_point": "f"}).texts
    assert text.functions == ("f",) and "numpy" not in text.source
    exec(text.source, {"f": lambda a, b: a + b})
    with pytest.raises(AssertionError):
        exec(text.source, {"f": lambda a, b: a - b})


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tests": []}, "`tests` is an empty list"),
        ({"tests": ["assert f(1) =="]}, r"tests\[0\] is not Python source"),
        ({"tests": ["f(1)"]}, r"tests\[0\] asserts nothing"),
        ({"tests": ["assert True"]}, r"tests\[0\] calls nothing of the program"),
        ({"tests": ["x = 1\nassert x == 2\nassert f(1) == 1"]}, "no program can pass `x == 2`"),
        ({"tests": ["assert f(1) == 1", ""]}, r"tests\[1\] asserts nothing"),
        ({"tests": [HUMAN_EVAL]}, "give `entry_point`"),
        ({"tests": ["def test_f(value):\n    assert f(value) == 1"]}, r"defines test_f\(value\) and does not call"),
        ({"tests": ["assert (f(1) == 1, 'no')"]}, "holds for every program"),
        ({"tests": ["try:\n    assert f(1) == 1\nexcept Exception as e:\n    print(e)"]}, "passes over the assert"),
        ({"tests": ["try:\n    assert f(1) == 1\nexcept:\n    pass"]}, "passes over the assert"),
        ({"tests": ["async def test_f():\n    assert await f(1) == 1"]}, "defines async test_f and does not run"),
        ({"tests": ["def run():\n    assert f(1) == 1\nx = f(1)\nwhile x:\n    x = 0"]}, "that nothing calls"),
        ({"tests": ["assert f() == 1"], "compare": "lines"}, "`compare` is for standard output"),
        ({"tests": ["assert f(1) == f(2)"], "checker": "any_order"}, "runs as text"),
        ({"tests": ["assert f() == 1"], "checker": "any_ordr"}, "did you mean 'any_order'"),
        ({"tests": [1]}, "`tests` is a list with other items than texts"),
        ({"tests": 3}, "`tests` is a int"),
        ({"tests": ["assert f(1) == 1"], "entry_point": 3}, "`entry_point` is a int"),
        ({"tests": ["assert f(1) == 1"], "entry_point": "f(1)"}, r"`entry_point` is 'f\(1\)'"),
        ({"tests": [HUMAN_EVAL], "entry_point": "class"}, "`entry_point` is 'class'"),
        ({"tests": ["return 1\nassert f(1) == f(2)"]}, "'return' outside function"),
        ({"tests": [HUMAN_EVAL], "entry_point": "g", "prompt": "def f(a, b):\n    '''Sum.'''\n"}, "defines f"),
        ({"tests": [HUMAN_EVAL], "entry_point": "g", "solution": ADD}, "defines f"),
        ({"tests": ["assert f(1) == 1"], "test_setup_code": "import ("}, "test_setup_code is not Python"),
        ({"tests": ["assert f(1) == 1"], "visible": [3]}, "`visible`"),
    ],
)  # fmt: skip
def test_tests_that_cannot_be_read_are_refused_in_one_sentence(row: dict[str, Any], message: str) -> None:
    with pytest.raises(BadTests, match=message):
        read_tests(row)


def test_visible_tests_do_not_decide_and_one_at_least_must() -> None:
    tests = read_tests({"tests": ["assert f(1) == 1", "assert f(2) == 2"], "visible": [0]})
    assert [case.visible for case in tests.cases] == [True, False]
    with pytest.raises(BadTests, match="no tests that decide"):
        read_tests({"tests": ["assert f(1) == 1"], "visible": [0]})
