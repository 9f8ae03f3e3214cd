"""The files that go into a sandbox, at the places where they find each other."""

from __future__ import annotations

import functools
import importlib.util
import marshal
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = "/runner"
_UNCHECKED = (1).to_bytes(4, "little")
_SANDBOX = Path(__file__).parent


@functools.cache
def runner_files() -> dict[str, str]:
    """Path in the sandbox, and text."""
    files = {"verifiers/__init__.py": "", "verifiers/sandbox/__init__.py": ""}
    for path in (_SANDBOX / "values.py", *sorted((_SANDBOX / "inside").glob("*.py"))):
        files[f"verifiers/sandbox/{path.relative_to(_SANDBOX).as_posix()}"] = path.read_text(encoding="utf-8")
    return {f"{FOLDER}/{name}": text for name, text in files.items()}


def with_bytecode(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Python files and their compiled forms beside them, at the places where an interpreter of this version looks
    (PEP 552, not checked against the source). Another version compiles the source.

    What an interpreter leaves behind in its memory when it compiles, every fork of it has to hand on.
    """
    return {**files, **dict(_bytecode(path, source) for path, source in files.items())}


@functools.lru_cache(maxsize=64)
def _bytecode(path: str, source: bytes) -> tuple[str, bytes]:
    folder, _, name = path.rpartition("/")
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
    code = marshal.dumps(compile(source, path, "exec", dont_inherit=True, optimize=0))
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc", head + code
