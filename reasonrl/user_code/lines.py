"""Which of many lines of code is the user's own: where an error came from, or where a call stands."""

from __future__ import annotations

import contextlib
import os
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_PACKAGES = Path(__file__).resolve().parents[2]
_OUR_CODE = tuple(str(_PACKAGES / name) + os.sep for name in ("reasonrl", "verifiers", "critics"))
_LIBRARIES = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def innermost_user_line(lines: Iterable[tuple[str, int]]) -> str:
    """`rewards.py, line 12`: the innermost line of the user's files, else of an installed package.

    Empty where only this project and the standard library are. Files of the current folder are relative to it.

    Args:
        lines: file and line of each call, the outermost first.
    """
    places: dict[str, str] = {}
    for file, line in lines:
        if file.startswith("<frozen ") or os.path.abspath(file).startswith(_OUR_CODE):
            continue
        installed = "site-packages" in Path(file).parts or "dist-packages" in Path(file).parts
        if not installed and file.startswith(_LIBRARIES):
            continue
        # A dataclass makes its __init__ in "<string>"; a notebook has nothing else.
        kind = "installed" if installed else "generated" if file.startswith("<") else "user"
        places[kind] = f"{_short(file)}, line {line}"
    return places.get("user") or places.get("generated") or places.get("installed") or ""


def _short(file: str) -> str:
    with contextlib.suppress(ValueError, OSError):
        return str(Path(file).relative_to(Path.cwd()))
    return file
