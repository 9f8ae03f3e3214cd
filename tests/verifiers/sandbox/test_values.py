"""Values on their way out of a sandbox: nothing is lost, no method of the program is asked, and reading is bounded."""

import collections
import enum
import itertools
import json
import math
import random
import subprocess
import sys
import time
import tracemalloc

import pytest

from verifiers.sandbox import values
from verifiers.sandbox.values import (
    MAX_DEPTH,
    Items,
    Malformed,
    Opaque,
    TooLarge,
    check_hashes,
    decode,
    encode,
)

NAN = float("nan")


def same(a, b):
    """Equality that tells types, zeros and nan apart, in a way of its own."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    return a == b


def random_value(rng, depth=0, hashable=False):
    atoms = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.randint(-(10 ** rng.choice([1, 18, 19, 300])), 10 ** rng.choice([1, 18, 19, 300])),
        lambda: rng.choice([0.0, -0.0, NAN, math.inf, -math.inf, 5e-324, sys.float_info.max, rng.random()]),
        lambda: complex(rng.choice([0.0, -0.0, NAN, 1.5]), rng.choice([0.0, -0.0, math.inf])),
        lambda: "".join(rng.choice('a\0\n"\\é\U0001f600\ud800\udfff') for _ in range(rng.randrange(6))),
        lambda: rng.randbytes(rng.randrange(5)),
    ]
    if depth > 3 or rng.random() < 0.4:
        return rng.choice(atoms)()
    size = range(rng.randrange(4))
    kind = rng.choice(["tuple", "frozenset"] if hashable else ["list", "tuple", "set", "frozenset", "dict"])
    if kind == "dict":
        return {random_value(rng, depth + 1, True): random_value(rng, depth + 1) for _ in size}
    hash_needed = hashable or kind in ("set", "frozenset")
    items = [random_value(rng, depth + 1, hash_needed) for _ in size]
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](items)


def test_any_plain_value_comes_back_as_it_was():
    rng = random.Random(19)
    for _ in range(2000):
        value = random_value(rng)
        text = encode(value)
        assert text.isascii()
        assert same(decode(text), value), value
        assert same(decode(text.encode()), value)


@pytest.mark.parametrize("digits", [17, 18, 19, 4300, 4301, 50_000])
def test_an_int_of_any_size_comes_back_exactly(digits):
    for value in (10**digits - 1, -(10**digits) + 1, 10**digits, 1 << (3 * digits)):
        assert decode(encode(value)) == value


def test_a_subclass_is_written_as_the_built_in_type_beneath_it():
    class Colour(enum.IntEnum):
        RED = 7

    point = collections.namedtuple("Point", "x y")
    assert same(decode(encode(Colour.RED)), 7)
    assert same(decode(encode(point(1, 2))), (1, 2))
    assert same(decode(encode(collections.OrderedDict(a=1))), {"a": 1})
    assert same(decode(encode(collections.Counter("aa"))), {"a": 2})
    assert same(decode(encode(bytearray(b"ab"))), b"ab")
    assert same(decode(encode(type("Real", (float,), {})(-0.0))), -0.0)
    assert same(decode(encode(type("Number", (complex,), {})(-0.0, -0.0))), complex(-0.0, -0.0))
    assert same(decode(encode(type("Text", (str,), {})("ab"))), "ab")


def lies(base, *arguments):
    """An instance of a subclass of which every method lies."""

    def lie(self, *args, **kwargs):
        raise AssertionError("a method of the program was asked")

    names = [name for name in dir(base) if name not in KEPT_METHODS and callable(getattr(base, name))]
    return type("Liar", (base,), dict.fromkeys([*names, "__eq__", "__hash__", "__reduce__", "__index__"], lie))(
        *arguments
    )


KEPT_METHODS = {
    "__new__",
    "__init__",
    "__class__",
    "__getattribute__",
    "__init_subclass__",
    "__subclasshook__",
    "__del__",
}


@pytest.mark.parametrize(
    ("base", "argument"),
    [(int, 3), (float, 2.5), (complex, 1j), (str, "ab"), (bytes, b"ab"), (list, [1]), (tuple, (1,)), (dict, {1: 2}),
     (set, {1}), (frozenset, {1})],
)  # fmt: skip
def test_no_method_of_a_subclass_is_asked(base, argument):
    assert same(decode(encode(lies(base, argument))), base(argument))


def test_what_is_not_plain_is_an_opaque_with_the_name_of_its_type():
    class Equal:
        def __eq__(self, other):
            return True

        def __repr__(self):
            return "3"

    Equal.__hash__ = lambda self: 0
    for value, name in ((Equal(), "Equal"), (len, "builtin_function_or_method"), (int, "type"), (..., "ellipsis")):
        for text in (encode(value), encode([{"a": value}])):
            opaque = decode(text)
            opaque = opaque if isinstance(opaque, Opaque) else opaque[0]["a"]
            assert isinstance(opaque, Opaque)
            assert opaque.type_name == name
            assert not opaque == 3  # noqa: SIM201
            assert opaque != Opaque(name)
    long_name = type("x" * 1000, (), {})()
    assert len(decode(encode(long_name)).type_name) == 80


def numbers(count):
    yield from range(count)


@pytest.mark.parametrize(
    ("value", "name", "is_sized"),
    [
        (numbers(3), "generator", False),
        (range(3), "range", True),
        (map(int, "012"), "map", False),
        (filter(lambda n: True, [0, 1, 2]), "filter", False),
        (iter([0, 1, 2]), "list_iterator", False),
        (dict.fromkeys(range(3)).keys(), "dict_keys", True),
        (collections.deque(range(3)), "deque", True),
        (type("Three", (), {"__iter__": lambda self: numbers(3)})(), "Three", False),
    ],
)
def test_what_can_be_iterated_over_comes_back_with_its_items_and_equals_nothing(value, name, is_sized):
    items = decode(encode(value))
    assert isinstance(items, Items)
    assert (items.type_name, items.is_sized, repr(items)) == (name, is_sized, f"<{name}>")
    assert list(items) == list(items) == [0, 1, 2]
    assert items != [0, 1, 2]
    assert bool(items)
    if is_sized:
        assert len(items) == 3
    else:
        with pytest.raises(TypeError, match="has no len"):
            len(items)


def test_an_iterator_without_end_is_an_opaque_and_one_that_raises_raises():
    assert isinstance(decode(encode(itertools.count())), Opaque)
    with pytest.raises(ZeroDivisionError):
        encode(1 // n for n in [1, 0])
    same_again = type("Ring", (), {"__iter__": lambda self: iter([self])})()
    with pytest.raises(TooLarge):
        encode(same_again)
    assert not decode(encode(range(0)))


def test_what_is_too_deep_or_refers_to_itself_is_too_large():
    value = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert same(decode(encode(value)), value)
    with pytest.raises(TooLarge):
        encode([value])
    ring = []
    ring.append(ring)
    with pytest.raises(TooLarge):
        encode(ring)
    table = {}
    table["self"] = table
    with pytest.raises(TooLarge):
        encode(table)


def test_what_has_too_many_items_is_too_large(monkeypatch):
    monkeypatch.setattr(values, "MAX_ITEMS", 100)
    assert decode(encode([0] * 99)) == [0] * 99
    with pytest.raises(TooLarge):
        encode([0] * 100)
    shared = [0] * 9
    with pytest.raises(TooLarge):
        encode([shared] * 20)


MALFORMED = [
    "", "{", "nul", "1.5", "-1e3", "NaN", "Infinity", "[1.0]", "{}", '{"i": 1}', '{"i": "x"}', '{"i": ""}',
    '{"i": "12"}', '{"i": "1.0"}', '{"i": ["1"]}', '{"i": null}', '{"i": {}}', '{"f": 1.0}', '{"f": "x"}', '{"f": []}',
    '{"f": "0x1p999999"}', '{"f": null}', '{"c": []}', '{"c": ["0x0p0"]}', '{"c": "ab"}', '{"c": {"a": 1}}',
    '{"c": [1, 2]}', '{"b": "x"}', '{"b": "abc"}', '{"b": [1]}', '{"o": []}', '{"o": ["a"]}', '{"o": "ab"}',
    '{"o": {"0": 1}}', '{"t": 1}', '{"t": "ab"}', '{"t": {}}', '{"t": null}', '{"s": [[]]}', '{"s": [{"d": []}]}',
    '{"s": "ab"}', '{"z": [{"s": []}]}', '{"d": [1]}', '{"d": [[1]]}', '{"d": "ab"}', '{"d": [["a"]]}',
    '{"d": [["a", null, null]]}', '{"d": [[[], null]]}', '{"d": {"a": 1}}', '{"q": []}', '{"": []}',
    '{"t": [], "s": []}', '{"i": "1", "i2": "2"}', '{"o": [1, 2], "x": 3}', '{"__class__": ["int"]}',
    '{"i": "1" * 9}', "[[]", "\x00", '{"u": "x"}', '{"u": "ff"}', '{"u": []}',
    '{"g": []}', '{"g": ["a", []]}', '{"g": ["a", 1, true]}', '{"g": "abc"}',
    '{"i": "' + "9" * 5000 + '"}', "9" * 5000, '{"f": "' + "9" * 5000 + '"}[',
]  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:40])
def test_a_text_that_encode_never_writes_is_malformed(text):
    for each in (text, text.encode()):
        with pytest.raises(Malformed) as error:
            decode(each)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 200


@pytest.mark.parametrize("text", [b"\xff\xfe\xfd", b"\xed\xa0\x80", b'"\xff"', b"\x80"])
def test_bytes_that_are_no_text_are_malformed(text):
    with pytest.raises(Malformed):
        decode(text)


@pytest.mark.parametrize("text", ["[" * 200 + "]" * 200, "[" * 100_000, '{"t":[' * 5000, '{"a":' * 100_000])
def test_a_text_that_is_nested_too_deeply_is_refused(text):
    with pytest.raises((TooLarge, Malformed)):
        decode(text)


def test_random_texts_raise_nothing_else():
    rng = random.Random(3)
    tags = ["i", "f", "t", "s", "z", "d", "b", "c", "o", "q"]

    def node(depth):
        choice = rng.randrange(9)
        if depth > 4 or choice < 4:
            return rng.choice([None, True, "", "1", "0x1", "0x1p3", "ab", "nan", 3, 1.5, [], {}])
        if choice < 6:
            return [node(depth + 1) for _ in range(rng.randrange(4))]
        return {rng.choice(tags): node(depth + 1) for _ in range(1 if rng.random() < 0.9 else 2)}

    outcomes = collections.Counter()
    for _ in range(20_000):
        try:
            decode(json.dumps(node(0)))
            outcomes["read"] += 1
        except (Malformed, TooLarge):
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 1000


MODULUS = sys.hash_info.modulus
COLLIDING = [
    [{"i": hex(MODULUS * k)} for k in range(10_000)],
    [{"f": (2.0 ** (61 * k)).hex()} for k in range(-17, 17)] + [{"i": hex(1 + MODULUS * k)} for k in range(1, 20)],
    [{"t": [{"i": hex(MODULUS * k)}]} for k in range(10_000)],
    [{"c": [float(-1000003 * k).hex(), float(k).hex()]} for k in range(10_000)],
    [1] * 10_000,
]


@pytest.mark.parametrize("items", COLLIDING, ids=["ints", "floats", "tuples", "complex", "duplicates"])
def test_members_that_all_have_the_same_hash_are_refused_at_once(items):
    started = time.process_time()
    for text in (
        json.dumps({"s": items}),
        json.dumps({"z": items}),
        json.dumps({"d": [[item, None] for item in items]}),
    ):
        with pytest.raises(TooLarge, match="have the same hash"):
            decode(text)
    assert time.process_time() - started < 5


def test_a_large_set_of_usual_members_is_read():
    for members in (range(50_000), [f"{k}" for k in range(50_000)], [k / 7 for k in range(50_000)]):
        assert decode(encode(set(members))) == set(members)
    check_hashes([-1, -2, 0, 0.0, MODULUS])
    with pytest.raises(TypeError):
        check_hashes([[]])


@pytest.mark.parametrize(
    "unit", ["[]", '{"t":[]}', '{"d":[]}', "1", '{"f":"nan"}', '{"c":["nan","nan"]}', '"a"', '{"o":["",""]}']
)
def test_the_memory_that_reading_takes_is_bounded_by_the_size_of_the_text(unit):
    text = "[" + ",".join([unit] * (30_000 // len(unit))) + "]"
    tracemalloc.start()
    decode(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120 * len(text)


def test_the_file_runs_without_the_project():
    code = "import importlib.util, sys; spec = importlib.util.spec_from_file_location('values', sys.argv[1]); "
    code += "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m); print(m.encode([1, (2.5,)]))"
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, values.__file__], capture_output=True, text=True, check=True
    ).stdout
    assert decode(out) == [1, (2.5,)]
