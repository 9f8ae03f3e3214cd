"""A fake of a SandboxFusion server: the documented requests and answers, and no isolation whatever.

It runs what it is sent with the Python of the tests, so it is for programs of the tests alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FIELDS = {"compile_timeout", "run_timeout", "memory_limit_MB", "code", "stdin", "language", "files", "fetch_files"}


@dataclass
class FakeServer:
    address: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    """Given one after the other in place of real runs: (HTTP status, body as bytes or a JSON value), or None for a real
    run. When they are used up all runs are real.
    """


def run(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request, with its program really run."""
    assert set(request) <= FIELDS and request["language"] == "python"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fake-fusion-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", request["code"]],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            stdout, stderr = process.communicate(request.get("stdin", "").encode(), request["run_timeout"])
            status, code = "Finished", process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = process.communicate()
            status, code = "TimeLimitExceeded", None
    result = {
        "status": status,
        "execution_time": time.monotonic() - started,
        "return_code": code,
        "stdout": stdout.decode(),
        "stderr": stderr.decode(),
    }
    return answer(result, "Success" if status == "Finished" and code == 0 else "Failed")


def answer(result: dict[str, Any] | None, status: str, message: str = "") -> dict[str, Any]:
    return {
        "status": status,
        "message": message,
        "compile_result": None,
        "run_result": result,
        "executor_pod_name": None,
        "files": {},
    }


@contextmanager
def fake_server() -> Iterator[FakeServer]:
    """Listens on a free port of this machine until the block is left."""
    state = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(request)
            planned = state.answers.pop(0) if state.answers else None
            if self.path != "/run_code":
                planned = (404, b"not found")
            status, body = planned if planned else (200, run(request))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            with suppress(ConnectionError):  # a client that has read enough
                self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
