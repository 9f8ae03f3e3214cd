"""Rows of CodeContests as they are: `public_tests`, `private_tests`, `generated_tests`: {"input": [], "output": []}."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from verifiers.code.formats.io_tests import NEAR, Comparing, read_inputs_outputs, read_test_list
from verifiers.code.types import BadTests, Case, CodeTests

GROUPS = ("public_tests", "private_tests", "generated_tests")


BY_TOKENS = Comparing("tokens", NEAR)
"""Words in order, wherever lines end; numbers with a point may differ by 1e-6, as contests allow it."""


def read_contests(reference: Mapping[str, Any], how: Comparing) -> CodeTests:
    """The public tests are visible if there are others. Raises BadTests."""
    for field in ("input_file", "output_file"):
        if reference.get(field):
            raise BadTests(
                f"`{field}` is {reference[field]!r}: only problems with standard input and output can be run"
            )
    groups: dict[str, tuple[Case, ...]] = {}
    for group in GROUPS:
        tests = reference.get(group) or {"input": [], "output": []}
        label = group.removesuffix("_tests")
        if isinstance(tests, list):
            cases = read_test_list(tests, how, "", group)
        elif isinstance(tests, Mapping):
            cases = read_inputs_outputs(tests, how, group)
        else:
            raise BadTests(f'`{group}` must be a mapping {{"input": [...], "output": [...]}}')
        groups[group] = tuple(replace(case, name=f"{label} {case.name}") for case in cases)
    hidden = groups["private_tests"] + groups["generated_tests"]
    shown = groups["public_tests"]
    if hidden:
        shown = tuple(replace(case, visible=True) for case in shown)
    if not shown and not hidden:
        raise BadTests(f"{', '.join(f'`{group}`' for group in GROUPS)} are empty; a problem needs a test")
    return CodeTests((*shown, *hidden))
