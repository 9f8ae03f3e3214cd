"""An OpenAI-compatible server for tests: it answers, stalls, breaks or answers nonsense as `mode` says. A fake."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeServer(ThreadingHTTPServer):
    """An OpenAI-compatible server whose answers are scripted by `mode`."""

    mode = "echo"
    request_queue_size = 64
    daemon_threads = True
    asked: list[dict[str, Any]]
    models: tuple[str, ...] = ("tiny",)


class Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer(200, {"data": [{"id": name} for name in self.server.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({**body, "key": self.headers.get("Authorization")})
        mode = self.server.mode
        if mode == "stall":
            time.sleep(1.5)
        if mode == "busy" and len(self.server.asked) < 3:
            return self.answer(503, {"error": "busy"})
        if mode == "wait" and len(self.server.asked) < 2:
            return self.answer(429, {"error": "too many"}, retry_after="0.4")
        if mode == "broken":
            return self.answer(200, "{not json")
        if mode == "empty":
            return self.answer(200, {"choices": []})
        if mode == "refused":
            return self.answer(400, {"error": {"message": "context too long"}})
        text = None if mode in ("null", "cut off") else body["messages"][-1]["content"].upper()
        message = {"content": text}
        if mode == "thinking":  # as servers with a reasoning parser answer where the thought was cut off
            message = {"content": None, "reasoning_content": "or \\boxed{3}"}
        self.answer(
            200,
            {"choices": [{"message": message, "finish_reason": "length" if mode in ("long", "cut off") else "stop"}]},
        )

    def answer(self, status: int, body: Any, retry_after: str | None = None) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if retry_after is not None:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client has given up
            self.wfile.write(data)


@contextlib.contextmanager
def running() -> Iterator[FakeServer]:
    made = FakeServer(("127.0.0.1", 0), Handler)
    made.asked = []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()
