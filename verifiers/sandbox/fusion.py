"""The layer "fusion": a remote server of SandboxFusion. What keeps programs apart from the machine is the server's.

    isolation: fusion:http://HOST:8080

A request is POST /run_code with the program, its inputs and `inside/remote.py`, which starts it there. What is expected
stays here: neither values nor, but for test text that must share the program's process, tests go to the server. What
comes back is a claim of the program's about itself.

A server that does not answer, answers with an error or in another format is `Ending.BROKEN`, after three attempts. Time
limits are those of the other layers. Where the server's own limit ends a run, or hides what the program waited for, a
run of our own follows: if the server is slow with that too, it was `Ending.STALLED`.

The server limits what all processes of a run use together; the limits on processor time, address space, file size and
open files are set by the program's process itself, as in the other layers. `Limits.processes` and the sum of
`Limits.disk_mb` are left to the server.
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from verifiers.sandbox.fusion_http import AnswerTooLarge, ServerFailed, run_code
from verifiers.sandbox.fusion_report import answer_of, checked_report, ending_of_report
from verifiers.sandbox.inside.watch import PATIENCE
from verifiers.sandbox.outcomes import OWN_CHANNEL, call_outcome, load_outcome, printable
from verifiers.sandbox.runner import FOLDER, runner_files
from verifiers.sandbox.sample import asked_call, call_frame, reply_to, unasked
from verifiers.sandbox.types import Call, Ending, Input, Limits, Outcome, Stdin

NAME = "fusion"
_BATCH = 16
"""Calls in one request."""
_MOST_QUESTIONS = 100
"""Test text that calls the program costs two requests for each call."""
_SPARE_S = 10.0
_QUEUE_S = 60.0
"""A server runs so many programs at one time, and lets the others wait."""
_SPARE_MB = 512
_SPARE_BYTES = 1 << 18
_NO_LIMIT = 1 << 20
_LINE_CHARACTERS = 300
_START = """
import base64, json, os, shutil, sys, tempfile, zlib
folder = tempfile.mkdtemp()
for path, text in json.loads(zlib.decompress(base64.b64decode({files!r}))).items():
    os.makedirs(os.path.dirname(folder + path), exist_ok=True)
    with open(folder + path, "w", encoding="utf-8") as file:
        file.write(text)
sys.dont_write_bytecode = True
sys.path.insert(0, folder + {runner!r})
from verifiers.sandbox.inside.remote import main
del sys.path[0]
shutil.rmtree(folder)
"""
_PROBE = """
import time
wall, cpu = time.perf_counter(), time.process_time()
while time.process_time() - cpu < 0.1:
    pass
print("slow" if time.perf_counter() - wall > 0.2 else "quick")
"""


def is_fusion(isolation: str) -> bool:
    return isolation.partition(":")[0] == NAME


def address_of(isolation: str) -> str:
    """The server's address in "fusion:http://HOST:PORT". Raises ValueError."""
    address = isolation.partition(":")[2]
    parts = urlsplit(address)
    try:
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        is_whole = False
    if not is_whole:
        raise ValueError(f"the isolation {isolation!r} names no server; write fusion:http://HOST:PORT")
    return address.rstrip("/")


class FusionSandbox:
    """Implements `Sandbox` with a server. Safe to use from several threads, and after a fork."""

    def __init__(self, address: str, *, workers: int) -> None:
        """Asks nothing of the server yet. `workers`: requests at one time."""
        self.isolation = NAME
        self._address = address
        self._turns = threading.BoundedSemaphore(workers)

    def run(
        self, program: str, inputs: Sequence[Input], limits: Limits | None = None, *, share_process: bool = False
    ) -> Iterator[Outcome]:
        """See `Sandbox.run`. Each call has a process of its own, whatever `share_process` is."""
        limits = limits or Limits()
        calls = [wanted for wanted in inputs if isinstance(wanted, Call)]
        if calls and len(calls) < len(inputs):
            raise ValueError("one program is run as a script or called, not both: give inputs of one kind")
        if not calls:
            for wanted in inputs:
                assert isinstance(wanted, Stdin)
                yield self._script(program, wanted, limits)
            return
        given, size = 0, 1
        while given < len(calls):
            for outcome in self._calls(program, calls[given : given + size], limits):
                given += 1
                yield outcome
            size = min(2 * size, _BATCH)

    def run_tests(self, tests: str, functions: Sequence[str], program: str, limits: Limits | None = None) -> Outcome:
        """The test text runs by itself. At each call of the program it ends, all calls so far are made in one process
        of the program, and the text runs again with all answers so far. Test text whose questions change from run to
        run is `Ending.BROKEN`.
        """
        limits = limits or Limits()
        answered: list[Any] = []
        calls: list[Call] = []
        while len(answered) < _MOST_QUESTIONS:
            job = {"kind": "tests", "source": tests, "functions": list(functions), "answered": answered}
            report = self._report(job, limits)
            if isinstance(report, Outcome):
                return report
            if report["reason"] == "changed":
                return Outcome(
                    Ending.BROKEN, error="the tests call the program with other arguments each time they run"
                )
            if not (question := report["question"]):
                ends = [frame for frame in report["frames"] if "passed" in frame or "raised" in frame]
                if ends and not answered:
                    return unasked(ends[-1])
                return answer_of(report, limits, lambda frame: frame.get("passed") is True)
            call = asked_call(question, functions)
            if call is None:
                return Outcome(Ending.ERROR, error=OWN_CHANNEL)
            calls.append(call)
            outcome = self._calls(program, calls, limits, share=True)[-1]
            if not outcome.has_answered:
                return replace(outcome, value=None)
            answered.append([question, reply_to(outcome)])
        line = f"the tests call the program more than {_MOST_QUESTIONS} times: too often for a remote server"
        return Outcome(Ending.BROKEN, error=line)

    def run_shared(self, tests: str, program: str, limits: Limits | None = None) -> Outcome:
        """See `Sandbox.run_shared`."""
        limits = limits or Limits()
        secret = secrets.token_hex(16)
        report = self._report({"kind": "shared", "source": program, "tests": tests, "secret": secret}, limits)
        if isinstance(report, Outcome):
            return report
        return answer_of(report, limits, lambda frame: frame.get("passed") == secret)

    def close(self) -> None:
        """Nothing runs here."""

    def _script(self, program: str, wanted: Stdin, limits: Limits) -> Outcome:
        report = self._report({"kind": "script", "source": program}, limits, stdin=wanted.text)
        if isinstance(report, Outcome):
            return report
        ending, error, exception = ending_of_report(report, limits)
        stdout = base64.b64decode(report["stdout"])
        return Outcome(ending, None, stdout, error, exception, report["cpu_s"], report["wall_s"])

    def _calls(self, program: str, calls: Sequence[Call], limits: Limits, *, share: bool = False) -> list[Outcome]:
        """Outcomes of the first of these calls, at least one: a program that ends in a call answers no later one."""
        started = time.monotonic()
        frames = [call_frame(wanted, number) for number, wanted in enumerate(calls)]
        report = self._report({"kind": "calls", "source": program, "calls": frames}, limits, share=share)
        if isinstance(report, Outcome):
            return [report]
        outcomes: list[Outcome] = []
        for frame in report["frames"]:
            if "raised" in frame and "call" not in frame:  # the module's own lines fail, so every call does
                return outcomes + [load_outcome(frame, started)] * (len(calls) - len(outcomes))
            if len(outcomes) < len(calls) and frame.get("call") == len(outcomes):
                outcomes.append(call_outcome(frame, started))
        if len(outcomes) < len(calls):
            outcomes.append(answer_of(report, limits, lambda frame: False))
        return outcomes

    def _report(
        self, job: dict[str, Any], limits: Limits, *, stdin: str | None = None, share: bool = False
    ) -> dict[str, Any] | Outcome:
        """What `inside/remote.py` says of a job; an outcome where it says nothing of use."""
        marker = f"--{secrets.token_hex(16)}--"
        settings = asdict(limits) | {"wall_s": limits.wall_s, "processes": _NO_LIMIT, "share": share}
        text = json.dumps(job | {"settings": settings, "marker": marker})
        runs = max(1, len(job.get("calls", ())))
        payload = {
            "compile_timeout": _SPARE_S,
            "run_timeout": limits.wall_s * (PATIENCE + runs - 1) + _SPARE_S,
            "memory_limit_MB": 2 * limits.memory_mb + _SPARE_MB,
            "language": "python",
            "code": _code() + (f"main(json.loads({text!r}))" if stdin is not None else "main(json.load(sys.stdin))"),
            "stdin": text if stdin is None else stdin,
            "files": {},
            "fetch_files": [],
        }
        try:
            result = self._post(payload, most_bytes=(2 * runs + 4) * limits.output_bytes + _SPARE_BYTES)
        except AnswerTooLarge as error:
            return Outcome(Ending.OUTPUT_LIMIT, error=str(error))
        except ServerFailed as error:
            return Outcome(Ending.BROKEN, error=f"the sandbox failed: {self._address}: {printable(str(error))}")
        if result["status"] == "TimeLimitExceeded":
            ending = Ending.STALLED if self._is_slow() else Ending.TIME_LIMIT
            return Outcome(ending, error=f"more than {payload['run_timeout']:g} s on the server")
        parts = result["stdout"].split(marker)
        if len(parts) >= 3 and (report := checked_report(parts[1])):
            if not report["begun"]:
                reason = f"the program's process ended before the program began (exit status {report['ended']})"
                return Outcome(Ending.BROKEN, error=f"the sandbox failed: {self._address}: {reason}")
            if report["reason"] == "late":
                report["reason"] = "stalled" if self._is_slow() else "time"
            return report
        if result["return_code"] and result["stderr"].strip():  # of our own lines: the program has no standard error
            line = printable(result["stderr"].strip().splitlines()[-1][:_LINE_CHARACTERS])
            return Outcome(Ending.BROKEN, error=f"the sandbox failed: {self._address}: {line}")
        return Outcome(Ending.ERROR, error="the program ended what watched it")

    def _post(self, payload: dict[str, Any], most_bytes: int) -> dict[str, Any]:
        """The server's account of a run. Raises ServerFailed, AnswerTooLarge."""
        patience_s = payload["run_timeout"] + payload["compile_timeout"] + _QUEUE_S
        with self._turns:
            return run_code(self._address, payload, timeout_s=patience_s, most_bytes=most_bytes)

    def _is_slow(self) -> bool:
        """Whether the server did not let a program run: asked with a run of our own, which no program can change."""
        payload = {"compile_timeout": _SPARE_S, "run_timeout": _SPARE_S, "language": "python", "code": _PROBE}
        try:
            result = self._post(payload, most_bytes=_SPARE_BYTES)
        except (ServerFailed, AnswerTooLarge):
            return True
        return bool(result["stdout"].strip() != "quick")


@functools.cache
def _code() -> str:
    """Puts the runner's files in their places, and imports what runs a job."""
    packed = zlib.compress(json.dumps(runner_files()).encode(), 9)
    return _START.format(files=base64.b64encode(packed).decode(), runner=FOLDER)
