"""Special checkers: for problems with more than one right answer.

A checker is a function of an input, what is expected and what came. It runs in the caller's process:

    def my_checker(case_input: Input, expected: Any, got: Any) -> bool | str

`got` is what the call returned, a plain value, or the text on standard output. It returns True, or False, or one line
that says what is wrong. A test names it by a name in CHECKERS or as "package.module:function", with options as keyword
arguments. A new built-in one is a function in a file, and a line in CHECKERS.

What it raises is an error of the checker and no verdict on the program, so it must take any plain value: a program that
makes it raise is masked instead of punished.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import pkgutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifiers.code.comparison.checks import unfinished
from verifiers.code.comparison.equality import Tolerance, difference, member_key, shown
from verifiers.code.comparison.output import same_words
from verifiers.code.types import BadTests, BrokenCheck
from verifiers.sandbox.types import Input, Outcome, Stdin
from verifiers.sandbox.values import Items, Opaque

Checker = Callable[..., bool | str]

CHECKERS = {
    "any_order": "verifiers.code.comparison.checkers:any_order",
    "any_order_at_all_levels": "verifiers.code.comparison.checkers:any_order_at_all_levels",
    "any_order_within_groups": "verifiers.code.comparison.checkers:any_order_within_groups",
    "lines_in_any_order": "verifiers.code.comparison.checkers:lines_in_any_order",
    "near": "verifiers.code.comparison.checkers:near",
    "one_of": "verifiers.code.comparison.checkers:one_of",
    "polynomial_root": "verifiers.code.comparison.checkers:polynomial_root",
    "presence": "verifiers.code.comparison.checkers:presence",
    "same_members": "verifiers.code.comparison.checkers:same_members",
    "words_in_any_case": "verifiers.code.comparison.checkers:words_in_any_case",
}

_COLLECTIONS = (list, tuple, set, frozenset, dict)
_OF_VALUES = frozenset(
    ["any_order", "any_order_at_all_levels", "any_order_within_groups", "polynomial_root", "presence", "same_members"]
)
"""Checkers that compare what a call returns: every text on standard output is wrong to them."""


@dataclass(frozen=True, slots=True)
class Special:
    """The check that asks a checker. Raises BadTests where there is no such checker or it has no such options."""

    checker: str
    case_input: Input
    expected: Any
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checker = load_checker(self.checker)
        if self.checker in _OF_VALUES and isinstance(self.case_input, Stdin):
            raise BadTests(
                f"`checker`: {self.checker!r} compares values that a function returns; for standard output write "
                "lines_in_any_order, words_in_any_case, near or one_of"
            )
        if self.checker == "one_of" and not isinstance(self.expected, list | tuple):
            raise BadTests(
                f"`checker`: one_of needs a list of right answers in each output, not {shown(self.expected)}"
            )
        try:
            signature = inspect.signature(checker)
        except (TypeError, ValueError):  # a function of an extension module does not say
            return
        try:
            signature.bind(self.case_input, self.expected, None, **self.options)
        except TypeError as error:
            raise BadTests(
                f"`checker_options`: {self.checker!r} is called with an input, the expected and the actual answer, and "
                f"{shown(dict(self.options))}: {error}"
            ) from error

    def failure(self, outcome: Outcome) -> str:
        """Raises BrokenCheck."""
        if line := unfinished(outcome):
            return line
        got = outcome.value
        if isinstance(self.case_input, Stdin):
            try:
                got = outcome.stdout.decode("utf-8")
            except UnicodeDecodeError:
                return "standard output is not UTF-8 text"
        if isinstance(got, Opaque | Items):
            return f"expected a plain value, got {shown(got)}, of type {got.type_name}"
        try:
            answer = load_checker(self.checker)(self.case_input, self.expected, got, **self.options)
        except Exception as error:  # code of the user
            line = " ".join(f"{type(error).__name__}: {error}".split())[:150]
            raise BrokenCheck(f"the checker {self.checker!r} raised {line}") from error
        if isinstance(answer, bool):
            return "" if answer else f"expected {shown(self.expected)} by the checker {self.checker}, got {shown(got)}"
        if isinstance(answer, str):
            return " ".join(answer.split())[:200]
        raise BrokenCheck(
            f"the checker {self.checker!r} returned {shown(answer)}; a checker returns True, False or a line of text"
        )


_TRUSTED: set[str] = set()


def trust_checkers(specs: Iterable[str]) -> None:
    """From now on rows may name these checkers, "package.module:function". Raises BadTests: one cannot be loaded."""
    for spec in specs:
        _load(spec, spec)
        _TRUSTED.add(spec)


def load_checker(spec: str) -> Checker:
    """By a name in CHECKERS, or "package.module:function". Modules of the current folder are found. Raises BadTests."""
    path = CHECKERS.get(spec, spec)
    if path == spec and ":" in spec and spec not in _TRUSTED:
        raise BadTests(
            f"`checker`: {spec!r} is code, and a row does not decide which code runs here; name it in the verifier's "
            f"option `checkers` as well, e.g. checkers: [{spec!r}]"
        )
    return _load(spec, path)


def _load(spec: str, path: str) -> Checker:
    if ":" not in path:
        near_names = difflib.get_close_matches(spec, CHECKERS, n=1, cutoff=0.5)
        hint = f"; did you mean {near_names[0]!r}?" if near_names else "."
        raise BadTests(
            f"`checker`: there is no checker {spec!r}{hint} Write {', '.join(CHECKERS)} or package.module:function"
        )
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden
        importlib.invalidate_caches()
    module = path.partition(":")[0]
    try:
        checker: Any = pkgutil.resolve_name(path)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise BadTests(f"`checker`: {spec!r}: there is no module {error.name!r} here or installed") from error
    except (AttributeError, ValueError) as error:
        raise BadTests(f"`checker`: {spec!r}: {error}; write package.module:function") from error
    if not callable(checker):
        raise BadTests(f"`checker`: {spec!r} is of type {type(checker).__name__}; write package.module:function")
    return checker  # type: ignore[no-any-return]


def any_order(case_input: Input, expected: Sequence[Any], got: Any) -> bool:
    """The items of a list or tuple in any order, each as often as expected. What is expected may be no list: -1."""
    if not isinstance(expected, _COLLECTIONS):
        return not difference(expected, got, types="json")
    return isinstance(got, list | tuple) and _counted(expected) == _counted(got)


def any_order_at_all_levels(case_input: Input, expected: Any, got: Any) -> bool:
    """Lists in any order, and the lists in them too: groups of anagrams."""
    try:
        return member_key(_sorted(expected), "json") == member_key(_sorted(got), "json")
    except ValueError:  # an Opaque: equal to nothing
        return False


def any_order_within_groups(case_input: Input, expected: Sequence[Sequence[Any]], got: Any) -> bool:
    """Groups in the order that is expected, each with its items in any order: nodes by depth."""
    if not isinstance(expected, list | tuple):
        return not difference(expected, got, types="json")
    return (
        isinstance(got, list | tuple)
        and len(got) == len(expected)
        and all(any_order(case_input, a, b) for a, b in zip(expected, got, strict=True))
    )


def lines_in_any_order(case_input: Input, expected: str, got: Any) -> bool:
    """The lines of a text in any order, each as often as expected, without blanks around them and empty lines."""
    if not isinstance(got, str):
        return False
    left, right = (Counter(filter(None, map(str.strip, text.split("\n")))) for text in (expected, got))
    return left == right


def near(case_input: Input, expected: Any, got: Any, *, relative: float = 1e-6, absolute: float = 1e-6) -> bool | str:
    """Equal, with floats anywhere in the value within the tolerance; of a text, the words that are such numbers."""
    tolerance = Tolerance(relative, absolute)
    if isinstance(expected, str) and isinstance(got, str):
        return same_words(expected.split(), got.split(), tolerance)
    return difference(expected, got, tolerance, "json") or True


def one_of(case_input: Input, expected: Sequence[Any], got: Any) -> bool:
    """Equal to one of the expected answers; of a text, without the blanks around it."""
    if isinstance(case_input, Stdin):
        return isinstance(got, str) and any(str(option).split() == got.split() for option in expected)
    return any(not difference(option, got, types="json") for option in expected)


def polynomial_root(case_input: Input, expected: Any, got: Any, *, absolute: float = 1e-4) -> bool:
    """Of a call with a list of coefficients, lowest first: a number where that polynomial is nearly zero."""
    if isinstance(case_input, Stdin) or type(got) not in (int, float):
        return False
    total = 0.0
    try:
        for coefficient in reversed(case_input.args[0]):
            total = total * float(got) + coefficient
    except OverflowError:
        return False
    return abs(total) <= absolute


def presence(case_input: Input, expected: bool, got: Any) -> bool:
    """For an expected bool, that bool; or any value but None for True, and None for False: "a match, or nothing"."""
    return got == expected if isinstance(got, bool) else expected == (got is not None)


def same_members(case_input: Input, expected: Any, got: Any) -> bool:
    """The same members, in any order and however often each."""
    if not isinstance(expected, _COLLECTIONS):
        return not difference(expected, got, types="json")
    if not isinstance(got, list | tuple | set | frozenset):
        return False
    return _counted(expected).keys() == _counted(got).keys()


def words_in_any_case(case_input: Input, expected: str, got: Any) -> bool:
    """The same words of a text, in capitals or not: YES, Yes."""
    return isinstance(got, str) and expected.casefold().split() == got.casefold().split()


def _counted(items: Any) -> Counter[str]:
    try:
        return Counter(member_key(item, "json") for item in items)
    except ValueError:  # an Opaque: equal to nothing
        return Counter({f"opaque {id(items)}": 1})


def _sorted(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    return sorted((_sorted(item) for item in value), key=lambda item: member_key(item, "json"))
