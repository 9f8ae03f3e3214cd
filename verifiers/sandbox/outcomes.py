"""What the supervisor's report and a program's claims mean for one input. No claim makes anything here raise."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import Any

from verifiers.sandbox.inside.watch import PATIENCE
from verifiers.sandbox.types import Ending, Limits, Outcome
from verifiers.sandbox.values import Malformed, TooLarge, decode_node

_NAME_CHARACTERS = 100
_LINE_CHARACTERS = 300
_MOST_BASES = 10
OWN_CHANNEL = "the program wrote to the sandbox's own channel"


def ending_of(report: dict[str, Any], limits: Limits, stopped: str) -> tuple[Ending, str]:
    """How a program ended, by the supervisor's report and the reason for which the caller stopped it, if it did."""
    status, reason = report["ended"], report["reason"]
    used_up = f"more than {limits.cpu_s:g} s of processor time, or {limits.wall_s:g} s asleep"
    if reason == "stalled":
        return Ending.STALLED, f"the machine was too busy to run the program within {PATIENCE * limits.wall_s:g} s"
    if reason == "time" or status == -signal.SIGXCPU or (status == -signal.SIGKILL and report["cpu_s"] >= limits.cpu_s):
        return Ending.TIME_LIMIT, used_up
    if reason == "memory" or status == 71:
        return Ending.MEMORY_LIMIT, f"more than {limits.memory_mb} MB of memory"
    if stopped == "output":
        return Ending.OUTPUT_LIMIT, f"more than {limits.output_bytes} bytes of output"
    if stopped == "garbage":
        return Ending.ERROR, OWN_CHANNEL
    if status == 0 and not stopped:
        return Ending.FINISHED, ""
    return Ending.ERROR, death(status)


def death(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def named(frame: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """The class, the line and the built-in bases of a claim, whatever it holds."""
    raised = frame.get("raised")
    if isinstance(raised, list) and len(raised) == 3 and isinstance(raised[0], str) and isinstance(raised[1], str):
        bases = raised[2][:_MOST_BASES] if isinstance(raised[2], list) else []
        return (
            printable(raised[0][:_NAME_CHARACTERS]),
            printable(raised[1][:_LINE_CHARACTERS]),
            tuple(printable(base[:_NAME_CHARACTERS]) for base in bases if isinstance(base, str)),
        )
    return "Exception", "an exception", ()


def printable(text: str) -> str:
    """One line that a terminal and a file take: a program may write escape sequences or halves of characters."""
    return "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))


def raised_outcome(frame: dict[str, Any], started: float) -> Outcome:
    exception, line, bases = named(frame)
    ending = Ending.MEMORY_LIMIT if exception == "MemoryError" else Ending.ERROR
    return Outcome(ending, error=line, exception=exception, wall_s=time.monotonic() - started, bases=bases)


def load_outcome(frame: dict[str, Any], started: float) -> Outcome:
    """Of a program whose own lines fail, so that no call is made."""
    return replace(raised_outcome(frame, started), was_called=False)


def call_outcome(frame: dict[str, Any], started: float) -> Outcome:
    """What the answer to a call says."""
    wall = time.monotonic() - started
    if "raised" in frame:
        return raised_outcome(frame, started)
    if isinstance(missing := frame.get("missing"), str):
        line = f"NameError: {printable(missing[:_LINE_CHARACTERS])}"
        return Outcome(Ending.ERROR, error=line, exception="NameError", wall_s=wall, was_called=False)
    if "value" in frame:
        try:
            return Outcome(Ending.FINISHED, value=decode_node(frame["value"]), wall_s=wall)
        except Malformed as error:
            return Outcome(Ending.ERROR, error=f"not a value: {printable(str(error))}", wall_s=wall)
        except TooLarge as error:
            return Outcome(Ending.OUTPUT_LIMIT, error=f"the value is too large: {printable(str(error))}", wall_s=wall)
    if isinstance(reason := frame.get("too_large"), str):
        line = f"the value is too large: {printable(reason[:_NAME_CHARACTERS])}"
        return Outcome(Ending.OUTPUT_LIMIT, error=line, wall_s=wall)
    died = frame.get("died")
    if isinstance(died, int) and abs(died) < 1 << 16:
        if died == -signal.SIGXCPU:
            return Outcome(Ending.TIME_LIMIT, error="the processor time was used up", wall_s=wall)
        return Outcome(Ending.ERROR, error=death(died), wall_s=wall)
    return Outcome(Ending.ERROR, error=OWN_CHANNEL, wall_s=wall)
