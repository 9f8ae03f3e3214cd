"""The files that go into a sandbox, at the places where they find each other."""

from __future__ import annotations

import functools
from pathlib import Path

FOLDER = "/runner"
_SANDBOX = Path(__file__).parent


@functools.cache
def runner_files() -> dict[str, str]:
    """Path in the sandbox, and text."""
    files = {"verifiers/__init__.py": "", "verifiers/sandbox/__init__.py": ""}
    for path in (_SANDBOX / "values.py", *sorted((_SANDBOX / "inside").glob("*.py"))):
        files[f"verifiers/sandbox/{path.relative_to(_SANDBOX).as_posix()}"] = path.read_text(encoding="utf-8")
    return {f"{FOLDER}/{name}": text for name, text in files.items()}
