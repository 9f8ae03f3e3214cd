"""Puts the code of a library, or of the interpreter, on large pages.

A child of a fork has none of the pages that its parent has mapped from a file: it faults each of them in again,
hundreds for one small proof. Pages of 2 MB in the process's own memory are handed on by a fork, a few dozen entries in
all. The price is that memory, once for each process that forks. Linux from 6.1 on can be asked for such pages.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os

_SIZE = 2 << 20
_MAY_MOVE, _FIXED = 1, 2
_HUGE, _COLLAPSE = 14, 25
"""MADV_HUGEPAGE, MADV_COLLAPSE (Linux 6.1)."""
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = _libc.mremap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.mremap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.madvise.argtypes = _libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def take_large_pages(file: str) -> int:
    """Moves the code of a library that this process has loaded, or of its interpreter, and says how many bytes. 0 where
    the kernel has no such pages, or does not let memory be code: then all is as it was.

    Constants that share a large page with code move with it, and can be executed then. No other thread may run. Raises
    OSError where the code is lost: the process has to end.
    """
    if not _has_large_pages():
        return 0
    moved = 0
    for first, last in _ranges(_read_only(os.path.basename(file))):
        if _move(first, last - first):
            moved += last - first
    return moved


def interpreter_files() -> list[str]:
    """The program that runs, and Python's own library where that holds its code."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        mapped = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/libpython" in line}
    return [os.readlink("/proc/self/exe"), *sorted(mapped)]


def _read_only(name: str) -> list[tuple[int, int, bool]]:
    """Start, end, and whether it is code, of what a file has mapped, without what can be written."""
    places = []
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            words = line.split(maxsplit=5)
            if len(words) == 6 and words[1][:2] == "r-" and os.path.basename(words[5].rstrip("\n")) == name:
                start, _, end = words[0].partition("-")
                places.append((int(start, 16), int(end, 16), words[1][2] == "x"))
    return places


def _ranges(places: list[tuple[int, int, bool]]) -> list[tuple[int, int]]:
    """The large pages that code lies on, as far as nothing else lies on them."""
    ranges: list[tuple[int, int]] = []
    for number, (start, end, is_code) in enumerate(places):
        if not is_code:
            continue
        lowest, highest = start, end
        for before, after, _ in reversed(places[:number]):
            lowest = before if after == lowest else lowest
        for before, after, _ in places[number + 1 :]:
            highest = after if before == highest else highest
        first, last = start // _SIZE * _SIZE, -(-end // _SIZE) * _SIZE
        first, last = first if first >= lowest else first + _SIZE, last if last <= highest else last - _SIZE
        if ranges:
            first = max(first, ranges[-1][1])
        if first < last:
            ranges.append((first, last))
    return ranges


def _has_large_pages() -> bool:
    """Tried with one page, before all is copied."""
    area = _new_area(_SIZE)
    if area is None:
        return False
    page = -(-area // _SIZE) * _SIZE
    ctypes.memset(page, 1, 1)
    has_some = _libc.madvise(page, _SIZE, _COLLAPSE) == 0
    _libc.munmap(area, 2 * _SIZE)
    return has_some


def _new_area(size: int) -> int | None:
    """With one page more, so that there is a place that can be divided by the size of a page."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    area: int | None = _libc.mmap(None, size + _SIZE, mmap.PROT_READ | mmap.PROT_WRITE, private, -1, 0)
    return None if area == _FAILED else area


def _move(start: int, size: int) -> bool:
    """Copies a range, and puts the copy in its place in one step."""
    area = _new_area(size)
    if area is None:
        return False
    copy = -(-area // _SIZE) * _SIZE
    is_ready = False
    if _libc.madvise(copy, size, _HUGE) == 0:
        ctypes.memmove(copy, start, size)
        is_large = _libc.madvise(copy, size, _COLLAPSE) == 0
        is_ready = is_large and _libc.mprotect(copy, size, mmap.PROT_READ | mmap.PROT_EXEC) == 0
    if not is_ready:
        _libc.munmap(area, size + _SIZE)
        return False
    if _libc.mremap(copy, size, size, _MAY_MOVE | _FIXED, start) != start:
        if ctypes.get_errno() != errno.EPERM:
            raise OSError("the code of a library could not be put in its place")
        _libc.munmap(area, size + _SIZE)  # it is sealed (Linux 6.10), and still there
        return False
    _libc.munmap(area, copy - area)
    _libc.munmap(copy + size, area + _SIZE - copy)
    return True
