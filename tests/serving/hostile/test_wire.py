"""Bytes that are no HTTP, or too slow: the server closes the connection, and goes on."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from reasonrl.serving import run
from tests.serving.hostile.conftest import CHAT, ROUTES


def exchange(address: str, data: bytes) -> bytes:
    """What comes back until the server closes; what is not sent because it has closed is left."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    return answer


def head(line: str = f"POST {CHAT} HTTP/1.1", *more: str) -> bytes:
    return "\r\n".join([line, "Host: localhost", "Content-Type: application/json", *more, "", ""]).encode("latin-1")


BODY = json.dumps(ROUTES[CHAT]).encode()
LENGTH = f"Content-Length: {len(BODY)}"
GARBAGE: list[bytes] = [
    *(
        b"\r\n\r\n",
        b"\n",
        b"GET /\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
    ),
    *(b"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b" GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n", b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n"),
    *(b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nHost: localhost\r\nx: \x00\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nx: a\rb\r\n\r\n"),
    *(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-x\r\n",
        b"\x05\x01\x00",
    ),
    *(
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    *(
        b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
    *(b"GET //evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET ?x HTTP/1.1\r\nHost: localhost\r\n\r\n", b"A" * 70_000),
    *(
        head(f"GET /{'x' * 20_000} HTTP/1.1"),
        head("GET / HTTP/1.1", *["x: " + "y" * 100] * 500),
        head("GET / HTTP/1.1", "x" * 17_000 + ": 1"),
    ),
    *(head("GET / HTTP/1.1", "x: " + "y" * 17_000), head("GET /v1/none HTTP/1.1", *[f"x-{i}: y" for i in range(1000)])),
    *(head() + BODY, head(f"POST {CHAT} HTTP/1.0", LENGTH) + BODY[:-5]),
    *(
        head(f"POST {CHAT} HTTP/1.1", f"Content-Length: {length}") + BODY
        for length in ("x", "-1", "+5", "1e3", "5, 6", "0x10", "", "9" * 30)
    ),
    *(head(f"POST {CHAT} HTTP/1.1", f"Content-Length: {length}") + BODY for length in (0, 5, len(BODY) + 50)),
    head(f"POST {CHAT} HTTP/1.1", LENGTH, f"Content-Length: {len(BODY) + 1}") + BODY,
    head(f"POST {CHAT} HTTP/1.1", LENGTH, "Transfer-Encoding: gzip, chunked") + BODY,
    head(f"POST {CHAT} HTTP/1.1", "Transfer-Encoding: identity") + BODY,
    *(
        head(f"POST {CHAT} HTTP/1.1", "Transfer-Encoding: chunked") + chunks
        for chunks in (
            *(
                b"zz\r\n",
                b"-5\r\nhello\r\n0\r\n\r\n",
                b"5\r\nhel",
                b"5;x=" + b"y" * 70_000,
                b"ffffffffffffffffffff\r\nx",
                b"5\r\nhello0\r\n\r\n",
            ),
            *(b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"1\r\n{\r\n" * 100 + b"0\r\n\r\n"),
        )
    ),
]


@pytest.mark.parametrize("is_second", [False, True], ids=["first", "after-an-honest-request"])
def test_garbage_on_the_wire(impatient_address: str, monkeypatch: pytest.MonkeyPatch, is_second: bool) -> None:
    monkeypatch.setattr(run, "HEAD_S", 0.5)
    before = head(f"POST {CHAT} HTTP/1.1", LENGTH) + BODY if is_second else b""
    draw = random.Random(3)
    noise = [draw.randbytes(draw.randint(1, 2000)) for _ in range(60)]
    requests = [*GARBAGE, *noise]
    with ThreadPoolExecutor(32) as pool:
        answers = pool.map(lambda data: exchange(impatient_address, before + data), requests)
        for data, answer in zip(requests, answers, strict=True):
            statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
            if is_second and statuses:
                assert statuses.pop(0) == 200, (data[:80], answer[:300])
            assert all(400 <= status < 500 for status in statuses), (data[:80], answer[-500:])
            assert b"Traceback" not in answer


def test_requests_in_a_pipeline_are_answered_in_order(address: str) -> None:
    def request(seed: int) -> bytes:
        body = json.dumps({**ROUTES[CHAT], "seed": seed, "n": 2}).encode()
        return head(f"POST {CHAT} HTTP/1.1", f"Content-Length: {len(body)}") + body

    last = head("GET /v1/models HTTP/1.1", "Connection: close")
    answer = exchange(address, b"".join(map(request, range(20))) + last)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 ")[1:]]
    assert [json.loads(body)["reasonrl"]["seed"] for body in bodies[:-1]] == list(range(20))
    assert json.loads(bodies[-1])["object"] == "list"


def test_garbage_while_an_answer_is_under_way(address: str) -> None:
    """The answer to a refused body has gone out when the body turns out not to be HTTP."""
    host, port = address.removeprefix("http://").split(":")
    for _ in range(3):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
            )
            assert b" 415 " in connection.recv(65536)
            connection.sendall(b"not a chunk\r\n")
            with contextlib.suppress(ConnectionError):
                while connection.recv(65536):
                    pass


def test_slow_bodies_and_heads_are_cut_off(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "HEAD_S", 0.5)
    host, port = address.removeprefix("http://").split(":")
    waits_for = {
        "nothing": b"",
        "half a head": f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n".encode(),
        "half a second head": head("GET /v1/models HTTP/1.1") + b"GET /",
        "half a body": head(f"POST {CHAT} HTTP/1.1", LENGTH) + BODY[:-5],
        "half of the chunks": head(f"POST {CHAT} HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n{\r\n",
        "a body that nobody wants": head("GET /v1/models HTTP/1.1", "Content-Length: 100000"),
    }
    with contextlib.ExitStack() as stack:
        connections = {
            name: stack.enter_context(socket.create_connection((host, int(port)), timeout=8)) for name in waits_for
        }
        answers = dict.fromkeys(waits_for, b"")
        for name, data in waits_for.items():
            connections[name].sendall(data)
        started = time.monotonic()
        while time.monotonic() - started < 3:  # a byte now and then, so that none is idle
            time.sleep(0.1)
            for name, connection in connections.items():
                if name != "nothing":
                    with contextlib.suppress(OSError):
                        connection.send(b"x")
        for name, connection in connections.items():
            with contextlib.suppress(ConnectionResetError):
                while more := connection.recv(65536):
                    answers[name] += more
    assert time.monotonic() - started < 7, "the server has closed them all"
    assert answers["half a body"].startswith(b"HTTP/1.1 40") and b"Traceback" not in b"".join(answers.values())
    assert answers["half of the chunks"].startswith(b"HTTP/1.1 40")
    assert answers["half a second head"].startswith(b"HTTP/1.1 200")
