"""An OpenAI-compatible server for tests: it answers, stalls, breaks or answers nonsense as `mode` says. A fake."""

from __future__ import annotations

import contextlib
import json
import re
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
    gate: threading.Event
    left: threading.Event
    """Set when a client has left in mid-stream."""


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
        if body.get("stream") and mode != "no streams":
            return self.stream(body, mode)
        text = None if mode in ("null", "cut off") else body["messages"][-1]["content"].upper()
        message = {"content": text}
        if mode == "thinking":  # as servers with a reasoning parser answer where the thought was cut off
            message = {"content": None, "reasoning_content": "or \\boxed{3}"}
        self.answer(
            200,
            {"choices": [{"message": message, "finish_reason": "length" if mode in ("long", "cut off") else "stop"}]},
        )

    def stream(self, body: dict[str, Any], mode: str) -> None:
        """Word by word. `held`: each word behind the first waits until the test lets it go; `blank`: the connection
        closes before the first; `torn`: behind the second; `failing`: an error in place of the third; `garbage`: no
        JSON in its place.
        """
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        key = "reasoning_content" if mode == "thinking" else "content"
        words = re.findall(r"\s*\S+", str(body["messages"][-1]["content"]).upper())
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({key: word} for word in words)]
        for number, delta in enumerate(deltas):
            if mode == "blank":
                return
            if mode in ("torn", "failing", "garbage") and number == 3:
                last = {"failing": b'data: {"error": {"message": "secret"}}\n\n', "garbage": b"data: {no\n\n"}
                self.wfile.write(last.get(mode, b""))
                return
            if mode == "held" and number > 1 and not self.server.gate.wait(10):
                return
            if not self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}):
                self.server.left.set()
                return
        reason = "length" if mode == "thinking" else "stop"
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if body.get("stream_options", {}).get("include_usage") and mode != "uncounted":
            self.event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": len(words)}})
        self.event(None)

    def event(self, content: dict[str, Any] | None) -> bool:
        """In the letters of UTF-8, as vLLM writes them. False: nobody reads."""
        data = "[DONE]" if content is None else json.dumps(content, ensure_ascii=False)
        try:
            self.wfile.write(f": a comment\n\ndata: {data}\n\n".encode())
        except OSError:
            return False
        return True

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
    made.gate, made.left = threading.Event(), threading.Event()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()
