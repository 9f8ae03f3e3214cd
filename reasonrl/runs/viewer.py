"""`reasonrl view RUN`: a page with the samples and curves of a run, served on this machine only, also while the run is
going.

The standard library's server is enough for one reader. It answers fixed paths and opens no file by a name from the
request. A web page of somebody else's must not read a run through the reader's browser: requests whose Host is not this
machine are refused (DNS rebinding), no cross-origin header is ever sent, and the page may load nothing but its own
script (Content-Security-Policy). What a model wrote is sent as JSON and shown as text nodes.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from reasonrl.errors import UsageError
from reasonrl.host.terminal import json_text
from reasonrl.runs.reading import Run
from reasonrl.runs.viewer_api import metrics_data, run_data, samples_data, tokens_data

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class ViewerServer(ThreadingHTTPServer):
    """Serves one run. `url` is where the page is."""

    daemon_threads = True
    # On POSIX this only skips the wait for old connections to die; elsewhere it would let two viewers share a port.
    allow_reuse_address = os.name == "posix"

    def __init__(self, run: Run, host: str, port: int) -> None:
        self.run = run
        self.page = resources.files("reasonrl.runs").joinpath("assets/viewer.html").read_bytes()
        self.policy = _policy(self.page)
        self.hosts = LOCAL_HOSTS | {host.lower()}
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """That a reader closes the page in the middle of an answer is not an error; all else is printed as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def make_server(run_path: str | Path, host: str = "127.0.0.1", port: int = 7860) -> ViewerServer:
    """A server that listens already and answers once `serve_forever` runs. Port 0 takes a free one.

    Raises:
        UsageError: the folder is not a run, or the port or address cannot be used.
    """
    run = Run.open(run_path)
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port lies between 0 and 65535 (0 takes a free one)")
    try:
        return ViewerServer(run, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is in use: choose another with --port, or --port 0 for a free one"
            ) from error
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}. Choose others with --host and --port."
        ) from error


def serve(
    run_path: str | Path, host: str = "127.0.0.1", port: int = 7860, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve a run until Ctrl-C. `on_ready` is called with the page's address once the server listens.

    Raises:
        UsageError: as `make_server`, and for a run whose metrics or samples are damaged.
    """
    with make_server(run_path, host, port) as server:
        server.run.metrics()
        server.run.samples.scan()
        if on_ready:
            on_ready(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer
    server_version = "reasonrl"
    sys_version = ""
    # One request a connection: when the server ends, no kept-alive connection keeps answering.
    protocol_version = "HTTP/1.0"
    timeout = 30

    def do_GET(self) -> None:
        if not self._is_local():
            self._send_json(
                {"error": "this viewer answers only on this machine (localhost or 127.0.0.1)"}, HTTPStatus.FORBIDDEN
            )
            return
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        run = self.server.run
        try:
            if address.path == "/":
                self._send(self.server.page, "text/html; charset=utf-8")
            elif address.path == "/api/run":
                self._send_json(run_data(run))
            elif address.path == "/api/metrics":
                have = query.get("have", "")
                self._send_json(
                    metrics_data(run, int(have) if have.isascii() and have.isdigit() and len(have) <= 12 else None)
                )
            elif address.path == "/api/samples":
                self._send_json(samples_data(run, query))
            elif address.path == "/api/tokens":
                self._send_json(tokens_data(run, query))
            else:
                self._send_json({"error": "no such page"}, HTTPStatus.NOT_FOUND)
        except UsageError as error:
            self._send_json({"error": str(error)}, HTTPStatus.BAD_REQUEST)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to the person."""

    def _is_local(self) -> bool:
        host = re.sub(r":\d+$", "", self.headers.get("Host", "")).lower()
        return host in self.server.hosts

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(
            json_text(value).encode(),
            "application/json; charset=utf-8",
            status,
        )

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()
        self.wfile.write(body)


def _policy(page: bytes) -> str:
    """Only the page's own inline scripts may run, known by their digests."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digests = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
    others = (
        "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    return f"default-src 'none'; script-src {digests}; {others}"
