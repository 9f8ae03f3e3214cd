"""`reasonrl serve` in a process of its own, for tests that ask it and stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.serving.scripts import until
from tests.tiny_runs import command, environment

CHAT = "/v1/chat/completions"
TINY = ("--critic", "tiny-critic", "--format", "step_sentence", "--offline")
ASK = [{"role": "user", "content": "What is 2 + 3?"}]
ODD_OPTIONS: tuple[dict[str, Any], ...] = (
    *({"top_p": 5e-324}, {"temperature": 1e-300}, {"temperature": 0.01, "top_p": 1e-9}, {"seed": -(2**63)}),
    *({"messages": [{"role": "user", "content": content}]} for content in ("", "\x00", "\U0001f600", "<|im_end|>")),
    {"messages": [{"role": "assistant", "content": "x"}]},
    {"messages": [{"role": "assistant", "content": ""}]},
    {"messages": [{"role": "system", "content": "x"}, {"role": "system", "content": "y"}]},
    {"messages": [*ASK, *ASK, {"role": "assistant", "content": "It is"}]},
    {"stop": ["x" * 256] * 16},
    {"max_tokens": 10**6, "stop": list("aeiou 12 e")},
)
"""Of a chat: what an engine may not be able to compute, or has to."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@dataclass
class Served:
    """A server in a process of its own, and what it writes to stderr."""

    process: subprocess.Popen[str]
    base: str
    lines: list[str] = field(default_factory=list)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.base + path, timeout=60, **options)

    def interrupt_all(self) -> None:
        """As Ctrl-C in a terminal: every process that belongs to it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def post(self, path: str, body: dict[str, Any], **options: Any) -> httpx.Response:
        return httpx.post(self.base + path, json=body, timeout=60, **options)


@contextlib.contextmanager
def serving(folder: Path, *options: str | Path, **around: str) -> Iterator[Served]:
    port = free_port()
    process = subprocess.Popen(
        command("serve", *TINY, "--port", str(port), *options),
        cwd=folder,
        env={**environment(), **around},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that all its processes can be told at once, as a terminal does
    )
    served = Served(process, f"http://127.0.0.1:{port}")
    assert process.stderr is not None
    reader = threading.Thread(target=served.lines.extend, args=(process.stderr,), daemon=True)
    reader.start()

    def is_ready() -> bool:
        assert process.poll() is None, served.lines
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{served.base}/health", timeout=5).status_code == 200
        return False

    try:
        until(is_ready, 90)
        yield served
    finally:
        with contextlib.suppress(ProcessLookupError):  # all of its processes, were it to leave some
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(10)
    assert not [line for line in served.lines if "Traceback" in line or "Error" in line], served.lines
