"""What the packages import is what pyproject.toml asks for, whoever else brings it along today."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("reasonrl", "verifiers", "critics")
DISTRIBUTIONS = {"yaml": "pyyaml", "hydra": "hydra-core", "transfer_queue": "transferqueue"}
"""Where the name of the distribution is not the one that is imported."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def distributions(requirements: list[str]) -> set[str]:
    """The names of requirements, in lower case and with dashes."""
    names = [re.match(r"[\w.-]+", requirement) for requirement in requirements]
    return {name[0].lower().replace("_", "-") for name in names if name}


CORE = distributions(PROJECT["dependencies"])
EXTRAS = {name: distributions(requirements) for name, requirements in PROJECT["optional-dependencies"].items()}
OPTIONAL = set().union(*(names for extra, names in EXTRAS.items() if extra != "dev"))

APART = {"verl_backend", "serving"}
"""Packages that are imported only where their extra is wanted."""


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The distribution of each import of another project, and whether it is made when the module is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            name = module.split(".")[0]
            if name not in sys.stdlib_module_names and name not in PACKAGES:
                yield DISTRIBUTIONS.get(name, name.replace("_", "-")), id(node) in at_once


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_required(package: str) -> None:
    paths = sorted((ROOT / package).rglob("*.py"))
    assert paths
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name, at_once in imports(path)
        if name not in CORE and (name not in OPTIONAL or (at_once and not APART & set(path.parts)))
    ]
    assert not missing, "name it in pyproject.toml, an optional one in an extra and imported where it is used"


def test_sympy_is_required() -> None:
    """math-verify needs it and leaves it to latex2sympy2_extended to ask for it."""
    assert "sympy" in CORE
