"""Every target that a person may call is in `make help`. Targets that name test files name all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
HELP = "\n".join(re.findall(r'^\t@echo "(.*)"$', MAKEFILE, re.MULTILINE))
RULES = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def test_targets_help_and_rules_are_the_same() -> None:
    assert set(PHONY) == RULES
    assert set(re.findall(r"make ([a-z][a-z-]*)", HELP)) == RULES - {"help"}


@pytest.mark.parametrize("backend", ["verl", "vllm"])
def test_every_file_with_tests_of_a_backend_is_run_by_its_target(backend: str) -> None:
    (paths,) = re.findall(rf"^test-{backend}: .*\n\t.*pytest .*?((?: tests/\S+)+)$", MAKEFILE, re.MULTILINE)
    root = Path(__file__).parents[1]
    run = {
        file
        for path in map(root.joinpath, paths.split())
        for file in (path.rglob("test_*.py") if path.is_dir() else [path])
    }
    marked = {
        file
        for file in (root / "tests").rglob("test_*.py")
        if re.search(rf"\bmark\.{backend}\b", file.read_text(encoding="utf-8"))
    }
    assert marked and marked <= run, sorted(str(file) for file in marked - run)
