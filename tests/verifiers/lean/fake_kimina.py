"""A fake of a Kimina Lean Server: its documented requests and answers, and the real kernel behind them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from verifiers.lean.backends.bundled import BundledKernel
from verifiers.lean.types import LeanLimits


@dataclass
class FakeKimina:
    kernel: BundledKernel
    address: str = ""
    is_old: bool = False
    """It has /verify alone."""
    requests: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    """Path, body, and the header Authorization."""
    answers: list[Any] = field(default_factory=list)
    """Given one after the other in place of real ones: (HTTP status, body, headers), or None for a real one."""
    most_at_once: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, code: str) -> dict[str, Any]:
        """What the REPL says of a text: real messages, with lines of the whole text."""
        lines = code.split("\n")
        body = "\n".join("" if re.fullmatch(r"import \w+", line) else line for line in lines)
        compiled = self.kernel._compiler.compile("Snippet", self.kernel._compiler.head(()) + body, {}, LeanLimits())
        messages = [
            {
                "severity": message.severity.replace("information", "info"),
                "pos": {"line": message.line - 2, "column": message.column},
                "endPos": None,
                "data": message.text,
            }
            for message in compiled.part.messages
        ]
        return {"env": 0, "messages": messages, "sorries": []}


@contextmanager
def fake_kimina(kernel: BundledKernel) -> Iterator[FakeKimina]:
    """Listens on a free port of this machine until the block is left."""
    state = FakeKimina(kernel)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state._lock:
                state._under_way += 1
                state.most_at_once = max(state.most_at_once, state._under_way)
                state.requests.append((self.path, body, self.headers.get("Authorization", "")))
                planned = state.answers.pop(0) if state.answers else None
            status, value, headers = planned or (200, self.real(body), {})
            if self.path != ("/verify" if state.is_old else "/api/check"):
                status, value, headers = 404, {"detail": "Not Found"}, {}
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            with state._lock:
                state._under_way -= 1
            self.send_response(status)
            for name, text in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(data)

        def real(self, body: dict[str, Any]) -> dict[str, Any]:
            if "codes" in body:
                assert set(body) == {"codes", "timeout"}
                return {
                    "results": [
                        {"custom_id": each["custom_id"], "error": None, "response": state.judge(each["proof"])}
                        for each in body["codes"]
                    ]
                }
            assert set(body) <= {"snippets", "timeout", "debug", "reuse", "infotree"}
            return {
                "results": [
                    {"id": each["id"], "time": 0.1, "response": state.judge(each["code"])} for each in body["snippets"]
                ]
            }

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


def timed_out(identity: str) -> dict[str, Any]:
    """The server's own words for a text that took too long. It is no error of HTTP."""
    return {"results": [{"id": identity, "time": 1.0, "error": "Lean REPL command timed out in 1 seconds"}]}


__all__ = ["FakeKimina", "fake_kimina", "timed_out"]
