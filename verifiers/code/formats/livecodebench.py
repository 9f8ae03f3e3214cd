"""Rows of LiveCodeBench as they are: tests as JSON texts in `public_test_cases`, `private_test_cases`, `metadata`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from verifiers.code.formats.io_tests import Comparing, read_test_list
from verifiers.code.formats.unpickle import packed_text
from verifiers.code.types import BadTests, CodeTests

_STARRED = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json "
    "builtins typing"
)
_PLAIN = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json"
)
PRELUDE = "".join(
    [
        *(f"from {module} import *\n" for module in _STARRED.split()),
        *(f"import {module}\n" for module in _PLAIN.split()),
        "sys.setrecursionlimit(50000)\n",
    ]
)
"""The benchmark's scorer runs every program after these imports, and models count on them."""


def read_livecodebench(reference: Mapping[str, Any], how: Comparing) -> CodeTests:
    """The public tests are visible if there are private ones. Raises BadTests."""
    metadata = _parsed(reference.get("metadata") or "{}", "metadata")
    if not isinstance(metadata, Mapping):
        raise BadTests('`metadata` must be a JSON mapping, e.g. {"func_name": "twoSum"}')
    function = metadata.get("func_name") or reference.get("fn_name") or ""
    public = _tests(reference.get("public_test_cases") or [], "public_test_cases")
    private = _tests(reference.get("private_test_cases") or [], "private_test_cases")
    shown = read_test_list(public, how, function, "public_test_cases")
    hidden = read_test_list(private, how, function, "private_test_cases")
    if hidden:
        shown = tuple(replace(case, visible=True) for case in shown)
    cases = (*_named(shown, "public"), *_named(hidden, "private"))
    if not cases:
        raise BadTests("`public_test_cases` and `private_test_cases` are empty; a problem needs a test")
    return CodeTests(cases, prelude=PRELUDE, entry_point=function)


def _named(cases: Any, group: str) -> list[Any]:
    return [replace(case, name=f"{group} {case.name}") for case in cases]


def _tests(value: Any, field: str) -> list[Any]:
    tests = _parsed(value, field)
    if not isinstance(tests, list):
        raise BadTests(f'`{field}` must be a JSON list of {{"input", "output", "testtype"}}')
    return tests


def _parsed(value: Any, field: str) -> Any:
    """A value, its JSON text, or (as private tests are published) that text packed."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except RecursionError:
        raise BadTests(f"`{field}` is nested too deeply") from None
    except ValueError:
        pass
    try:
        return json.loads(packed_text(value))
    except (ValueError, RecursionError) as error:
        raise BadTests(f"`{field}` cannot be read: {error}; take the column as LiveCodeBench publishes it") from None
