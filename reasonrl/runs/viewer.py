"""The server of `reasonrl view`: one kind of pages, on this machine only.

The standard library's server is enough for one reader. It answers fixed paths and opens no file by a name from the
request. A web page of somebody else's must not read results through the reader's browser: requests whose Host is not
this machine are refused (DNS rebinding), no cross-origin header is ever sent, and the page may load nothing but its
own scripts (Content-Security-Policy). What a model wrote is sent as JSON and shown as text nodes.
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
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from reasonrl.errors import UsageError
from reasonrl.host.terminal import json_text
from reasonrl.runs.viewer_page import Pages, Route

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class ViewerServer(ThreadingHTTPServer):
    """Serves pages. `url` is where they are."""

    daemon_threads = True
    # On POSIX this only skips the wait for old connections to die; elsewhere it would let two viewers share a port.
    allow_reuse_address = os.name == "posix"

    def __init__(self, pages: Pages, host: str, port: int) -> None:
        self.pages = pages
        self.policy = content_policy(pages.html)
        self.hosts = LOCAL_HOSTS | {host.lower()}
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """That a reader closes the page in the middle of an answer is not an error; all else is printed as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def make_server(pages: Pages, host: str = "127.0.0.1", port: int = 7860) -> ViewerServer:
    """A server that listens already and answers once `serve_forever` runs. Port 0 takes a free one.

    Raises:
        UsageError: the port or address cannot be used.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: a port lies between 0 and 65535 (0 takes a free one)")
    try:
        return ViewerServer(pages, host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"port {port} is in use: choose another with --port, or --port 0 for a free one"
            ) from error
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}. Choose others with --host and --port."
        ) from error


def serve(
    pages: Pages, host: str = "127.0.0.1", port: int = 7860, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve pages until Ctrl-C. `on_ready` is called with their address once the server listens.

    Raises:
        UsageError: as `make_server`, and for files that are damaged.
    """
    with make_server(pages, host, port) as server:
        pages.check()
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
        route = self.server.pages.routes.get(address.path)
        if address.path == "/":
            self._send(self.server.pages.html, "text/html; charset=utf-8")
        elif route is None:
            self._send_json({"error": "no such page"}, HTTPStatus.NOT_FOUND)
        else:
            self._send_json(*_answer(route, dict(parse_qsl(address.query))))

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


def _answer(route: Route, query: dict[str, str]) -> tuple[Any, HTTPStatus]:
    try:
        return route(query), HTTPStatus.OK
    except UsageError as error:
        return {"error": str(error)}, HTTPStatus.BAD_REQUEST
    except OSError as error:  # the folder was moved, or a disk is gone, while the page is open
        return {"error": f"{error.filename}: {error.strerror or error}"}, HTTPStatus.INTERNAL_SERVER_ERROR


def content_policy(page: bytes) -> str:
    """Only the page's own inline scripts may run, known by their digests."""
    scripts = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    digests = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in scripts)
    others = (
        "style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )
    return f"default-src 'none'; script-src {digests}; {others}"
