"""Test text that stays text, judged by the verifier in the sandbox of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from verifiers.code.verifier import CodeVerifier
from verifiers.types import Status

NODE = "class Node:\n    def __init__(self, value): self.left = None\n"
# (the trust, the test, a program that passes it, a program that does not)
TEXTS = {
    "random inputs": (
        "separate", "import random\nfor _ in range(3):\n    x = random.random()\n    assert f(x) == x",
        "def f(x): return x", "def f(x): return 1",
    ),
    "a class of unittest": (
        "separate",
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), f(2))\n",
        "def f(x): return 0", "def f(x): return x",
    ),
    "a class of pytest": (
        "separate", "class TestF:\n    def test_f(self):\n        assert f(1) == f(2)\n",
        "def f(x): return 0", "def f(x): return x",
    ),
    "a message, by pytest": (
        "separate", "import pytest\nwith pytest.raises(ValueError, match='int'):\n    f('x')",
        "def f(x): return int(x)", "def f(x): return 'abc'.index(x)",
    ),
    "a loop over a generator": (
        "separate", "total = 0\nfor x in f(3):\n    total += x\nassert total == 3",
        "def f(n): yield from range(n)", "def f(n): yield n + 1",
    ),
    "the interpreter's own sizes": (
        "separate", "assert f((1, 2)) == sys.getsizeof((1, 2))",
        "import sys\ndef f(x): return sys.getsizeof(x)", "def f(x): return 0",
    ),
    "objects of the program": (
        "shared", "node = Node(1)\nnode.left = Node(2)\nassert height(node) == 2",
        f"{NODE}def height(n): return 1 + height(n.left) if n else 0", f"{NODE}def height(n): return 1",
    ),
    "an object of a class of the test": (
        "shared", "class Box:\n    size = 3\nassert f(Box()) == 3",
        "def f(box): return box.size", "def f(box): return 0",
    ),
    "a function as an argument": (
        "shared", "assert f(lambda x: x + 1, [1]) == [2]",
        "def f(g, xs): return [g(x) for x in xs]", "def f(g, xs): return xs",
    ),
    "a list changed in place": (
        "shared", "x = [2, 1]\nf(x)\nassert x == [1, 2]", "def f(x): x.sort()", "def f(x): return sorted(x)",
    ),
    "what the program prints": (
        "shared", "import io, contextlib\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n    f(1)\n"
        "assert out.getvalue() == '1'", "def f(x): print(x, end='')", "def f(x): return x",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def verifier() -> Iterator[CodeVerifier]:
    opened = CodeVerifier()
    yield opened
    opened.close()


@pytest.mark.parametrize("name", TEXTS)
def test_a_right_program_passes_a_text_and_a_wrong_one_does_not(verifier: CodeVerifier, name: str) -> None:
    trust, source, right, wrong = TEXTS[name]
    verdicts = verifier.verify_answers([right, wrong], [{"tests": [source]}] * 2)
    assert [verdict.correct for verdict in verdicts] == [True, False], [verdict.reason for verdict in verdicts]
    assert {verdict.status for verdict in verdicts} == {Status.JUDGED}
    assert {verdict.details["trust"] for verdict in verdicts} == {trust}
