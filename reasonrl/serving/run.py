"""Listens, and ends well: at SIGTERM no new request is taken, and those under way are answered.

Who asks anew is told so with 503, as long as there is anything under way. A strategy that outlasts the grace time
answers a little before its end with the best draft it has; what else is then under way is sent away.
"""

from __future__ import annotations

import asyncio
import json
import math
import resource
import signal
import socket
import time
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reasonrl.errors import UsageError
from reasonrl.serving.admission import Admission
from reasonrl.serving.guard import error_body, error_kind

HEAD_S = 10.0
"""From the beginning of a request to the end of its head. uvicorn itself waits for ever."""
WRITE_S = 30.0
"""How long a client may read nothing of an answer that waits for it."""
KEEP_ALIVE_S = 75
"""How long a connection may wait for its next request: longer than any client keeps it (httpx and openai 5 s, aiohttp
15 s, nginx 60 s). A server that closes first does so while a request is on its way, and the client sees a reset.
"""
GRACE_S = 25
"""Less than the 30 s after which Kubernetes kills."""
ANSWER_S = 2.0
"""Before the end of the grace time: then plays end, so that their answers can be sent."""
MOST_CONNECTIONS = 1024
OPEN_FILES = 4 * MOST_CONNECTIONS
"""Of this process: clients' connections, and those to models behind other servers."""


class _Protocol(H11Protocol):
    """Closes connections whose request does not begin, whose head does not end, or whose client does not read."""

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # Every byte that the client does not take counts, also the last ones of an answer: without it a connection that
        # is closed would wait for ever to be rid of them.
        transport.set_write_buffer_limits(high=0)
        self._arm()

    def data_received(self, data: bytes) -> None:
        if self._head_timer is None and self._is_idle:
            self._arm()
        super().data_received(data)
        if not self._is_idle:
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._disarm_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._disarm_writing()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is not HTTP ends the connection; it is answered, unless an answer is under way."""
        body = json.dumps(error_body(msg, error_kind(400))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        try:
            for event in (
                h11.Response(status_code=400, headers=[*headers, (b"connection", b"close")], reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        except h11.LocalProtocolError:
            pass
        self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_S, self._close_late)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _disarm_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _close_late(self) -> None:
        self._head_timer = None
        if self._is_idle and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, admission: Admission) -> None:
        super().__init__(config)
        self._admission = admission

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._admission.is_draining = True
        super().handle_exit(sig, frame)
        # uvicorn raises SIGINT again when it has ended; that is not a crash.
        self._captured_signals = [s for s in self._captured_signals if s not in (signal.SIGINT, signal.SIGTERM)]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        grace_s = self.config.timeout_graceful_shutdown or GRACE_S
        end = time.monotonic() + grace_s
        self._admission.drain(grace_s - min(ANSWER_S, 0.2 * grace_s))
        while self._admission.under_way and not self.force_exit and time.monotonic() < end:
            await asyncio.sleep(0.05)
        # Answers that are being written, and a moment for those that are sent away.
        self.config.timeout_graceful_shutdown = max(1, math.ceil(end - time.monotonic()))
        await super().shutdown(sockets)


def _last_answers_say_so(app: Any, admission: Admission) -> Any:
    """ASGI middleware. An answer of a server that ends is the last on its connection, and its head says so: else the
    client sends its next request there, and sees a reset.
    """

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def send_last(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and admission.is_draining:
                message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await app(scope, receive, send_last)

    return application


def make_server(
    app: Any, admission: Admission, *, host: str = "127.0.0.1", port: int = 0, grace_s: int = GRACE_S, **more: Any
) -> uvicorn.Server:
    """A server that does not run yet.

    Args:
        grace_s: after SIGTERM, for what is under way.
        more: of `uvicorn.Config`.
    """
    config = uvicorn.Config(
        _last_answers_say_so(app, admission),
        host=host,
        port=port,
        http=_Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
        limit_concurrency=MOST_CONNECTIONS,
        h11_max_incomplete_event_size=16 * 1024,
        **more,
    )
    return _Server(config, admission)


def _allow_open_files() -> None:
    """Shells often allow 1,024; then a full server could not accept the connection that it would refuse."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < OPEN_FILES:
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run_server(app: Any, admission: Admission, *, host: str, port: int, grace_s: int = GRACE_S) -> None:
    """Until SIGTERM or Ctrl-C. Raises UsageError where it cannot listen."""
    server = make_server(app, admission, host=host, port=port, grace_s=grace_s)
    _allow_open_files()
    try:
        server.run()
    except SystemExit as error:
        raise UsageError(f"cannot listen on {host}, port {port}: choose others with --host and --port") from error
    if not server.started:
        raise UsageError(f"cannot listen on {host}, port {port}: choose others with --host and --port")
