"""Names the user's code that takes long: its key, and the file and line at which it stands.

A call into foreign code cannot be ended from outside, so the run goes on waiting, and says for what. One daemon thread
looks at all calls that are under way.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from reasonrl.user_code.lines import innermost_user_line

NOTICE_S = 30.0
"""Seconds after which a call is named. It is named again after twice as long, and so on."""
LOOKS = 10
"""How often the thread looks within NOTICE_S."""

Line = tuple[FrameType, int]


@dataclass(eq=False, slots=True)
class Call:
    """One call that is under way."""

    subject: str
    """Begins the message: the recipe's key."""
    thread: int
    since: float
    """When it began or, for an episode, when it was last seen to get on."""
    awaited: Any = None
    """What is awaited, where the function is async."""
    is_episode: bool = False
    """Whether it may wait for the engine, for as long as that takes, without being slow itself."""
    notice_s: float = 0.0
    """The next message comes after this time."""
    stands_at: tuple[Any, ...] = ()
    """Where it stood when the thread last looked."""

    def lines(self, frames: dict[int, FrameType]) -> list[Line]:
        """Every call of what it does now, the outermost first."""
        waits_at = awaiting(self.awaited)
        if not waits_at:
            return _stack(frames.get(self.thread))
        if self.is_running:
            coroutine = waits_at[0][0]
            for stack in map(_stack, frames.values()):
                if any(frame is coroutine for frame, _ in stack):
                    return stack
        return waits_at

    @property
    def is_running(self) -> bool:
        """Whether what is awaited blocks its thread."""
        return bool(getattr(self.awaited, "cr_running", False))


@dataclass
class _Watch:
    calls: dict[int, Call] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)
    """By subject, the longest call that returned after it was named: what was only slow is not named each time."""
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        if self.thread is not None and self.thread.is_alive():
            return
        with self.lock:
            if self.thread is None or not self.thread.is_alive():  # a forked child has no such thread
                self.thread = threading.Thread(target=self._run, name="slow calls", daemon=True)
                try:
                    self.thread.start()
                except RuntimeError:  # the system has no thread left; the call itself may still work
                    self.thread = None

    def _run(self) -> None:
        while True:
            time.sleep(NOTICE_S / LOOKS)
            for message in notices(list(self.calls.values()), self.longest, time.monotonic()):
                print(message, file=sys.stderr, flush=True)


_watch = _Watch()


@contextmanager
def named_when_slow(subject: str, *, is_episode: bool = False) -> Iterator[Call]:
    """Name the call in this block on standard error where it does not return in time.

    Args:
        subject: begins the message.
        is_episode: it also awaits the engine, whose time does not count.

    Yields:
        The call, whose `awaited` the block may set.
    """
    now = time.monotonic()
    call = Call(subject, threading.get_ident(), now, is_episode=is_episode)
    _watch.start()
    _watch.calls[id(call)] = call
    try:
        yield call
    finally:
        del _watch.calls[id(call)]
        if call.notice_s:
            _watch.longest[subject] = max(time.monotonic() - now, _watch.longest.get(subject, 0.0))


def notices(calls: list[Call], longest: dict[str, float], now: float) -> list[str]:
    """What is to be said of the calls: a message for each subject, of its innermost call that stands still."""
    if not calls:
        return []
    frames = sys._current_frames()
    busy = _engine_works(frames)
    late: dict[str, list[tuple[Call, str]]] = {}
    for call in calls:
        lines = call.lines(frames)
        if call.is_episode and _gets_on(call, lines, busy):
            call.since = now
            continue
        limit = call.notice_s or max(NOTICE_S, 2 * longest.get(call.subject, 0.0))
        if now - call.since >= limit:
            late.setdefault(call.subject, []).append((call, innermost_user_line(_places(lines))))
    messages = []
    for subject, group in late.items():
        for call, _ in group:
            call.notice_s = 2 * (now - call.since)
        running = [pair for pair in group if pair[0].is_running]
        call, place = (running or group)[0]
        where = f" It is at {place}." if place else ""
        count = f" ({len(group)} calls wait)" if len(group) > 1 else ""
        messages.append(
            f"{subject}: has not returned for {now - call.since:.0f} s{count}.{where} It is slow or hangs; Ctrl-C ends"
            " the command, twice in a training"
        )
    return messages


def awaiting(awaited: Any) -> list[Line]:
    """The lines at which a chain of coroutines waits, the outermost first."""
    lines: list[Line] = []
    while awaited is not None and len(lines) < 100:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            break
        lines.append((frame, frame.f_lineno))
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return lines


def _stack(frame: FrameType | None) -> list[Line]:
    lines = []
    while frame is not None:
        lines.append((frame, frame.f_lineno))
        frame = frame.f_back
    return lines[::-1]


def _places(lines: list[Line]) -> list[tuple[str, int]]:
    return [(frame.f_code.co_filename, line) for frame, line in lines]


def _is_engine(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return name.startswith(("reasonrl.engines.", "reasonrl.verl_backend.")) and "generate" in frame.f_code.co_name


def _engine_works(frames: dict[int, FrameType]) -> bool:
    return any(_is_engine(frame) for stack in frames.values() for frame, _ in _stack(stack))


def _gets_on(call: Call, lines: list[Line], engine_works: bool) -> bool:
    """Whether an episode stands somewhere else than before, or waits for the engine."""
    stands_at: tuple[Any, ...] = (True,) if call.is_running else tuple((id(frame), frame.f_lasti) for frame, _ in lines)
    before, call.stands_at = call.stands_at, stands_at
    return engine_works or stands_at != before or any(_is_engine(frame) for frame, _ in lines)
