"""The caller's side of one sandbox process: starts it, lends it to samples, and ends it."""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import IO, Any, Protocol

from verifiers.sandbox.inside.channel import ClosedChannel, receive, send_order
from verifiers.sandbox.running import CellFailed, Control
from verifiers.sandbox.sample import Sample
from verifiers.sandbox.types import Limits, SandboxUnavailable

_START_S = 60.0
_END_S = 20.0
_LEAVE_S = 5.0
_MESSAGE_BYTES = 1 << 16


class Process(Protocol):
    """What a layer started: as `subprocess.Popen`."""

    pid: int

    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


@functools.lru_cache(maxsize=16)
def _settings(limits: Limits, share_process: bool) -> dict[str, Any]:
    """As JSON has them: what `marshal` writes must be of the built-in types themselves, not of classes below them."""
    return dict(json.loads(json.dumps(asdict(limits) | {"wall_s": limits.wall_s, "share": share_process})))


class Cell:
    """One warm sandbox process. Takes one sample at a time; not safe to use from two threads at once.

    Channels are shut down before they are closed: a fork of the caller may hold a copy of them, and the other side
    must hear of the end all the same.
    """

    def __init__(self, launch: Callable[[int, IO[bytes]], Process], layer: dict[str, Any], errors: IO[bytes]) -> None:
        """Raises SandboxUnavailable with what the layer's own program said."""
        self._errors = errors
        self._control: Control | None = None
        self.is_sound = True
        """Whether it takes another sample."""
        self._channel, inner = socket.socketpair()
        try:
            with inner:
                self._process = launch(inner.fileno(), errors)
        except (OSError, SandboxUnavailable) as error:
            self._channel.close()
            errors.close()
            raise SandboxUnavailable(str(error)) from error
        self._channel.settimeout(_START_S)
        try:
            send_order(self._channel, layer)
            answer = receive(self._channel, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            self._end()  # it has said all then
            reason = self._said()
            self._errors.close()
            raise SandboxUnavailable(reason or f"the sandbox process did not start: {error}") from error
        self.python: str = answer["ready"]

    @property
    def pid(self) -> int:
        return self._process.pid

    def _said(self) -> str:
        """The last line on the standard error of the process."""
        self._errors.seek(0)
        lines = self._errors.read(1 << 16).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    @contextlib.contextmanager
    def sample(self, limits: Limits, *, share_process: bool) -> Iterator[Sample]:
        """Fresh namespaces for one sample. When the block is left, all its processes are dead. Raises CellFailed."""
        settings = _settings(limits, share_process)
        control = Control(lambda order, descriptors: self._tell({"settings": settings} | order, descriptors))
        with contextlib.closing(control):
            self._control = control
            sample = Sample(control, limits, share_process=share_process)
            try:
                yield sample
            except BaseException:
                self._finish(sample, control)
                raise
            if reason := self._finish(sample, control):
                raise CellFailed(reason)

    def _finish(self, sample: Sample, control: Control) -> str:
        """Ends the sample; why that was not possible, or nothing."""
        self._control = None
        sample.close()
        if not control.has_begun:
            return ""
        self.is_sound = False
        try:
            with contextlib.suppress(OSError):  # the supervisor is gone already
                control.socket.shutdown(socket.SHUT_RDWR)
            self._channel.settimeout(_END_S)
            receive(self._channel, _MESSAGE_BYTES)
        except (OSError, ClosedChannel, ValueError) as error:
            return f"a sample did not end: {error}"
        self.is_sound = True
        return ""

    def _tell(self, message: Any, descriptors: tuple[int, ...]) -> None:
        try:
            send_order(self._channel, message, descriptors)
        except OSError as error:
            self.is_sound = False
            raise CellFailed(self._said() or f"the sandbox process is gone: {error}") from error

    def kill(self) -> None:
        """Ends the process and what it started."""
        self._end()
        self._errors.close()

    def _end(self) -> None:
        self.is_sound = False
        for channel in (self._control.socket if self._control else None, self._channel):
            if channel is not None:
                with contextlib.suppress(OSError):
                    channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


__all__ = ["Cell", "CellFailed", "Process"]
