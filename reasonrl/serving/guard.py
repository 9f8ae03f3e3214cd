"""What stands before every route: who may ask, from where, and how much.

Closed by default: a route that nobody thought of is refused without a key like the others. Only `/health` is open, and
the page, which holds no data. No cross-origin header is ever sent, and a browser's request for another host is refused
(DNS rebinding). A body is read within a limit of bytes and of time, and must be JSON in UTF-8 that Python can hold, so
that nothing behind the guard fails on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import math
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = frozenset({"/", "/health"})
_Scope = Mapping[str, Any]
_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]
_PORT = re.compile(r":\d+$")
_NUMBER = re.compile(rb"[\w.-]{1,128}")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class Limits:
    head_bytes: int = 16 * 1024
    body_bytes: int = 2**20
    body_s: float = 20.0
    """From the request's head to the end of its body."""


class Refusal(Exception):
    """An answer without a route."""

    def __init__(self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status, self.headers = status, tuple(headers)


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """As OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_kind(status: int) -> str:
    kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
    return kinds.get(status, "invalid_request_error" if status < 500 else "server_error")


class Guard:
    """ASGI middleware.

    Args:
        keys: of clients. None: no key is needed; then the server must not listen beyond this machine.
        hosts: names by which browsers may call. None: any.
    """

    def __init__(
        self, app: Any, *, keys: Sequence[str] = (), hosts: frozenset[str] | None, limits: Limits | None = None
    ) -> None:
        self._app = app
        self._keys = [hashlib.sha256(key.encode()).digest() for key in keys]
        self._hosts = hosts
        self._limits = limits or Limits()

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        number = _request_number(scope)

        async def send_guarded(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS, (b"x-request-id", number)]
            await send(message)

        try:
            self._admit(scope)
            body = await self._body(scope, receive) if scope["method"] in ("POST", "PUT", "PATCH") else b""
        except Refusal as refusal:
            await _refuse(refusal, send_guarded)
            return
        given = False

        async def receive_again() -> dict[str, Any]:
            nonlocal given
            if given or body is None:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_again, send_guarded)

    def _admit(self, scope: _Scope) -> None:
        headers = dict(scope["headers"])
        if sum(map(len, itertools.chain([scope["raw_path"]], *scope["headers"]))) > self._limits.head_bytes:
            raise Refusal(431, f"the request's head may have {self._limits.head_bytes:,} bytes")
        if sum(name == b"authorization" for name, _ in scope["headers"]) > 1:
            raise Refusal(400, "write one Authorization header")
        host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1")).lower()
        if self._hosts is not None and host not in self._hosts:
            raise Refusal(403, "this server answers to its own name only")
        if not self._keys or scope["path"] in OPEN_PATHS:
            return
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        given = hashlib.sha256(key.strip()).digest()
        # Every key is compared, so that the time says nothing.
        if not (any([hmac.compare_digest(given, known) for known in self._keys]) and scheme.lower() == b"bearer"):
            raise Refusal(401, "a key is needed: Authorization: Bearer KEY", [(b"www-authenticate", b"Bearer")])

    async def _body(self, scope: _Scope, receive: _Receive) -> bytes:
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1").split(";")[0].strip().lower()
        if content_type != "application/json":
            raise Refusal(415, "write the body as JSON, with Content-Type: application/json")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._limits.body_bytes:
            raise Refusal(413, f"the body may have {self._limits.body_bytes:,} bytes")
        try:
            async with asyncio.timeout(self._limits.body_s):
                body = await self._read(receive)
        except TimeoutError as error:
            raise Refusal(408, f"the body did not arrive within {self._limits.body_s:g} s") from error
        _check_json(body)
        return body

    async def _read(self, receive: _Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "the client left")
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                raise Refusal(413, f"the body may have {self._limits.body_bytes:,} bytes")
            if not message.get("more_body", False):
                return bytes(body)


def _request_number(scope: _Scope) -> bytes:
    """The client's, so that it finds its request again, else a new one."""
    given: bytes = dict(scope["headers"]).get(b"x-request-id", b"")
    return given if _NUMBER.fullmatch(given) else uuid.uuid4().hex.encode()


def _check_json(body: bytes) -> None:
    """What the routes cannot be given: no JSON, nesting without end, numbers that are none, halves of letters."""
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Refusal(400, "the body has half of a surrogate pair, which is no text") from error
    except RecursionError as error:
        raise Refusal(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON: {error}"[:200]) from error
    if not isinstance(value, dict):
        raise Refusal(400, "the body must be a JSON object")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


async def _refuse(refusal: Refusal, send: _Send) -> None:
    body = json.dumps(error_body(str(refusal), error_kind(refusal.status))).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *refusal.headers]
    if refusal.status in (408, 413, 431):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
