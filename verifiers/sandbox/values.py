"""Plain values on their way into a sandbox and back, as JSON text that keeps Python's types apart.

This file is sent into the sandbox and runs there too, so it uses the standard library alone and imports nothing of the
project. What comes back was written by a process that nobody trusts: `decode` builds built-in types and `Opaque`, runs
no code of the program, and is bounded in depth and size.

    null, booleans, texts     as in JSON, and ints of up to 18 digits
    [..]                      a list
    {"i": "0x123"}            a longer int (in hexadecimal: reading decimals of any length is quadratic)
    {"f": "0x1.8p+1"}         a float, with nan and inf
    {"t": [..]} {"s": [..]} {"z": [..]} {"d": [[key, value], ..]} {"b": "hex"} {"c": [re, im]}
                              tuple, set, frozenset, dict, bytes, complex
    {"u": "hex"}              a text with halves of surrogate pairs, as UTF-8
    {"g": ["type", [..], sized]}
                              what else can be iterated over: a generator, a range, a deque. Its items, and whether it
                              has a length
    {"o": ["type", "repr"]}   anything else, by the name of its type: equal to nothing
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

MAX_DEPTH = 100
MAX_ITEMS = 1_000_000
MAX_ITERATED = 100_000
"""Items that are taken from a generator and the like. One that has more is an `Opaque`."""
MAX_EQUAL_HASHES = 50
"""Of the members of a set or the keys of a dict. Numbers can be chosen so that all their hashes are equal, and building
a set of them takes time quadratic in their count.
"""


class Opaque:
    """A value that is not plain: a function, an iterator, an instance of the program's own class. Equal to nothing."""

    __slots__ = ("text", "type_name")

    def __init__(self, type_name: str, text: str = "") -> None:
        self.type_name, self.text = type_name, text

    def __repr__(self) -> str:
        return self.text or f"<{self.type_name}>"


class Items:
    """A value that is not plain and can be iterated over: a generator, a range, a deque. Equal to nothing, but
    `list(f(x))` and `sorted(f(x))` have a value.
    """

    __slots__ = ("is_sized", "items", "type_name")

    def __init__(self, type_name: str, items: list[Any], is_sized: bool) -> None:
        self.type_name, self.items, self.is_sized = type_name, items, is_sized

    def __repr__(self) -> str:
        return f"<{self.type_name}>"

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        if not self.is_sized:
            raise TypeError(f"object of type {self.type_name!r} has no len()")
        return len(self.items)

    def __bool__(self) -> bool:
        return not self.is_sized or bool(self.items)


class TooLarge(ValueError):
    """The value is nested too deeply, refers to itself, or has too many items."""


class Malformed(ValueError):
    """The text is not an encoded value."""


_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_ATOMS = frozenset({type(None), bool, int, float, str, bytes, complex})


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether a value consists of lists, tuples, dicts, numbers and texts of these types themselves, not too deep."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if depth >= MAX_DEPTH:
        return False
    if kind is list or kind is tuple:
        return _ATOMS.issuperset(map(type, value)) or all(is_plain(item, depth + 1) for item in value)
    if kind is dict:
        return is_plain([*value], depth) and is_plain([*value.values()], depth)
    return False


def encode(value: Any) -> str:
    """The value as JSON text. Subclasses are written as the built-in type beneath them, by that type's own methods, so
    that an `__eq__` or `__int__` of the program has no say. A generator is run to its end. Raises TooLarge, and what
    the iteration over the program's own objects raises.
    """
    budget = [MAX_ITEMS]
    return _ENCODER.encode(_written(value, 0, budget))


def _written(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if depth > MAX_DEPTH:
        raise TooLarge(f"nested more than {MAX_DEPTH} levels deep, or refers to itself")
    if budget[0] < 0:
        raise TooLarge(f"more than {MAX_ITEMS} items")
    kind = type(value)
    if value is None or kind is bool or (kind is int and -(10**18) < value < 10**18):
        return value
    if kind is list:
        return [_written(item, depth + 1, budget) for item in value]
    if issubclass(kind, str):
        return _text(str.__getitem__(value, slice(None)))
    if issubclass(kind, int):
        plain = int.__pos__(value)
        return plain if -(10**18) < plain < 10**18 else {"i": hex(plain)}
    if issubclass(kind, float):
        return {"f": float.hex(float.__pos__(value))}
    if issubclass(kind, complex):
        plain_complex = complex.__pos__(value)
        return {"c": [float.hex(plain_complex.real), float.hex(plain_complex.imag)]}
    if issubclass(kind, (bytes, bytearray)):
        return {"b": bytes(memoryview(value)).hex()}
    for base, tag in ((list, ""), (tuple, "t"), (set, "s"), (frozenset, "z")):
        if issubclass(kind, base):
            items = [_written(item, depth + 1, budget) for item in base.__iter__(value)]  # type: ignore[arg-type]
            return {tag: items} if tag else items
    if issubclass(kind, dict):
        return {
            "d": [
                [_written(key, depth + 1, budget), _written(item, depth + 1, budget)] for key, item in dict.items(value)
            ]
        }
    if getattr(kind, "__iter__", None) is not None:
        taken = list(itertools.islice(value, MAX_ITERATED + 1))
        if len(taken) <= MAX_ITERATED:
            items = [_written(item, depth + 1, budget) for item in taken]
            return {"g": [_name(kind), items, getattr(kind, "__len__", None) is not None]}
    return {"o": [_name(kind), ""]}


def _text(text: str) -> Any:
    """JSON would read two halves of a surrogate pair as one character."""
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return {"u": text.encode("utf-8", "surrogatepass").hex()}


def _name(kind: type) -> str:
    name = type.__dict__["__name__"].__get__(kind)
    return str.__getitem__(name, slice(0, 80))


def decode(text: str | bytes) -> Any:
    """The value that `encode` wrote. Raises Malformed, TooLarge."""
    try:
        node = json.loads(text)
    except RecursionError:
        raise TooLarge("nested too deeply") from None
    except (ValueError, TypeError) as error:
        raise Malformed(f"not an encoded value: {str(error)[:80]}") from None
    return decode_node(node)


def decode_node(node: Any) -> Any:
    """The same, of what JSON made of the text. Raises Malformed, TooLarge."""
    try:
        return _read(node, 0)
    except RecursionError:
        raise TooLarge("nested too deeply") from None
    except (TooLarge, Malformed):
        raise
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise Malformed(f"not an encoded value: {str(error)[:80]}") from None


def _read(node: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise TooLarge(f"nested more than {MAX_DEPTH} levels deep")
    if node is None or isinstance(node, (bool, int, str)):
        return node
    if isinstance(node, list):
        return [_read(item, depth + 1) for item in node]
    if not isinstance(node, dict) or len(node) != 1:
        raise Malformed(f"not an encoded value: a JSON {type(node).__name__}")
    ((tag, body),) = node.items()
    if isinstance(body, str):
        if tag == "i" and "x" in body:
            return int(body, 16)
        if tag == "f":
            return float.fromhex(body)
        if tag == "b":
            return bytes.fromhex(body)
        if tag == "u":
            return bytes.fromhex(body).decode("utf-8", "surrogatepass")
    if not isinstance(body, list):
        raise Malformed(f"not an encoded value: a JSON {type(body).__name__} under {tag[:10]!r}")
    if tag == "c":
        return complex(float.fromhex(body[0]), float.fromhex(body[1]))
    if tag == "o":
        return Opaque(str(body[0])[:80], str(body[1])[:200])
    if tag == "g":
        return Items(str(body[0])[:80], [_read(item, depth + 1) for item in body[1]], body[2] is True)
    if tag == "d":
        keys = [_read(key, depth + 1) for key, _ in body]
        check_hashes(keys)
        return dict(zip(keys, [_read(item, depth + 1) for _, item in body], strict=True))
    items = [_read(item, depth + 1) for item in body]
    if tag == "t":
        return tuple(items)
    if tag not in ("s", "z"):
        raise Malformed(f"there is no value of kind {tag[:10]!r}")
    check_hashes(items)
    return set(items) if tag == "s" else frozenset(items)


def check_hashes(items: Iterable[Any]) -> None:
    """Raises TooLarge if a set of these items takes long to build; TypeError if they are not hashable."""
    hashes = sorted(map(hash, items))
    if any(hashes[i] == hashes[i + MAX_EQUAL_HASHES] for i in range(len(hashes) - MAX_EQUAL_HASHES)):
        raise TooLarge(f"more than {MAX_EQUAL_HASHES} members of a set have the same hash")
