"""Several critiques of one solution, where the deadline or the end of the server comes before all are written."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from reasonrl.serving.admission import Full
from reasonrl.serving.replaying import Settings, replay_trace
from reasonrl.serving.schemas import CritiqueRequest
from reasonrl.serving.service import Service
from reasonrl.serving.trace import Trace
from reasonrl.serving.voices import Chat, Said
from tests.serving.fake_voices import FakeVoice, fake_cast
from tests.serving.scripts import ACCEPTS, REJECTS, echo


class Slow(FakeVoice):
    """Some of its answers take longer than anybody waits."""

    def __init__(self, slow: Any) -> None:
        super().__init__("judge", lambda chat, seed: REJECTS if seed % 3 else ACCEPTS)
        self.slow = slow

    async def say(self, chat: Chat, sampling: Any, seed: int) -> Said:
        await asyncio.sleep(10 if self.slow(seed) else 0)
        return await super().say(chat, sampling, seed)


def service_of(slow: Any) -> Service:
    return Service(fake_cast(FakeVoice("solver", echo), Slow(slow), critic_temperature=0.7), {})


def request(**options: Any) -> CritiqueRequest:
    return CritiqueRequest(problem="2 + 3?", solution="It is 5.", samples=16, trace=True, **options)


def test_at_the_deadline_those_count_that_have_ended() -> None:
    value, critiques, usage = asyncio.run(service_of(lambda seed: seed % 2).critique(request(deadline_s=0.2), 5))
    assert value["stopped_by"] == "deadline" and 0 < len(critiques) < 16
    assert value["critiques_read"] == len(critiques) == len(value["critiques"]) and value["interval"] is not None
    assert usage.roles["critic"].calls == len(critiques) and not usage.is_complete
    trace = Trace.model_validate(json.loads(json.dumps(value["trace"])))
    assert trace.outcome.stopped_by == "deadline" and len(trace.calls) == len(critiques)
    replayed = asyncio.run(replay_trace(trace, Settings()))
    assert replayed.is_same, replayed


def test_all_of_them_in_time() -> None:
    value, critiques, usage = asyncio.run(service_of(lambda seed: False).critique(request(deadline_s=60), 5))
    assert value["stopped_by"] == "completed" and len(critiques) == 16 and usage.is_complete
    trace = Trace.model_validate(json.loads(json.dumps(value["trace"])))
    assert trace.outcome.stopped_by is None
    assert asyncio.run(replay_trace(trace, Settings())).is_same


def test_none_of_them_in_time() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(service_of(lambda seed: True).critique(request(deadline_s=0.1), 5))


@pytest.mark.parametrize("answers", [True, False])
def test_the_end_of_the_server(answers: bool) -> None:
    service = service_of((lambda seed: seed % 2) if answers else (lambda seed: True))

    async def run() -> Any:
        task = asyncio.create_task(service.critique(request(), 5))
        await asyncio.sleep(0.1)
        service.shutdown.begin(0.1)
        return await task

    if answers:
        value, critiques, _ = asyncio.run(run())
        assert value["stopped_by"] == "shutdown" and 0 < len(critiques) < 16
    else:
        with pytest.raises(Full) as full:
            asyncio.run(run())
        assert full.value.status == 503
