"""Standard streams that a command can rely on, and JSON that every program can read.

The reader of a pipe may leave (`| head`), a terminal may close, a shell may start a command without any output
(`>&-`), and an encoding may lack the characters of a response. None of these ends a command: what cannot be written is
dropped, what cannot be encoded is escaped.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import io
import json
import math
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

_READER_IS_GONE = (errno.EPIPE, errno.EIO)
_results: TextIO | None = None


class LastingOutput(io.RawIOBase):
    """A file descriptor that leads to /dev/null from the first write that fails. `failure` is that write's error."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.failure: OSError | None = None

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self.failure = error
                _to_nothing(self._descriptor)
                return len(data)


@contextmanager
def lasting_streams(*, results_only: bool) -> Iterator[None]:
    """Replace the standard streams of this process in the block. Streams that a program has replaced itself, such as a
    test's, stay as they are.

    Args:
        results_only: standard output is for `results()` alone; what anything else prints goes to standard error, that
            of child processes and of C as well, and what is printed while the process exits.
    """
    global _results
    for descriptor in (0, 1, 2):  # a file that is opened later must not get the number of a standard stream
        if not _is_open(descriptor):
            _to_nothing(descriptor)
    before = sys.stdout, sys.stderr, _results
    copy: int | None = None
    if sys.stderr is sys.__stderr__:
        sys.stderr = _lasting(sys.stderr, 2)
    if sys.stdout is sys.__stdout__:
        if results_only:
            copy = os.dup(1)
            sys.stdout = _lasting(sys.stdout, copy)
            os.dup2(2, 1)
        else:
            sys.stdout = _lasting(sys.stdout, 1)
    _results = sys.stdout
    if results_only:
        sys.stdout = sys.stderr
    replaced = [stream for stream in (_results, sys.stderr) if stream not in before]
    try:
        yield
    finally:
        for stream in replaced:
            stream.flush()
        if copy is not None:
            _flush_buffers()
            os.dup2(copy, 1)
            os.close(copy)
            atexit.register(_nothing_after_results)
        sys.stdout, sys.stderr, _results = before


def results() -> TextIO:
    """Where the result of a command is printed."""
    return _results or sys.stdout


def reader_is_gone(stream: TextIO) -> bool:
    """Whether what was printed to a stream of `lasting_streams` has no reader any more."""
    failure = _failure(stream)
    return failure is not None and failure.errno in _READER_IS_GONE


def lost_output() -> OSError | None:
    """Why results could not be printed (a full disk), where somebody still waits for them."""
    results().flush()
    failure = _failure(results())
    return None if failure is None or failure.errno in _READER_IS_GONE else failure


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON as the standard has it: what is not a finite number is null, half a surrogate pair is escaped."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), indent=indent)
    return text


def print_json(value: Any) -> None:
    """Print a result as one line of JSON, in the encoding of standard output."""
    text, stream = json_text(value), results()
    try:
        text.encode(stream.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text))
    print(text, file=stream, flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _lasting(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(LastingOutput(descriptor)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=descriptor == 2 or os.isatty(descriptor),
    )


def _failure(stream: TextIO) -> OSError | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, LastingOutput) else None


def _flush_buffers() -> None:
    """Of Python's own standard output and of C's: what is in them was printed before this moment."""
    with suppress(OSError, ValueError):  # nobody reads it, or it is closed
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
    with suppress(OSError, AttributeError):  # a system whose C library is not found like this
        ctypes.CDLL(None).fflush(None)


def _nothing_after_results() -> None:
    _flush_buffers()
    with suppress(OSError):  # standard error is closed by now
        os.dup2(2, 1)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _to_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
