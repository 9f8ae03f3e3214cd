"""Expressions of tests are evaluated without running them, and what they cost is bounded."""

from __future__ import annotations

import ast
import math
import time
from typing import Any

import pytest

from verifiers.code.asserts.holds import HOLE, Holds
from verifiers.code.asserts.literals import FAILURES, NotPlain, value_of
from verifiers.code.comparison.equality import difference
from verifiers.sandbox.types import Ending, Outcome
from verifiers.sandbox.values import Items, Opaque


def value(source: str, **names: Any) -> Any:
    return value_of(ast.parse(source, mode="eval").body, names)


@pytest.mark.parametrize("source", [
    "1 + 2 * 3 - 4 / 5 // 1 % 7 ** 2", "-2 ** 2", "~5 & 3 | 4 ^ 1", "1 << 10 >> 2", "not 1", "+True",
    "[1, *range(3), *[4]]", "(1,)", "{1, 2, *[3]}", "{'a': 1, **{'b': 2}}", "b'ab' + b'c'", "'a' 'b' * 3",
    "1 < 2 <= 2 != 3", "1 in [1, 2] and 3 not in (1, 2)", "None is None", "1 if [] else 2", "[] or 'x'", "0 and 1 / 0",
    "[5, 6, 7][-1]", "'abcdef'[1:5:2]", "{'a': [1]}['a'][0]", "[x * y for x in range(3) for y in 'ab' if x]",
    "{x: x * x for x in range(3)}", "{x % 2 for x in range(5)}", "sum(x for x in range(10) if x % 2)",
    "sorted([3, 1, 2], key=lambda x: -x)", "sorted({'b': 1, 'a': 2}.items())", "list(map(str, [1, 2]))",
    "list(filter(None, [0, 1]))", "list(zip([1], 'a'))", "dict(zip('ab', [1, 2]))", "dict([(1, 2)], a=3)",
    "list(enumerate('ab', 1))", "list(reversed([1, 2]))", "max([1, 5, 2])", "min(3, 1, key=lambda x: -x)", "len('abc')",
    "round(2.675, 2)", "abs(-3 + 4j)", "divmod(7, 2)", "pow(2, 10, 7)", "int('ff', 16)", "float('-inf')", "chr(97)",
    "ord('a')", "bin(5)", "hex(255)", "complex(1, 2)", "bool([])", "str(1.5)", "repr('a')", "bytes([1, 2])", "set()",
    "frozenset([1])", "tuple('ab')", "type(1) == int", "isinstance('a', (str, int))", "'a,b'.split(',')",
    "' a '.strip()",
    "','.join(['a', 'b'])", "'Ab'.lower().upper().title()", "'a'.replace('a', 'bc')", "'7'.zfill(3)",
    "'a'.center(5, '*')",
    "'abc'.find('c')", "[1, 2, 1].count(1)", "(1, 2).index(2)", "{'a': 1}.get('b', 2)", "{1, 2}.union({3})",
    "{1} | {2} - {3} & {4}", "(1 + 2j).real", "f'{1 + 1:>4}|{\"a\"!r}'", "[[0] * 2] * 2", "10 ** 100", "2 ** -1",
    "any([0, 1])", "all([])", "'%' in 'a%b'", "[1, 2] < [1, 3]", "1_000", "0x1F", "1e308 * 10", "'ß'.casefold()",
    "(lambda a, b: a + b)(1, 2)",
    "'%d items, %.2f' % (3, 1.5)", "'{} of {n:>4}'.format(1, n=2)", "type(1).__name__" ,
])  # fmt: skip
def test_an_expression_has_the_value_that_python_gives_it(source: str) -> None:
    expected = eval(source)
    got = value(source)
    assert type(got) is type(expected)
    assert not difference(expected, got)


@pytest.mark.parametrize(("source", "expected"), [
    ("True == 1", False), ("1 == True", False), ("[1] == [True]", False), ("(1, 2) == [1, 2]", False),
    ("2 == 2.0", True), ("float('nan') == float('nan')", True), ("True in [1, 2]", False),
    ("isinstance(True, int)", False), ("1 != True", True),
])  # fmt: skip
def test_equality_is_as_strict_as_the_checks(source: str, expected: bool) -> None:
    assert value(source) is expected


@pytest.mark.parametrize("source", [
    "open('x')", "__import__('os')", "eval('1')", "exec('1')", "globals()", "getattr(1, 'real')", "().__class__",
    "[].append(1)", "b'%d' % 1", "'{0[0]}'.format([1])", "'{0.__class__}'.format(1)", "(1).__add__", "x",
    "print(1)", "input()",
    "type('X', (), {})", "[y := 1]", "(yield)", "lambda *a: a", "len.__self__", "str.mro()", "object()", "vars()",
    "int.from_bytes(b'a', 'big')", "''.__class__.__mro__", "(lambda: 1).__globals__", "iter([1])", "super()", "id(1)",
    "1 @ 2", "1 is 1", "[1] is [1]",
])  # fmt: skip
def test_what_is_not_plain_is_refused(source: str) -> None:
    with pytest.raises(FAILURES):
        value(source)


@pytest.mark.parametrize("source", [
    "10 ** 10 ** 10", "2 ** 2 ** 40", "'a' * 10 ** 12", "10 ** 9 * [0]", "list(range(10 ** 12))", "1 << 10 ** 12",
    "bytes(10 ** 12)", "list(map(bytes, [10 ** 12]))",
    "'a'.center(10 ** 12)", "f'{1:>1000000000000}'", "('a' * 10 ** 6).replace('a', 'b' * 10 ** 6)",
    "sum([[]] * 10, [])", "(lambda f: f(f))(lambda f: f(f))",
    "[x for x in r if r.count(x) > 1]", "[x for x in r if x in r]", "sum(1 for x in r for y in r if x == y)",
    "all(r == r for x in r)", "[r + r for x in r]", "'%1000000000d' % 1", "'%*d' % (10 ** 9, 1)",
    "'{:1000000000}'.format(1)",
    "'{:{}}'.format(1, 10 ** 9)", "int('9' * 10 ** 6)", "str(10 ** 10 ** 5)",
])  # fmt: skip
def test_what_would_take_long_is_refused_soon(source: str) -> None:
    start = time.process_time()
    with pytest.raises(FAILURES):
        value(source, r=list(range(100_000)))
    assert time.process_time() - start < 4


def test_names_of_a_module_are_written_with_a_point_in_one_name() -> None:
    name = ast.Name("math.factorial", ast.Load())
    assert value_of(ast.Call(name, [ast.Constant(5)], [])) == 120
    with pytest.raises(NotPlain):
        value_of(ast.Call(name, [ast.Constant(10**9)], []))
    assert value_of(ast.Name("math.pi", ast.Load())) == math.pi


def holds(source: str, got: Any) -> str:
    condition = ast.parse(source.replace("f()", HOLE), mode="eval").body
    return Holds(source, condition).failure(Outcome(Ending.FINISHED, got))


def test_a_condition_fails_in_one_line_for_values_that_it_cannot_be_computed_for() -> None:
    assert holds("len(f()) == 2", [1, 2]) == ""
    assert holds("len(f()) == 2", [1]) == "expected len(f()) == 2, got [1]"
    for got in (3, None, {"a": 1}, Opaque("Evil"), [Opaque("Evil")], "x" * 10**6, float("nan")):
        line = holds("f()[0] + f()[1] == 3", got)
        assert line and "\n" not in line and len(line) < 300
    assert holds("len(f()) == 0", Opaque("Evil")) != ""
    assert holds("[x for x in f()] == []", [Opaque("Evil")]) != ""
    assert "too many steps" in holds("all(x in f() for x in f())", list(range(50_000)))
    assert "too many steps" in holds("all(x in f() for x in f())", Items("generator", list(range(50_000)), False))
