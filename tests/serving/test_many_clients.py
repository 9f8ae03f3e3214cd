"""Many clients at once, clients that leave or do not read, models that die: whoever stays gets the answer that the
request gets alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from reasonrl.engines.local.serving import OverloadedError
from reasonrl.engines.served import ServedFailure, ServedModel
from reasonrl.errors import ModelError
from reasonrl.serving import run, streams
from reasonrl.serving.admission import Admission
from reasonrl.serving.service import Service
from reasonrl.serving.voices import BadPrompt, ServedVoice
from tests.engines.fake_server import running
from tests.serving.fake_voices import FakeVoice, fake_cast, running_server
from tests.serving.scripts import ACCEPTS, REJECTS, echo, fake_players, fake_service, server_log, until

CHAT = "/v1/chat/completions"
MODELS = ("solver", "judge", "refine-solver", "majority-solver", "filtered-vote-solver", "panel-solver")
CLIENTS = 64


def critic_of_texts(chat: Any, seed: int) -> str:
    """A verdict that depends on the chat."""
    return ACCEPTS if sum(map(ord, chat[-1]["content"])) % 2 else REJECTS


def request_number(number: int) -> tuple[str, dict[str, Any]]:
    """Requests of all routes, streamed and whole, with one to three choices."""
    draw = random.Random(number)
    content = f"problem {number}"
    match draw.randrange(6):
        case 0:
            return "/v1/critique", {"problem": content, "solution": f"It is {number}.", "seed": number}
        case 1:
            return "/v1/refine", {"problem": content, "seed": number, "options": {"trace": True}}
        case kind:
            body = {"model": draw.choice(MODELS), "messages": [{"role": "user", "content": content}], "seed": number}
            more = {"stream": True, "stream_options": {"include_usage": True}} if kind < 4 else {}
            return CHAT, {**body, **(more or {"n": draw.randint(1, 3)})}


def plain(answer: httpx.Response) -> Any:
    """What must not change from one time to the next: the answer without its number and its time."""
    assert answer.status_code == 200, answer.text[:500]

    def constant(value: dict[str, Any]) -> dict[str, Any]:
        return {key: item for key, item in value.items() if key not in ("id", "created")}

    if not answer.headers["content-type"].startswith("text/event-stream"):
        return constant(answer.json())
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [constant(json.loads(line)) for line in lines[:-1]]


def test_nothing_is_lost_or_mixed_up() -> None:
    admission = Admission()
    slow = FakeVoice("solver", echo, delay_s=0.002), FakeVoice("judge", critic_of_texts, delay_s=0.001)

    async def leave(base: str, model: str) -> None:
        """Asks for a long answer and does not wait for it."""
        messages = [{"role": "user", "content": "word " * 300}]
        _, writer = await asyncio.open_connection(*base.removeprefix("http://").split(":"))
        writer.write(raw({"model": model, "messages": messages, "stream": True}))
        await asyncio.sleep(0.02)
        writer.close()

    async def run_clients(base: str, alone: list[Any]) -> None:
        async def one_client(client: httpx.AsyncClient, number: int) -> None:
            draw = random.Random(number)
            for each in draw.sample(range(len(alone)), 4):
                path, body = request_number(each)
                if draw.random() < 0.3:
                    await leave(base, draw.choice(MODELS))
                assert plain(await client.post(path, json=body)) == alone[each], (path, body)

        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as client, asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(one_client(client, number))

    with server_log() as lines:
        with running_server(
            Service(fake_cast(FakeVoice("solver", echo), FakeVoice("judge", critic_of_texts)), {})
        ) as base:
            alone = [plain(httpx.post(base + path, json=body)) for path, body in map(request_number, range(100))]
        assert len({str(answer) for answer in alone}) == len(alone)
        with running_server(Service(fake_cast(*slow), {}), admission=admission) as base:
            asyncio.run(run_clients(base, alone))
            until(lambda: admission.under_way == 0)
            assert slow[0].cancelled + slow[1].cancelled > 0, "some left"
            counts = httpx.get(f"{base}/metrics").text
    assert not [line for line in lines if "Traceback" in line or "never retrieved" in line]
    assert "reasonrl:num_requests_running 0.0" in counts and 'status="cancelled"' in counts
    assert 'status="error"' not in counts


def test_connections_wait_longer_than_clients_keep_them() -> None:
    """Else the server closes one in the moment in which the next request is sent on it: the client sees a reset."""
    server = run.make_server(None, Admission(), log_config=None)
    assert server.config.timeout_keep_alive > max(60, httpx.Limits().keepalive_expiry or 0)


# ---------------------------------------------------------------- room


def test_more_than_the_server_takes_are_sent_away_and_come_back() -> None:
    admission = Admission(most=8, most_of_one=8)
    actor = FakeVoice("solver", echo, delay_s=0.02)
    refused = 0

    async def run_clients(base: str) -> None:
        async def one_client(client: httpx.AsyncClient, number: int) -> str:
            nonlocal refused
            body = {"model": "solver", "messages": [{"role": "user", "content": f"problem {number}"}], "seed": 1}
            for _ in range(500):
                answer = await client.post(CHAT, json=body)
                if answer.status_code == 200:
                    return str(answer.json()["choices"][0]["message"]["content"])
                assert answer.status_code == 503 and 1 <= int(answer.headers["retry-after"]) <= 60
                assert int(answer.headers["retry-after-ms"]) == 1000 * int(answer.headers["retry-after"])
                refused += 1
                await asyncio.sleep(0.02 + random.random() / 10)
            raise AssertionError("never let in")

        async with httpx.AsyncClient(base_url=base, timeout=60) as client:
            texts = await asyncio.gather(*(one_client(client, number) for number in range(CLIENTS)))
        assert [f"problem {number}]" in text for number, text in enumerate(texts)] == [True] * CLIENTS

    with running_server(fake_service(actor), admission=admission) as base:
        asyncio.run(run_clients(base))
        counts = httpx.get(f"{base}/metrics").text
    assert refused and f'reasonrl:admission_rejections_total{{reason="server"}} {float(refused)}' in counts
    assert admission.under_way == 0


def test_one_client_does_not_take_the_places_of_the_others() -> None:
    admission = Admission(most=8, most_of_one=2)
    actor = FakeVoice("solver", echo, delay_s=0.5)
    body = {"model": "solver", "messages": [{"role": "user", "content": "x"}]}

    async def ask(base: str, key: str, count: int) -> list[int]:
        async with httpx.AsyncClient(base_url=base, headers={"authorization": key}) as client:
            answers = await asyncio.gather(*(client.post(CHAT, json=body) for _ in range(count)))
        return sorted(answer.status_code for answer in answers)

    async def run_clients(base: str) -> None:
        greedy = asyncio.create_task(ask(base, "Bearer first", 6))
        await asyncio.sleep(0.2)
        # Another way to write the key is not another client.
        assert await ask(base, "bearer   first", 1) == [429]
        assert await ask(base, "Bearer second", 2) == [200, 200]
        assert await greedy == [200] * 2 + [429] * 4

    with running_server(fake_service(actor), keys=["first", "second"], admission=admission) as base:
        asyncio.run(run_clients(base))


# ---------------------------------------------------------------- clients that leave, or do not read


def raw(body: dict[str, Any], path: str = CHAT) -> bytes:
    data = json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    ).encode() + data


@contextlib.contextmanager
def connected(base: str) -> Iterator[socket.socket]:
    host, port = base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        yield connection


@pytest.mark.parametrize(
    "body",
    [
        {"model": "solver"},
        {"model": "solver", "n": 4},
        {"model": "solver", "stream": True},
        {"model": "majority-solver", "reasonrl": {"samples": 4}},
        {"model": "majority-solver", "stream": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("after_s", [0.0, 0.1])
def test_a_client_that_leaves_gives_its_place_back(body: dict[str, Any], after_s: float) -> None:
    admission = Admission()
    actor = FakeVoice("solver", echo, delay_s=30)
    with server_log() as lines, running_server(fake_service(actor), admission=admission) as base:
        for _ in range(10):
            with connected(base) as connection:
                connection.sendall(raw({"messages": [{"role": "user", "content": "x"}], **body}))
                time.sleep(after_s / 5)
        if after_s:
            until(lambda: len(actor.calls) >= 10)
        until(lambda: admission.under_way == 0)
        until(lambda: actor.cancelled == len(actor.calls))
        assert actor.ended == 0
        assert httpx.get(f"{base}/health").status_code == 200
    assert not [line for line in lines if "Traceback" in line or "never" in line]


@pytest.mark.parametrize("model", ["solver", "refine-solver"])
def test_a_client_that_leaves_in_mid_stream_cancels_the_hidden_calls(model: str) -> None:
    admission = Admission()
    actor = FakeVoice("solver", echo, delay_s=0.02)
    critic = FakeVoice("judge", lambda chat, seed: REJECTS, delay_s=30)
    with running_server(fake_service(actor, critic), admission=admission) as base:
        body = {"model": model, "messages": [{"role": "user", "content": "x " * 2000}], "stream": True}
        with httpx.stream("POST", base + CHAT, json=body) as answer:
            for number, _ in enumerate(answer.iter_lines()):
                if number == 4:
                    break
        until(lambda: admission.under_way == 0)
        until(lambda: actor.cancelled + critic.cancelled == 1)


def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "WRITE_S", 0.3)
    admission = Admission()
    actor = FakeVoice("solver", lambda chat, seed: ("w" * 100_000 + " ") * 200)
    with server_log() as lines, running_server(fake_service(actor), admission=admission) as base:
        for stream in (True, False):
            body = {"model": "solver", "messages": [{"role": "user", "content": "x"}], "stream": stream}
            with connected(base) as connection:
                connection.sendall(raw(body))
                until(lambda: len(actor.calls) == 2 - stream and admission.under_way == 0, 20)  # noqa: B023
                time.sleep(1)  # an answer in one piece is written after its request has ended
                answer = b"".join(iter(lambda: connection.recv(2**20), b""))
            assert answer.startswith(b"HTTP/1.1 200") and len(answer) < 20_000_000 and b"[DONE]" not in answer
        assert httpx.get(f"{base}/health").status_code == 200
    assert not [line for line in lines if "Traceback" in line]


def test_a_client_that_does_not_read_the_end_of_an_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is less than asyncio's own limit, and the server has nothing more to send."""
    monkeypatch.setattr(run, "WRITE_S", 0.3)
    begin = run._Protocol.connection_made

    def begin_with_little_room(self: run._Protocol, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        begin(self, transport)

    monkeypatch.setattr(run._Protocol, "connection_made", begin_with_little_room)
    actor = FakeVoice("solver", lambda chat, seed: "w" * 40_000)
    with running_server(fake_service(actor)) as base, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.settimeout(5)
        host, port = base.removeprefix("http://").split(":")
        connection.connect((host, int(port)))
        connection.sendall(raw({"model": "solver", "messages": [{"role": "user", "content": "x"}]}))
        time.sleep(1.5)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                answer += more
    assert answer[:12] in (b"", b"HTTP/1.1 200") and len(answer) < 40_000


def test_a_silent_stream_is_kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_S", 0.1)
    for model in ("solver", "refine-solver"):
        actor = FakeVoice("solver", lambda chat, seed: "one", delay_s=0.35)
        with running_server(fake_service(actor)) as base:
            body = {"model": model, "messages": [{"role": "user", "content": "x"}], "stream": True}
            answer = httpx.post(base + CHAT, json=body)
            events = answer.text.split("\n\n")
            assert events.count(": keep-alive") >= 2 and '"content": "one"' in answer.text
            assert events[-2] == "data: [DONE]"


# ---------------------------------------------------------------- models that fail


def post(base: str, path: str = CHAT, **body: Any) -> httpx.Response:
    if path == CHAT:
        body = {"model": "solver", "messages": [{"role": "user", "content": "2 + 3?"}], "seed": 1, **body}
    return httpx.post(base + path, json=body, timeout=30)


FAILURES: list[tuple[Callable[[], Exception], int]] = [
    (lambda: ServedFailure("http://secret:1/v1: status 500"), 502),
    (lambda: ModelError("/secret/weights: gone"), 502),
    (lambda: OverloadedError("9 requests are under way; ask again later"), 503),
    (lambda: BadPrompt("the prompt has 9 tokens; solver takes at most 8"), 400),
    (lambda: KeyError("secret"), 500),
]


@pytest.mark.parametrize(("error", "status"), FAILURES, ids=lambda value: str(value) if isinstance(value, int) else "")
def test_a_model_that_fails_fails_its_requests_only(error: Callable[[], Exception], status: int) -> None:
    def fails_sometimes(chat: Any, seed: int) -> str:
        if "break" in chat[-1]["content"]:
            raise error()
        return echo(chat, seed)

    actor = FakeVoice("solver", fails_sometimes, delay_s=0.01)
    broken = [{"role": "user", "content": "break"}]

    async def run_clients(base: str) -> None:
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:

            async def ask(number: int) -> None:
                body: dict[str, Any] = {"model": ("solver", "refine-solver")[number % 2], "n": 1 + number % 3}
                if number % 4 == 0:
                    answer = await client.post(CHAT, json={**body, "messages": broken})
                    assert answer.status_code == status and answer.json()["error"]["message"], answer.text
                    assert "secret" not in answer.text and "Traceback" not in answer.text
                else:
                    asked = [{"role": "user", "content": f"problem {number}"}]
                    answer = await client.post(CHAT, json={**body, "messages": asked})
                    assert answer.status_code == 200 and f"problem {number}]" in answer.text

            await asyncio.gather(*map(ask, range(CLIENTS)))

    with server_log() as lines, running_server(fake_service(actor)) as base:
        asyncio.run(run_clients(base))
    assert any("Traceback" in line for line in lines) == (status == 500), "our mistakes are logged, others are not"


@pytest.mark.parametrize(
    ("error", "status"), FAILURES[:4], ids=lambda value: str(value) if isinstance(value, int) else ""
)
def test_a_strategy_without_its_critic_answers_with_what_it_has(error: Callable[[], Exception], status: int) -> None:
    def fails(chat: Any, seed: int) -> str:
        raise error()

    with running_server(fake_service(critic=FakeVoice("judge", fails))) as base:
        for model in ("refine", "best-of-n", "filtered-vote", "weighted-vote", "regenerate", "panel"):
            choice = post(base, model=f"{model}-solver").json()["choices"][0]
            assert choice["reasonrl"]["stopped_by"] == "critic_unavailable"
            assert "2 + 3?" in choice["message"]["content"]
        refined = post(base, "/v1/refine", problem="2 + 3?").json()
        assert refined["stopped_by"] == "critic_unavailable" and "2 + 3?" in refined["text"]
        critique = post(base, "/v1/critique", problem="2 + 3?", solution="It is 5.")
        assert critique.status_code == status and "secret" not in critique.text


def test_an_upstream_server_that_is_killed() -> None:
    with running() as upstream:
        model = ServedModel(f"http://127.0.0.1:{upstream.server_port}/v1", "tiny", retry_wait_s=0.01)
        service = Service(replace(fake_players(), actor=ServedVoice("solver", model)), {})
        with running_server(service) as base:
            assert post(base).json()["choices"][0]["message"]["content"] == "2 + 3?"
            usage = post(base, model="refine-solver").json()["usage"]
            assert usage["reasonrl"]["complete"] is False
            upstream.shutdown()
            upstream.server_close()
            for options in ({}, {"n": 3}, {"model": "refine-solver"}, {"stream": True}):
                answer = post(base, **options)
                if options != {"model": "refine-solver"}:
                    assert answer.status_code == 502
                assert "127.0.0.1" not in answer.text
            assert post(base, model="judge").status_code == 200


def test_a_client_that_leaves_closes_the_connection_to_the_upstream_server() -> None:
    """The upstream server must not go on computing for nobody."""
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(5)
        model = ServedModel(f"http://127.0.0.1:{upstream.getsockname()[1]}/v1", "tiny")
        service = Service(replace(fake_players(), actor=ServedVoice("solver", model)), {})
        with running_server(service) as base, connected(base) as connection:
            connection.sendall(raw({"model": "solver", "messages": [{"role": "user", "content": "x"}]}))
            upstream_connection, _ = upstream.accept()
            with upstream_connection:
                upstream_connection.settimeout(5)
                assert b"chat/completions" in upstream_connection.recv(65536)
                connection.close()
                while upstream_connection.recv(65536):
                    pass
