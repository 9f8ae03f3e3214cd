"""The layer "namespaces": the same as bubblewrap, made by ourselves, for machines where it is not installed."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import IO

from verifiers.sandbox import bubblewrap
from verifiers.sandbox.interpreter import Interpreter

NAME = "namespaces"
_BARE = Path(__file__).with_name("bare.py")


def launch(
    interpreter: Interpreter, channel: int, errors: IO[bytes], guest: bubblewrap.Guest | None = None
) -> subprocess.Popen[bytes]:
    """Starts one zygote in namespaces of its own, on the descriptor `channel`."""
    program = [str(interpreter.path), "-I", "-S", "-c", _BARE.read_text(encoding="utf-8")]
    return bubblewrap.start(program, interpreter, channel, errors, guest)
