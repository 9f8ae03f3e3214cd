"""Puts the code of a library on large pages.

A child of a fork has none of the pages that its parent has mapped from a file: it faults each of them in again,
hundreds for one small proof. Pages of 2 MB in the process's own memory are handed on by a fork, a few dozen entries in
all. The price is that memory, once for each process that forks.
"""

from __future__ import annotations

import ctypes
import mmap
import os

_SIZE = 2 << 20
_MAY_MOVE, _FIXED = 1, 2
_HUGE, _COLLAPSE = 14, 25
"""MADV_HUGEPAGE, MADV_COLLAPSE (Linux 6.1)."""
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None)
_libc.mmap.restype = _libc.mremap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = _libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def take_large_pages(library: str) -> int:
    """Moves the code of a library that this process has loaded, and says how many bytes. 0 where the kernel has no such
    pages, or does not let memory be code: then all is as it was.

    No other thread may run.
    """
    moved = 0
    for start, end in _code_of(library):
        first, last = -(-start // _SIZE) * _SIZE, end // _SIZE * _SIZE
        if first < last and _move(first, last - first):
            moved += last - first
    return moved


def _code_of(library: str) -> list[tuple[int, int]]:
    name = os.path.basename(library)
    places = []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.split(maxsplit=5)
            if len(words) == 6 and words[1].startswith("r-x") and os.path.basename(words[5].rstrip("\n")) == name:
                start, _, end = words[0].partition("-")
                places.append((int(start, 16), int(end, 16)))
    return places


def _move(start: int, size: int) -> bool:
    """Copies a range, and puts the copy in its place in one step."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    area = _libc.mmap(None, size + _SIZE, mmap.PROT_READ | mmap.PROT_WRITE, private, -1, 0)
    if area in (None, _FAILED):
        return False
    copy = -(-area // _SIZE) * _SIZE
    is_moved = False
    if _libc.madvise(copy, size, _HUGE) == 0:
        ctypes.memmove(copy, start, size)
        if _libc.madvise(copy, size, _COLLAPSE) == 0:  # large already, or now: or there are none here
            is_code = _libc.mprotect(copy, size, mmap.PROT_READ | mmap.PROT_EXEC) == 0
            is_moved = is_code and _libc.mremap(copy, size, size, _MAY_MOVE | _FIXED, start) == start
    if not is_moved:
        _libc.munmap(area, size + _SIZE)
        return False
    _libc.munmap(area, copy - area)
    _libc.munmap(copy + size, area + _SIZE - copy)
    return True
