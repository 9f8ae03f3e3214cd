"""What stands before every route, without a server: keys, hosts, limits, headers."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Iterable
from typing import Any
from unittest import mock

import pytest

from reasonrl.serving.guard import LOCAL_HOSTS, Guard, Limits
from tests.serving.scripts import fake_service

JSON = [(b"content-type", b"application/json")]


async def echo_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the body that it is given."""
    body = (await receive())["body"] if scope["method"] == "POST" else b"open"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def ask(
    guard: Guard,
    method: str = "GET",
    path: str = "/v1/models",
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: Iterable[bytes] = (b"{}",),
    *,
    host: bytes = b"localhost",
    pause_s: float = 0.0,
) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of the answer. The body is sent piece by piece; without an end if it is empty."""
    pieces = list(body)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause_s)
        if not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "headers": [(b"host", host), *headers],
    }
    asyncio.run(guard(scope, receive, send))
    start, *bodies = sent
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in bodies)


def guard_of(**options: Any) -> Guard:
    return Guard(echo_app, **{"hosts": LOCAL_HOSTS, **options})


# ---------------------------------------------------------------- keys


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode())]


def test_every_route_needs_a_key_unless_it_is_on_the_list() -> None:
    guard = guard_of(keys=["one", "two"])
    for path in (
        "/v1/models",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/nothing",
        "//",
        "/health/",
        "/Health",
        "/health%20",
    ):
        status, headers, _ = ask(guard, path=path)
        assert status == 401 and headers[b"www-authenticate"] == b"Bearer", path
    for path in ("/", "/health"):
        assert ask(guard, path=path)[0] == 200
    for key in ("one", "two", " one "):
        assert ask(guard, headers=bearer(key))[0] == 200
    assert ask(guard, headers=[(b"authorization", b"bEaReR one")])[0] == 200
    for wrong in ("", "on", "one2", "ONE", "one,two", "one two", "\u00f6ne"):
        assert ask(guard, headers=bearer(wrong))[0] == 401
    for header in (b"one", b"Basic one", b"Bearerone", b"Bearer", b"\xff\xfe", b"Token one"):
        assert ask(guard, headers=[(b"authorization", header)])[0] == 401
    assert ask(guard_of())[0] == 200, "no key is needed where none is set"


def test_every_route_of_the_application_is_guarded() -> None:
    fastapi = pytest.importorskip("fastapi")
    from reasonrl.serving.admission import Admission
    from reasonrl.serving.app import create_app
    from reasonrl.serving.metrics import ServerMetrics

    app = create_app(fake_service(), Admission(), ServerMetrics())
    assert isinstance(app, fastapi.FastAPI)
    guard = Guard(app, keys=["one"], hosts=LOCAL_HOSTS)
    paths = {route.path for route in app.routes}  # type: ignore[attr-defined]
    assert {"/v1/chat/completions", "/v1/critique", "/v1/refine", "/v1/verify", "/classify", "/metrics"} <= paths
    for path in paths - {"/", "/health"}:
        for method in ("GET", "HEAD", "POST", "OPTIONS", "DELETE"):
            assert ask(guard, method, path, JSON)[0] == 401, (method, path)


def test_a_body_is_not_read_before_the_key_is_known() -> None:
    status, _, _ = ask(guard_of(keys=["one"], limits=Limits(body_s=0.05)), "POST", headers=JSON, pause_s=5)
    assert status == 401


def test_every_key_is_compared_in_constant_time() -> None:
    compared: list[tuple[bytes, bytes]] = []
    is_equal = hmac.compare_digest

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return is_equal(a, b)

    with mock.patch("reasonrl.serving.guard.hmac.compare_digest", compare):
        for key in ("one", "three", "none", "x" * 5000):
            ask(guard_of(keys=["one", "two", "three"]), headers=bearer(key))
    assert len(compared) == 12 and {len(digest) for pair in compared for digest in pair} == {32}


# ---------------------------------------------------------------- hosts and headers


def test_hosts() -> None:
    for host in (b"localhost", b"localhost:8000", b"LOCALHOST", b"127.0.0.1:1", b"[::1]:8000", b"[::1]"):
        assert ask(guard_of(), host=host)[0] == 200
    for host in (
        b"",
        b"evil.example",
        b"localhost.evil.example",
        b"127.0.0.1.evil",
        b"::1",
        b"\xff",
        b"localhost:8000:1",
    ):
        assert ask(guard_of(), host=host)[0] == 403
        assert ask(guard_of(keys=["one"]), path="/health", host=host)[0] == 403
        assert ask(guard_of(hosts=None), host=host)[0] == 200


def test_every_answer_has_the_headers_of_a_guarded_one() -> None:
    guard = guard_of()
    for answer in (
        ask(guard),
        ask(guard, host=b"evil"),
        ask(guard, "POST", headers=JSON, body=[b"{"]),
        ask(guard, "OPTIONS", headers=[(b"origin", b"http://evil"), (b"access-control-request-method", b"POST")]),
    ):
        headers = answer[1]
        assert headers[b"x-content-type-options"] == b"nosniff" and headers[b"cache-control"] == b"no-store"
        assert headers[b"cross-origin-resource-policy"] == b"same-origin" and headers[b"x-frame-options"] == b"DENY"
        assert len(headers[b"x-request-id"]) == 32
        assert not any(name.startswith(b"access-control") for name in headers)


def test_the_number_of_a_request_is_the_clients_where_it_is_harmless() -> None:
    for number in (b"a", b"4d-F_.1", b"x" * 128):
        assert ask(guard_of(), headers=[(b"x-request-id", number)])[1][b"x-request-id"] == number
    for number in (b"", b"a b", b"x" * 129, b"a\r\nset-cookie: x", b"\xff", b"a\n"):
        assert ask(guard_of(), headers=[(b"x-request-id", number)])[1][b"x-request-id"] != number


def test_long_heads() -> None:
    for headers in ([(b"x", b"y" * 17_000)], [(b"x%d" % i, b"y" * 10) for i in range(2000)]):
        status, answer, _ = ask(guard_of(), headers=headers)
        assert status == 431 and answer[b"connection"] == b"close"
    assert ask(guard_of(), path="/" + "x" * 17_000)[0] == 431
    assert ask(guard_of(), headers=[(b"x", b"y" * 15_000)])[0] == 200


# ---------------------------------------------------------------- bodies


def post(body: Iterable[bytes], headers: Iterable[tuple[bytes, bytes]] = JSON, **options: Any) -> tuple[int, bytes]:
    limits = Limits(body_bytes=1000, body_s=0.2)
    status, _, answer = ask(guard_of(limits=limits), "POST", headers=headers, body=body, **options)
    return status, answer


def test_a_body_reaches_the_route_as_it_was_sent() -> None:
    body = json.dumps({"a": ["\u00e4\U0001f600\x00", 1.5, None, True, -(2**70)]}).encode()
    assert post([body]) == (200, body)
    assert post([body[:3], b"", body[3:]]) == (200, body)
    raw = '{"a": "ä😀", "a": 2 }\n'.encode()
    assert post([raw], [(b"content-type", b"application/json; charset=utf-8")]) == (200, raw)


def test_bodies_that_no_route_can_use() -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
    ):
        status, answer = post([body])
        assert status == 400 and json.loads(answer)["error"]["message"], body
    status, answer = post([b'{"a":' * 10_000], headers=JSON)
    assert status == 413
    limits = Limits(body_bytes=2**20)
    for deep in (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"):
        assert ask(guard_of(limits=limits), "POST", headers=JSON, body=[deep])[0] == 400
    for kind in (b"text/plain", b"", b"application/x-www-form-urlencoded", b"application/jsonp"):
        assert post([b"{}"], [(b"content-type", kind)])[0] == 415
    assert post([b"{}"], [])[0] == 415


def test_long_bodies_by_what_they_say_and_by_what_they_are() -> None:
    padded = b'{"a": 1' + b" " * 990 + b"}"
    assert post([padded])[0] == 200
    assert post([padded + b"    "])[0] == 413
    assert post([b" " * 100] * 11)[0] == 413
    assert post([b"{}"], [*JSON, (b"content-length", b"1001")])[0] == 413
    assert post([b" " * 2000], [*JSON, (b"content-length", b"2")])[0] == 413, "what it says does not count"


def test_slow_bodies_and_bodies_without_an_end() -> None:
    assert post([b" "] * 100, pause_s=0.01)[0] == 408
    assert post([b"{}"], pause_s=5)[0] == 408
    assert post([])[0] == 400


def test_other_kinds_of_connections_are_not_let_through() -> None:
    async def fails(*_: Any) -> None:
        raise AssertionError

    asyncio.run(Guard(fails, hosts=None)({"type": "websocket"}, fails, fails))  # type: ignore[arg-type]


def test_two_keys_are_refused() -> None:
    """The one that is compared would not be the one whose requests are counted."""
    for keys in ([], ["one"]):
        status, _, body = ask(guard_of(keys=keys), headers=[*bearer("x"), *bearer("one")])
        assert status == 400 and b"one Authorization header" in body
