"""A server that ends: who asks anew is told so, strategies answer with what they have, the others are sent away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from reasonrl.serving.admission import Admission
from reasonrl.serving.shutdown import Shutdown
from reasonrl.serving.voices import LocalVoice
from tests.serving.fake_voices import FakeVoice, running_server
from tests.serving.scripts import REJECTS, echo, fake_service, server_log, until

CHAT = "/v1/chat/completions"
ASK = [{"role": "user", "content": "What is 2 + 3?"}]


def test_a_server_that_drains_says_so() -> None:
    admission = Admission()
    with running_server(fake_service(), admission=admission) as base:
        admission.is_draining = True
        body = {"model": "solver", "messages": [{"role": "user", "content": "x"}]}
        for more in ({}, {"stream": True}):
            answer = httpx.post(base + CHAT, json={**body, **more})
            assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
        assert httpx.get(f"{base}/health").status_code == 503


class FakeEngine:
    """Never asked."""

    is_running = True
    on_begin = None

    async def __aexit__(self, *_: object) -> None:
        return


@pytest.mark.parametrize("who", ["actor", "critic"])
def test_a_server_whose_model_has_ended_is_not_healthy(who: str) -> None:
    """So that whoever watches it starts it again."""
    engine: Any = FakeEngine()
    with running_server(fake_service(**{who: LocalVoice("own", None, engine, 64)})) as base:
        assert httpx.get(f"{base}/health").json() == {"status": "ok"}
        engine.is_running = False
        answer = httpx.get(f"{base}/health")
        assert answer.status_code == 503 and answer.json() == {"status": "model_ended"}


def test_what_is_under_way_when_the_grace_is_over_is_sent_away() -> None:
    admission = Admission()
    actor = FakeVoice("solver", echo, delay_s=0.1)

    async def run_clients(base: str, stop: Callable[[], None]) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:

            def ask(**body: Any) -> asyncio.Task[httpx.Response]:
                messages = [{"role": "user", "content": "word " * 50}]
                return asyncio.create_task(client.post(CHAT, json={"model": "solver", "messages": messages, **body}))

            stream = ask(stream=True)
            await asyncio.sleep(0.5)
            actor.delay_s = 30
            silent_stream, several, strategy = ask(stream=True), ask(n=2), ask(model="refine-solver")
            await asyncio.sleep(0.3)
            stop()
            return await asyncio.gather(stream, silent_stream, several, strategy)

    with server_log() as lines, contextlib.ExitStack() as stack:
        base = stack.enter_context(running_server(fake_service(actor), admission=admission))

        def stop() -> None:
            admission.is_draining = True
            threading.Thread(target=stack.close).start()

        stream, *others = asyncio.run(run_clients(base, stop))
        until(lambda: admission.under_way == 0)
    assert stream.status_code == 200 and '"content": " [user:' in stream.text and "the server ends" in stream.text
    for answer in others:
        assert answer.status_code == 503 and "the server ends" in answer.text and answer.headers["retry-after"] == "5"
    assert actor.cancelled == 5 and not [line for line in lines if "Traceback" in line]


# ---------------------------------------------------------------- strategies


@contextlib.contextmanager
def ending(service: Any, admission: Admission) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a server with a grace time of 2 s, and what ends it as a signal does."""
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(running_server(service, admission=admission))
        threads: list[threading.Thread] = []

        def stop() -> None:
            threads.append(threading.Thread(target=stack.close))
            threads[0].start()

        yield base, stop
        for thread in threads:
            thread.join(15)


def test_strategies_under_way_answer_with_the_best_they_have() -> None:
    """In time for their answers to be sent; who has no draft yet is sent away, and the earlier deadline counts."""
    admission = Admission()
    actor = FakeVoice("solver", lambda chat, seed: "It is \\boxed{5}.")
    critic = FakeVoice("judge", lambda chat, seed: REJECTS, delay_s=30)
    refine = {"model": "refine-solver", "messages": ASK}

    async def run_clients(base: str, stop: Callable[[], None]) -> tuple[list[httpx.Response], list[httpx.Response]]:
        async with httpx.AsyncClient(base_url=base, timeout=30) as client:

            def ask(path: str, body: dict[str, Any]) -> asyncio.Task[httpx.Response]:
                return asyncio.create_task(client.post(path, json=body))

            tasks = [
                ask(CHAT, {**refine, "n": 2}),
                ask(CHAT, {**refine, "stream": True}),
                ask("/v1/refine", {"problem": "2 + 3?", "options": {"trace": True, "deadline_s": 600}}),
                ask("/v1/refine", {"problem": "2 + 3?", "options": {"deadline_s": 1.0}}),
            ]
            while len(critic.calls) < 5:
                await asyncio.sleep(0.01)
            actor.delay_s = 30
            tasks += [ask(CHAT, {**refine, "messages": [{"role": "user", "content": "slow"}]})]
            await asyncio.sleep(0.2)
            stop()
            while (await client.get("/health")).status_code != 503:
                await asyncio.sleep(0.01)
            late = [await client.post(CHAT, json={"model": "solver", "messages": ASK}) for _ in range(3)]
            return late, await asyncio.gather(*tasks)

    with server_log() as lines, ending(fake_service(actor, critic), admission) as (base, stop):
        late, answers = asyncio.run(run_clients(base, stop))
    for refused in late:
        assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
        assert refused.headers["connection"] == "close"
    several, stream, whole, short, without = answers
    for choice in several.json()["choices"]:
        assert choice["reasonrl"]["stopped_by"] == "shutdown" and choice["message"]["content"] == "It is \\boxed{5}."
    events = [json.loads(line[6:]) for line in stream.text.split("\n\n") if line.startswith("data: {")]
    assert events[-1]["choices"][0]["reasonrl"]["stopped_by"] == "shutdown" and stream.text.endswith("[DONE]\n\n")
    assert whole.json()["stopped_by"] == whole.json()["trace"]["outcome"]["stopped_by"] == "shutdown"
    assert short.json()["stopped_by"] == "deadline"
    assert without.status_code == 503 and "the server ends" in without.text and without.headers["retry-after"] == "5"
    assert critic.cancelled == 5 and not [line for line in lines if "Traceback" in line]


def test_a_server_with_nothing_to_do_ends_at_once() -> None:
    admission = Admission()
    with ending(fake_service(), admission) as (base, stop):
        assert httpx.get(f"{base}/health").status_code == 200
        stop()
        until(lambda: admission.is_draining)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{base}/health")


def test_what_begins_when_the_server_ends_has_the_time_that_is_left() -> None:
    async def run() -> list[bool]:
        shutdown = Shutdown()
        shutdown.begin(0.05)
        ended = []
        for seconds in (0.0, None, 60.0):
            with pytest.raises(TimeoutError):
                async with shutdown.deadline(seconds) as deadline:
                    await asyncio.sleep(5)
            ended.append(shutdown.has_ended(deadline))
        return ended

    assert asyncio.run(run()) == [False, True, True]
