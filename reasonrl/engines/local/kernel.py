"""Compiles `attention.c` for one shape of heads, and `layers.c`, with this machine's instructions, and loads them.

It takes a second and is kept in the folder of embedded models. Without a C compiler, or where the result does not do
what it should, there is no kernel, and the engine computes with torch.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from reasonrl.models.embedded import cache_folders

TILE = 4
"""As in attention.c."""
_FOLDER = Path(__file__).parent
_HEADER = "vectors.h"
_FLAGS = (
    "-O3", "-march=native", "-fopenmp", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast",
)  # fmt: skip
_COMPILERS = ("gcc", "clang", "cc")
_COMPILE_S = 120


class _Job(ctypes.Structure):
    """`Job` of attention.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("query", "key", "value", "keys", "values", "out")),
        *((name, ctypes.c_void_p) for name in ("tables", "sequence", "position", "runs", "copies")),
        *((f"{name}_{of}", ctypes.c_int64) for name in ("query", "key", "value") for of in ("token", "head")),
        *((name, ctypes.c_int64) for name in ("tokens", "run_count", "copy_count", "width", "heads", "window")),
        *((name, ctypes.c_float) for name in ("scale", "cap")),
        ("threads", ctypes.c_int32),
    )


@dataclass(frozen=True)
class HeadShape:
    """What a kernel is compiled for."""

    key_size: int
    value_size: int
    queries: int
    """Query heads for each key head."""
    dtype: torch.dtype


@dataclass(frozen=True)
class Kernel:
    """`attend_to_cache` of attention.c."""

    library: ctypes.CDLL

    def __call__(self, job: _Job) -> None:
        self.library.attend_to_cache(ctypes.byref(job))


Job = _Job


class NoKernel(Exception):
    """Why there is none."""


@functools.cache
def kernel_for(shape: HeadShape) -> Kernel | None:
    """The kernel, compiled if it is not there yet; None where there can be none."""
    try:
        return load_kernel(shape)
    except NoKernel:
        return None


def load_kernel(shape: HeadShape) -> Kernel:
    """Raises NoKernel with the reason."""
    library = _library(
        "attention",
        shape.dtype,
        f"-DKEY_SIZE={shape.key_size}",
        f"-DVALUE_SIZE={shape.value_size}",
        f"-DQUERIES={shape.queries}",
    )
    return Kernel(library)


@functools.cache
def layers_for(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The functions of layers.c; None where there can be none."""
    try:
        library = _library("layers", dtype)
    except NoKernel:
        return None
    pointer, whole, number, threads = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float, ctypes.c_int32
    library.add_and_norm.argtypes = [*[pointer] * 4, *[whole] * 2, number, threads]
    library.rotate.argtypes = [*[pointer] * 5, *[whole] * 5, number, threads]
    library.gate.argtypes = [*[pointer] * 2, *[whole] * 2, threads]
    library.draw.argtypes = [*[pointer] * 4, *[whole] * 2, number, threads]
    for function in (library.add_and_norm, library.rotate, library.gate, library.draw):
        function.restype = None
    return library


def _library(name: str, dtype: torch.dtype, *defines: str) -> ctypes.CDLL:
    """Raises NoKernel."""
    if dtype not in (torch.bfloat16, torch.float32):
        raise NoKernel(f"it computes with bfloat16 and float32, not with {dtype}")
    compiler = find_compiler()
    source = _FOLDER / f"{name}.c"
    words = [*defines, f"-DBF16={int(dtype is torch.bfloat16)}"]
    texts = [path.read_text(encoding="utf-8") for path in (source, _FOLDER / _HEADER)]
    digest = hashlib.blake2b(
        "\0".join([*texts, *_FLAGS, *words, compiler, _processor()]).encode(), digest_size=12
    ).hexdigest()
    for folder in cache_folders():
        path = folder / "kernels" / f"{name}-{digest}.so"
        if not path.exists() and not _compile(compiler, source, words, path):
            continue
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            raise NoKernel(f"{path.name} cannot be loaded: {error}") from error
    raise NoKernel("no folder can be written to")


def find_compiler() -> str:
    """Its path. Raises NoKernel if there is none."""
    named = os.environ.get("CC")
    compiler = shlex.split(named)[0] if named else next(filter(shutil.which, _COMPILERS), None)
    path = shutil.which(compiler) if compiler else None
    if path is None:
        raise NoKernel("no C compiler is installed (gcc or clang)")
    return path


def _processor() -> str:
    """The instructions that `-march=native` may use: a folder can be shared by machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _compile(compiler: str, source: Path, words: list[str], path: Path) -> bool:
    """Whether it could be written there. Raises NoKernel if it does not compile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".so")
    except OSError:
        return False
    os.close(descriptor)
    try:
        done = subprocess.run(
            [compiler, *_FLAGS, *words, "-o", unfinished, str(source), "-lm"],
            capture_output=True,
            text=True,
            timeout=_COMPILE_S,
            check=False,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()
            raise NoKernel(f"{compiler} failed: {reason[-1] if reason else f'exit status {done.returncode}'}")
        os.replace(unfinished, path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoKernel(f"{compiler}: {error}") from error
    finally:
        Path(unfinished).unlink(missing_ok=True)
    return True
