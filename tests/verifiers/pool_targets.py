"""Functions that the pool tests run in worker processes: some behave, most do not."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from typing import Any

STATE: dict[str, Any] = {}


def initialise(value: str) -> None:
    STATE["initialised"] = value


def echo(item: Any) -> Any:
    return item


def ask(item: Any) -> Any:
    return QUESTIONS[item[0]](*item[1:])


def _loop() -> None:
    while True:
        pass


def _regex() -> bool:
    return re.match(r"(a+)+$", "a" * 40 + "b") is not None


def _bomb(catch: bool) -> str:
    try:
        return str(len(bytearray(8 << 30)))
    except MemoryError:
        if catch:
            return "caught"
        raise


def _grow(megabytes: int) -> int:
    STATE["kept"] = b"x" * (megabytes << 20)
    return os.getpid()


def _segfault() -> None:
    ctypes.string_at(0)


def _flood(stream: str) -> str:
    out = getattr(sys, stream)
    for _ in range(2000):
        out.write("noise " * 1000)
    out.flush()
    os.write(1, b"\x00\x01raw noise")
    return "done"


def _orphan() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    time.sleep(60)


def _forge() -> None:
    """Writes to every descriptor it can find, the pool's own included."""
    for fd in [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]:
        try:
            os.write(fd, b"\x00" * 64)
        except OSError:
            continue


def _exit_system() -> None:
    raise SystemExit("no")


def _fail(text: str) -> None:
    raise ValueError(text)


QUESTIONS = {
    "loop": _loop,
    "power": lambda: 10**10**8,
    "regex": _regex,
    "bomb": _bomb,
    "grow": _grow,
    "exit": os._exit,
    "segfault": _segfault,
    "flood": _flood,
    "orphan": _orphan,
    "forge": _forge,
    "system_exit": _exit_system,
    "fail": _fail,
    "sleep": time.sleep,
    "pid": os.getpid,
    "huge": lambda size: "x" * size,
    "not_json": lambda: object(),
    "state": lambda name: STATE.get(name),
    "main": lambda: sys.modules["__main__"].__file__,
    "environment": lambda name: os.environ.get(name),
    "kill": lambda: os.kill(os.getpid(), 9),
    "echo": lambda item: item,
}


def refuse_to_start() -> None:
    raise RuntimeError("the initializer does not like it here")


def die_at_start() -> None:
    os._exit(7)


def sleep_at_start(seconds: float) -> None:
    time.sleep(seconds)
