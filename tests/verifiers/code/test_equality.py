"""Equality of plain values: strict about types, bounded, and told in one line."""

import math
import random
import sys
import time

import pytest

from verifiers.code.comparison.equality import EXACT, Tolerance, difference, member_key, same_number, shown
from verifiers.sandbox.values import Opaque, decode, encode

NAN = float("nan")
INF = float("inf")
NEAR = Tolerance(relative=1e-6, absolute=1e-9)


def deep(depth, wrap=lambda value: [value]):
    value = 1
    for _ in range(depth):
        value = wrap(value)
    return value


EQUAL = [
    (1, 1), (2, 2.0), (2.0, 2), (1, 1 + 0j), (True, True), (None, None), ("a", "a"), (b"a", b"a"), ("", ""),
    (NAN, NAN), (0.0, -0.0), (INF, INF), (10**400, 10**400), (2**53, 2.0**53), (complex(NAN, 1), complex(NAN, 1)),
    ([1, [2, (3,)]], [1, [2, (3,)]]), ((), ()), ({}, {}), (set(), frozenset()), ({1, 2}, {2, 1}), ({1.0}, {1}),
    ({"a": 1, "b": [2]}, {"b": [2], "a": 1}), ({(1, 2): {3}}, {(1, 2): {3}}), ({NAN}, {NAN}), ({1: 2}, {1.0: 2}),
    ({frozenset({1}), 2}, {2, frozenset({1})}), ([NAN, None], [NAN, None]),
]  # fmt: skip

DIFFERENT = [
    (1, True), (True, 1), (0, False), (False, 0), (False, None), (0, None), ("1", 1), (1, "1"), ("", None), ([], ()),
    ((1,), [1]), ([1], (1,)), ("a", b"a"), ([], {}), ({}, set()), ([1, 2], [2, 1]), ([1], [1, 1]), ([1, 1], [1]),
    (2**53 + 1, 2.0**53), (10**400, INF), (10**400, 10**400 + 1), (NAN, None), (NAN, 0.0), (INF, -INF), (0, NAN),
    ({1}, {True}), ({1: 2}, {True: 2}), ({1: 1}, {1: True}), ({1, 2}, {1}), ({"a": 1}, {"a": 1, "b": 2}),
    ([[1]], [[True]]), ({"1": 2}, {1: 2}), (1 + 1j, 1), (0.1 + 0.2, 0.3), ("a", "a "), ("5", ["5"]), ([5, 7, 9], 5),
    (Opaque("E"), Opaque("E")), (1, Opaque("E")), ({(1,): 1}, {(Opaque("E"),): 1}),
    (10**400, 1j), (1j, 10**400), ({1: 1, "a": 2}, {1: 1, "b": 2}),
    ([1], [Opaque("E", "1")]), ({1}, {Opaque("E")}), ({1: 1}, {Opaque("E"): 1}), ("<E>", Opaque("E")),
    ({(1,)}, {(True,)}), (frozenset({"1"}), {1}), ("None", None), ("\u00e9", "e\u0301"),
]  # fmt: skip


def kind(value: object) -> str:
    """Names cases: the order of a set differs from process to process, and a huge number is no name."""
    return type(value).__name__


@pytest.mark.parametrize(("expected", "got"), EQUAL, ids=kind)
def test_equal_values_are_equal_both_ways_and_after_a_sandbox(expected, got):
    assert difference(expected, got) == difference(got, expected) == ""
    assert difference(expected, decode(encode(got))) == ""
    assert member_key(expected) == member_key(got)


@pytest.mark.parametrize(("expected", "got"), DIFFERENT, ids=kind)
def test_different_values_are_different_both_ways_and_the_reason_is_one_short_line(expected, got):
    for line in (difference(expected, got), difference(got, expected)):
        assert line
        assert "\n" not in line
        assert len(line) < 400


def test_an_opaque_is_not_equal_to_itself():
    value = Opaque("E")
    assert difference(value, value)
    assert difference([value], [value])


@pytest.mark.parametrize(
    ("expected", "got", "line"),
    [
        (3, 4, "expected 3, got 4"),
        (1, True, "expected 1 (int), got True (bool)"),
        ([1, 2, 3], [1, 2, 4], "at [2]: expected 3, got 4"),
        ({"a": [1]}, {"a": [2]}, "at ['a'][0]: expected 1, got 2"),
        ({"a": 1}, {}, "the key 'a' is missing"),
        ({}, {"a": 1}, "the key 'a' is not expected"),
        ([1], [1, 2], "expected [1], got [1, 2] (1 items, not 2)"),
        ((1,), [1], "expected (1,) (tuple), got [1] (list)"),
        (1, Opaque("E", "<E object>"), "expected 1 (int), got <E object> (E)"),
        ("a\nb", "a", r"expected 'a\nb', got 'a'"),
        (10**5000, 1, "expected an int of 16610 bits, got 1"),
    ],
    ids=kind,
)
def test_the_reason_names_the_place(expected, got, line):
    assert difference(expected, got) == line


@pytest.mark.parametrize(
    ("expected", "got", "is_near"),
    [
        (1.0, 1.0 + 1e-7, True),
        (1.0, 1.0 + 1e-5, False),
        (1.0, 1, True),
        (1, 1.0 + 1e-9, False),
        (100000, 100000.01, False),
        (0.0, 1e-10, True),
        (0.0, 1e-8, False),
        (1.0, True, False),
        (INF, sys.float_info.max, False),
        (sys.float_info.max, INF, False),
        (sys.float_info.max, 10**400, False),
        (1.0, NAN, False),
        (NAN, 1.0, False),
        (NAN, NAN, True),
        (1 + 1j, 1 + 1.0000001j, True),
        (1 + 1j, 1 + 1.1j, False),
        ([1.0, {"a": 2.0}], [1.0 + 1e-8, {"a": 2.0 - 1e-8}], True),
        ({1.0, 2.0}, {1.0 + 1e-8, 2.0}, True),
        ({1.0, 2.0}, {1.0 + 1e-3, 2.0}, False),
        ({(0, 1.0)}, {(0, 1.0 + 1e-8)}, True),
        ({(0, 1.0)}, {(1, 1.0 + 1e-8)}, False),
        ({1.0, "a"}, {1.0 + 1e-8, "a"}, True),
    ],
    ids=kind,
)
def test_a_tolerance_holds_for_expected_floats_alone(expected, got, is_near):
    assert (difference(expected, got, NEAR) == "") == is_near


def test_a_nan_among_numbers_in_a_set_does_not_make_them_near():
    assert difference({1.0, 2.0}, {NAN, 2.0}, NEAR)
    assert difference({NAN, 2.0}, {1.0, 2.0}, NEAR)


@pytest.mark.parametrize(
    ("expected", "got", "is_equal"),
    [
        ([1, 2], (1, 2), True),
        ([[1], [2]], ((1,), (2,)), True),
        ({"1": [2]}, {1: (2,)}, True),
        ({"a": 1}, {"a": 1}, True),
        ({"1": 2}, {True: 2}, False),
        ([1], {1}, False),
        (True, 1, False),
        (1, True, False),
        (None, "null", False),
        ("a", ["a"], False),
        ({"1": 1}, {1.0: 1}, False),
        ({"1": 1}, {1: 1, "1": 1}, False),
    ],
)
def test_as_json_a_tuple_is_a_list_and_a_number_as_a_key_is_its_text(expected, got, is_equal):
    assert (difference(expected, got, types="json") == "") == is_equal


def random_value(rng, depth=0):
    kinds = ["none", "bool", "int", "float", "str", "bytes", "complex"]
    if depth < 3:
        kinds += ["list", "tuple", "dict", "set"] * 2
    kind = rng.choice(kinds)
    if kind in ("list", "tuple"):
        items = [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
        return items if kind == "list" else tuple(items)
    if kind == "dict":
        return {rng.choice(["a", "b", 1, 2.5, None, (1, "x")]): random_value(rng, depth + 1) for _ in range(3)}
    if kind == "set":
        return {rng.choice(["a", 1, 2.5, None, (1, "x"), b"b"]) for _ in range(3)}
    return {
        "none": None, "bool": rng.random() < 0.5, "int": rng.choice([0, 1, -1, 10**18, -(10**30), 255]),
        "float": rng.choice([0.0, -0.0, 1.5, NAN, INF, -INF, 1e-300]),
        "str": rng.choice(["", "a", "\ud800", "\n", "é"]),
        "bytes": b"\x00\xff", "complex": 1j,
    }[kind]  # fmt: skip


def test_any_value_equals_its_copy_and_equal_keys_mean_equal_values():
    rng = random.Random(5)
    values = [random_value(rng) for _ in range(300)]
    for value in values:
        copy = decode(encode(value))
        assert difference(value, copy) == ""
        assert member_key(value) == member_key(copy)
    for a, b in zip(values, rng.sample(values, len(values)), strict=True):
        assert (member_key(a) == member_key(b)) == (difference(a, b) == "")


def test_deep_and_cyclic_values_end_in_a_line():
    assert difference(deep(90), deep(90)) == ""
    assert "too large" in difference(deep(5000), deep(5000))
    assert difference({deep(90, lambda v: (v,))}, {deep(90, lambda v: (v,))}) == ""
    assert difference({deep(500, lambda v: (v,))}, {deep(500, lambda v: (v,))})
    ring = [1]
    ring.append(ring)
    other = [1]
    other.append(other)
    assert "too large" in difference(ring, other)
    assert len(shown(ring)) < 200
    assert len(shown(deep(5000))) < 200


def test_large_values_are_compared_in_linear_time():
    started = time.process_time()
    numbers = list(range(100_000))
    assert difference(numbers, list(numbers)) == ""
    assert difference(set(numbers), set(numbers)) == ""
    assert difference(dict.fromkeys(numbers), dict.fromkeys(numbers)) == ""
    assert difference("x" * 10**6, "x" * 10**6) == ""
    collisions = [k * (2**61 - 1) for k in range(20_000)]
    assert all(hash(number) == 0 for number in collisions[:9])
    assert len({member_key(number) for number in collisions}) == len(collisions)
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    "value", [1, "x" * 10_000, list(range(10_000)), {1: {2: {3: {4: {5: 6}}}}}, b"x" * 1000, "\n\r\x00"]
)
def test_what_is_shown_is_one_short_line(value):
    assert len(shown(value)) <= 120
    assert shown(value).isprintable()


def test_same_number_is_exact_without_a_tolerance():
    assert not same_number(0.1 + 0.2, 0.3, EXACT)
    assert not same_number(1.0, math.nextafter(1.0, 2.0))
