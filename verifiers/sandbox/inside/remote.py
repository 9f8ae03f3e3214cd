"""Sent to a server with each run: starts one program there, watches it, and writes a report between two markers.

The server keeps the program apart from its machine, and this process alone keeps it apart from the report. So a report
is a claim of the program's, as all that comes back is: it says what the program gives out as its output, and is
compared elsewhere.

A job: kind, settings, marker, source; of calls: calls; of shared: tests and secret; of tests: functions, and the
questions that were answered before, each with its answer. A report: ended, reason, begun, frames, stdout, cpu_s,
wall_s, and the question that waits for an answer, if one does. Reasons are those of `Running.over_limit`; late (past
the wall time, for reasons that cannot be seen), output, garbage, changed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import mmap
import os
import select
import signal
import sys
import threading
import time
from _socket import socket, socketpair
from typing import Any

from verifiers.sandbox.inside import kernel, program
from verifiers.sandbox.inside.channel import FrameReader, FrameTooLarge, send_order
from verifiers.sandbox.inside.folder import Descendants
from verifiers.sandbox.inside.watch import PATIENCE, Running, own_children_s

_SPARE_FRAMES = 16
_LEAST_WAIT_S, _MOST_WAIT_S = 0.001, 0.05


def main(job: dict[str, Any]) -> None:
    """Runs one job and writes its report to standard output."""
    report = Job(job).run()
    sys.stdout.write(job["marker"] + json.dumps(report) + job["marker"] + "\n")
    sys.stdout.flush()


class Job:
    """One program."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._settings = job["settings"]
        self._frames: list[dict[str, Any]] = []
        self._reader = FrameReader(2 * self._settings["output_bytes"] + (1 << 16))
        self._stdout = bytearray()
        self._has_begun = mmap.mmap(-1, 1)
        self._reason = ""
        self._is_answered = False
        self._answers = 0
        self._replies = list(job.get("answered", ()))
        self._question: dict[str, Any] | None = None
        self._then = {
            "calls": job.get("calls"),
            "shared": [{"tests": job.get("tests"), "secret": job.get("secret")}],
        }.get(job["kind"])

    def run(self) -> dict[str, Any]:
        kind = self._job["kind"]
        near, far = socketpair()
        output, stdout = os.pipe()
        started = time.monotonic()
        kernel.adopt_orphans()
        processes = Descendants() if os.path.exists("/proc/self/stat") else None
        baseline_s = own_children_s()
        child = os.fork()
        if child == 0:
            stdin, written = (0, stdout) if kind == "script" else (None, None)
            restrictions = program.restrictions_of(self._settings, None)
            program.start(kind, self._settings, (far.fileno(), stdin, written), restrictions, self._has_begun)
        far.close()
        os.close(stdout)
        self._send(near, [{"source": self._job["source"], "functions": self._job.get("functions", [])}])
        running = Running(child, -1, processes, baseline_s) if processes else None
        self._watch(child, running, near, output)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # before it had a group of its own
            os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
        if processes:
            processes.end()
        return {
            "ended": os.waitstatus_to_exitcode(status),
            "reason": self._reason,
            "begun": bool(self._has_begun[0]),
            "frames": self._frames,
            "question": self._question,
            "stdout": base64.b64encode(self._stdout).decode(),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "wall_s": time.monotonic() - started,
        }

    def _send(self, channel: socket, messages: list[Any]) -> None:
        """In the background: a program need not read."""

        def write() -> None:
            with contextlib.suppress(OSError):
                for message in messages:
                    send_order(channel, message)

        threading.Thread(target=write, daemon=True).start()

    def _watch(self, child: int, running: Running | None, channel: socket, output: int) -> None:
        """Until the program has ended, has answered all, or is past a limit."""
        if running:
            running.watch(_LEAST_WAIT_S)
        patience_s = self._settings["wall_s"] * (PATIENCE if running else 1)
        deadline = time.monotonic() + patience_s
        reading: list[Any] = [channel, output]
        wait_s = _LEAST_WAIT_S
        while not self._reason and not self._is_answered:
            has_ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            ready, _, _ = select.select(reading, [], [], 0 if has_ended else wait_s)
            if output in ready and not self._read_output(output):
                reading.remove(output)
            if channel in ready:
                try:
                    data = channel.recv(1 << 16)
                except OSError:  # it ended with something unread
                    data = b""
                if not data:
                    reading.remove(channel)
                elif self._read_frames(channel, data):
                    deadline = time.monotonic() + patience_s
                    if running:
                        running.watch()
            wait_s = _LEAST_WAIT_S if ready else min(2 * wait_s, _MOST_WAIT_S)
            if has_ended and not ready:  # all that it wrote is read
                return
            if running and not ready:
                self._reason = self._reason or running.over_limit(self._settings)
            elif time.monotonic() > deadline:  # no look at the processes for so long, or none is possible
                self._reason = "late"

    def _read_output(self, output: int) -> bool:
        data = os.read(output, 1 << 16)
        self._stdout += data
        if len(self._stdout) > self._settings["output_bytes"]:
            del self._stdout[self._settings["output_bytes"] :]
            self._reason = "output"
        return bool(data)

    def _read_frames(self, channel: socket, data: bytes) -> bool:
        """Whether something came that was waited for. What was not does not reset the clock, and is counted."""
        is_expected = False
        try:
            for body in self._reader.feed(data):
                is_expected = self._take(channel, json.loads(body)) or is_expected
        except FrameTooLarge:
            self._reason = "output"
        except (ValueError, RecursionError):
            self._reason = "garbage"
        if len(self._frames) - self._answers > _SPARE_FRAMES:
            self._reason = "garbage"
        return is_expected

    def _take(self, channel: socket, frame: Any) -> bool:
        """Whether this message was waited for."""
        if not isinstance(frame, dict):
            self._reason = "garbage"
            return False
        if "ready" in frame and self._then:
            self._send(channel, self._then)
            self._then = []
            return True
        if "ask" in frame and self._job["kind"] == "tests":
            self._reply(channel, frame)
            return True
        self._frames.append(frame)
        is_expected = bool(frame.get("call") == self._answers)
        self._answers += is_expected
        self._is_answered = "passed" in frame or self._answers == len(self._job.get("calls", [None]))
        return is_expected

    def _reply(self, channel: socket, frame: dict[str, Any]) -> None:
        """Test text has asked for a call. Where the answer is not known yet, the run ends with the question."""
        question = {key: frame.get(key) for key in ("function", "args")}
        if not self._replies:
            self._question, self._is_answered = question, True
            return
        known, answer = self._replies.pop(0)
        if known != question:
            self._reason = "changed"
        else:
            with contextlib.suppress(OSError):
                send_order(channel, answer)
