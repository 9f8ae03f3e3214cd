"""`attention.c`, compiled for one shape of heads, and `layers.c`. Where they cannot be compiled there is no kernel, and
the engine computes with torch.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path

import torch

from reasonrl.models.compiled import NoKernel, load_library

TILE = 4
"""As in attention.c."""
_FOLDER = Path(__file__).parent


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


@functools.cache
def kernel_for(shape: HeadShape) -> Kernel | None:
    """The kernel, compiled if it is not there yet; None where there can be none."""
    try:
        return load_kernel(shape)
    except NoKernel:
        return None


def load_kernel(shape: HeadShape) -> Kernel:
    """Raises NoKernel with the reason."""
    library = load_library(
        _FOLDER / "attention.c",
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
        library = load_library(_FOLDER / "layers.c", dtype)
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
