"""C files of ours, compiled with this machine's instructions and loaded.

It takes a second and is kept in the folder of embedded models. Without a C compiler there are none, and their callers
compute with torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch

from reasonrl.models.embedded import cache_folders

_FOLDER = Path(__file__).parent
_HEADER = "vectors.h"
_FLAGS = (
    "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast",
)  # fmt: skip
_COMPILERS = ("gcc", "clang", "cc")
_COMPILE_S = 120


class NoKernel(Exception):
    """Why a file could not be compiled or loaded."""


def load_library(source: Path, dtype: torch.dtype, *defines: str) -> ctypes.CDLL:
    """The functions of a C file for numbers of `dtype`, compiled if they are not there yet.

    Raises:
        NoKernel: with the reason.
    """
    if dtype not in (torch.bfloat16, torch.float32):
        raise NoKernel(f"it computes with bfloat16 and float32, not with {dtype}")
    compiler = find_compiler()
    words = [*defines, f"-DBF16={int(dtype is torch.bfloat16)}"]
    texts = [path.read_text(encoding="utf-8") for path in (source, _FOLDER / _HEADER)]
    digest = hashlib.blake2b(
        "\0".join([*texts, *_FLAGS, *words, *compiler, _processor()]).encode(), digest_size=12
    ).hexdigest()
    for folder in cache_folders():
        path = folder / "kernels" / f"{source.stem}-{digest}.so"
        if not path.exists() and not _compile(compiler, source, words, path):
            continue
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            raise NoKernel(f"{path.name} cannot be loaded: {error}") from error
    raise NoKernel("no folder can be written to")


def find_compiler() -> list[str]:
    """Its command: a path, and what the variable CC has behind it (`ccache gcc`). Raises NoKernel if there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    command = named or [next(filter(shutil.which, _COMPILERS), "")]
    path = shutil.which(command[0]) if command[0] else None
    if path is None:
        raise NoKernel("no C compiler is installed (gcc or clang)")
    return [path, *command[1:]]


def _processor() -> str:
    """The instructions that `-march=native` may use: a folder can be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _compile(compiler: list[str], source: Path, words: list[str], path: Path) -> bool:
    """Whether it could be written there. Raises NoKernel if it does not compile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".so")
    except OSError:
        return False
    os.close(descriptor)
    try:
        done = subprocess.run(
            [*compiler, *_FLAGS, f"-I{_FOLDER}", *words, "-o", unfinished, str(source), "-lm"],
            capture_output=True,
            text=True,
            timeout=_COMPILE_S,
            check=False,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()
            raise NoKernel(f"{' '.join(compiler)} failed: {reason[-1] if reason else f'exit status {done.returncode}'}")
        os.replace(unfinished, path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernel(f"{' '.join(compiler)}: {error}") from error
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return True
