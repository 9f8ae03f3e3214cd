"""What the report of `inside/remote.py` means. The program may have written it: nothing in it is taken for granted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from verifiers.sandbox.outcomes import ending_of, named
from verifiers.sandbox.types import Ending, Limits, Outcome

_REASONS = ("time", "stalled", "memory", "late", "output", "garbage", "changed")


def checked_report(text: str) -> dict[str, Any] | None:
    """A report with all that it should hold, or None: the program may have written it."""
    try:
        report = json.loads(text)
        base64.b64decode(report["stdout"], validate=True)
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    kinds = {"ended": int, "reason": str, "begun": bool, "frames": list, "cpu_s": float, "wall_s": float}
    if any(type(report.get(name)) is not kind for name, kind in kinds.items()):
        return None
    if not all(isinstance(frame, dict) for frame in report["frames"]) or abs(report["ended"]) > 1 << 16:
        return None
    if report.get("question") is not None and not isinstance(report["question"], dict):
        return None
    report["reason"] = report["reason"] if report["reason"] in _REASONS else ""
    return dict(report)


def ending_of_report(report: dict[str, Any], limits: Limits) -> tuple[Ending, str, str]:
    """How the program ended, one line, and the class of the exception."""
    stopped = report["reason"] if report["reason"] in ("output", "garbage") else ""
    ending, error = ending_of(report, limits, stopped)
    raised = [frame for frame in report["frames"] if "raised" in frame and "call" not in frame]
    if ending is Ending.ERROR and raised and not stopped:
        exception, error, _ = named(raised[-1])
        if exception == "MemoryError":
            return Ending.MEMORY_LIMIT, f"more than {limits.memory_mb} MB of memory", exception
        return ending, error, exception
    return ending, error, ""


def answer_of(report: dict[str, Any], limits: Limits, is_answer: Callable[[dict[str, Any]], bool]) -> Outcome:
    """`value` is True if the answer is among the frames. An exit without one is no success."""
    if any(is_answer(frame) for frame in report["frames"]):
        return Outcome(Ending.FINISHED, value=True, wall_s=report["wall_s"])
    ending, error, exception = ending_of_report(report, limits)
    if ending is Ending.FINISHED:
        ending, error = Ending.ERROR, "the program ended before it answered"
    elif exception:
        ending = Ending.MEMORY_LIMIT if exception == "MemoryError" else Ending.ERROR
    return Outcome(ending, None, b"", error, exception, report["cpu_s"], report["wall_s"])
