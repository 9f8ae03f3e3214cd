"""Streams for the official `openai` client, unchanged: of the models of this process, and of a model behind another
server, whose pieces are passed on as they come.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from openai import OpenAI  # noqa: E402

from reasonrl.engines.served import ServedFailure, ServedModel  # noqa: E402
from reasonrl.serving.admission import Admission  # noqa: E402
from reasonrl.serving.service import Service  # noqa: E402
from reasonrl.serving.voices import ServedVoice  # noqa: E402
from tests.engines.fake_server import FakeServer, running  # noqa: E402
from tests.serving.fake_voices import FakeVoice, running_server  # noqa: E402
from tests.serving.scripts import echo, fake_players, fake_service, server_log, until  # noqa: E402
from tests.serving.test_openai_client import ASK, address, chat, client, client_of  # noqa: E402

__all__ = ["address", "client"]  # fixtures of the other file


def streamed(client: OpenAI, model: str, **options: Any) -> list[Any]:
    return list(chat(client, model, stream=True, **options))


@pytest.mark.parametrize("model", ["solver", "judge", "refine-solver", "best-of-n-solver"])
def test_a_stream_says_what_the_whole_answer_says(client: OpenAI, model: str) -> None:
    whole = chat(client, model, seed=11)
    chunks = streamed(client, model, seed=11, stream_options={"include_usage": True})
    assert all(chunk.object == "chat.completion.chunk" and chunk.model == model for chunk in chunks)
    assert len({chunk.id for chunk in chunks}) == 1
    *body, last = chunks
    assert last.choices == [] and last.usage == whole.usage
    assert all(len(chunk.choices) == 1 and chunk.choices[0].index == 0 for chunk in body)
    assert body[0].choices[0].delta.role == "assistant"
    content = "".join(chunk.choices[0].delta.content or "" for chunk in body)
    assert content == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in body] == [None] * (len(body) - 1) + ["stop"]
    final = body[-1].choices[0]
    assert final.delta.content is None
    if "-solver" in model:
        assert final.model_extra["reasonrl"] == whole.choices[0].model_extra["reasonrl"]
    assert all(chunk.choices for chunk in streamed(client, model, seed=11)), "usage is given where it is asked for"


def test_progress_is_reasoning_under_both_names_or_nothing(client: OpenAI) -> None:
    deltas = [chunk.choices[0].delta.model_extra for chunk in streamed(client, "refine-solver")]
    thoughts = [delta["reasoning"] for delta in deltas if delta and "reasoning" in delta]
    assert len(thoughts) >= 2 and thoughts == [delta["reasoning_content"] for delta in deltas if delta]
    silent = streamed(client, "refine-solver", extra_body={"reasonrl": {"progress": False}})
    assert not any(chunk.choices[0].delta.model_extra for chunk in silent)


def test_the_stream_helper_of_the_client(client: OpenAI) -> None:
    with client.chat.completions.stream(model="refine-solver", messages=ASK, seed=2) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content == chat(client, "refine-solver", seed=2).choices[0].message.content


def test_the_events_are_those_of_openai(address: str) -> None:
    body = {"model": "refine-solver", "messages": ASK, "stream": True}
    answer = httpx.post(f"{address}/v1/chat/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(json.loads(event.removeprefix("data: "))["choices"] for event in events[:-2])


def test_a_failure_before_the_first_token_has_its_status() -> None:
    def fails(chat: Any, seed: int) -> str:
        raise ServedFailure("http://secret-host:1/v1: no answer")

    with running_server(fake_service(FakeVoice("solver", fails))) as base:
        with pytest.raises(openai.InternalServerError) as failure:
            streamed(client_of(base), "solver")
        assert failure.value.status_code == 502 and "secret-host" not in str(failure.value)
        with pytest.raises(openai.NotFoundError):
            streamed(client_of(base), "gpt-4")
        with pytest.raises(openai.InternalServerError):
            streamed(client_of(base), "solver", n=2)


def test_a_budget_that_allows_no_draft_is_refused_before_anything_is_said() -> None:
    with running_server(fake_service()) as base:
        for stream in (False, True):
            with pytest.raises(openai.BadRequestError, match="does not allow one draft"):
                extra = {"reasonrl": {"budget_tokens": 3, "samples": 8}}
                list(chat(client_of(base), "majority-solver", stream=stream, extra_body=extra))


def test_the_budget_is_that_of_all_choices() -> None:
    def spent(**options: Any) -> int:
        with running_server(fake_service(FakeVoice("solver", lambda chat, seed: "word " * 100))) as base:
            extra = {"reasonrl": {"budget_tokens": 400, "samples": 4}}
            answer = chat(client_of(base), "majority-solver", extra_body=extra, **options)
            return int(answer.usage.completion_tokens)

    assert spent() == 400 and spent(n=4) == 400


def test_the_log_says_why_a_model_did_not_answer_and_quotes_nothing() -> None:
    def fails(chat: Any, seed: int) -> str:
        raise ServedFailure("http://upstream/v1: status 401: no key for 'my question'")

    for options in ({}, {"stream": True}):
        with server_log() as lines, running_server(fake_service(FakeVoice("solver", fails))) as base:
            with pytest.raises(openai.InternalServerError):
                list(chat(client_of(base), "solver", **options))
            assert any("status 401" in line for line in lines) and "my question" not in "".join(lines)
    with server_log() as lines, running_server(fake_service(critic=FakeVoice("judge", fails))) as base:
        list(chat(client_of(base), "refine-solver", stream=True))
        assert any("critic did not answer" in line and "status 401" in line for line in lines)
        assert "my question" not in "".join(lines)


def test_a_failure_in_a_stream_is_raised_by_the_client() -> None:
    class Breaks(FakeVoice):
        async def stream(self, *arguments: Any) -> Any:
            yield "half of "
            yield "an answer"
            raise self.error

        error: Exception = ServedFailure("http://secret-host:1/v1: no answer")

    actor = Breaks("solver", echo)
    with running_server(fake_service(actor)) as base:
        for error in (ServedFailure("http://secret-host:1"), KeyError("secret-host")):
            actor.error = error
            texts = []
            with pytest.raises(openai.APIError, match=r"did not answer|made a mistake") as failure:
                for chunk in chat(client_of(base), stream=True):
                    texts.append(chunk.choices[0].delta.content)
            assert "".join(texts) == "half of an answer" and "secret-host" not in str(failure.value)


# ---------------------------------------------------------------- several choices


@pytest.mark.parametrize("model", ["solver", "refine-solver"])
def test_several_choices_in_one_stream(client: OpenAI, model: str) -> None:
    whole = chat(client, model, seed=3, n=4)
    chunks = streamed(client, model, seed=3, n=4, stream_options={"include_usage": True})
    *body, last = chunks
    assert last.choices == [] and last.usage == whole.usage
    for choice in whole.choices:
        mine = [chunk.choices[0] for chunk in body if chunk.choices[0].index == choice.index]
        assert mine[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in mine) == choice.message.content
        assert [each.finish_reason for each in mine] == [None] * (len(mine) - 1) + [choice.finish_reason]
        assert mine[-1].model_extra.get("reasonrl") == choice.model_extra.get("reasonrl")


def test_choices_come_side_by_side() -> None:
    """None waits for the one before it."""
    actor = FakeVoice("solver", lambda chat, seed: "one two three four", delay_s=0.02)
    with running_server(fake_service(actor)) as base:
        chunks = streamed(client_of(base), "solver", n=3)
    numbers = [chunk.choices[0].index for chunk in chunks]
    assert numbers != sorted(numbers) and numbers.count(0) == numbers.count(2) == 6


# ---------------------------------------------------------------- a model behind another server


@contextmanager
def behind(upstream: FakeServer, admission: Admission | None = None) -> Iterator[OpenAI]:
    """A client of our server, whose actor runs on another one."""
    model = ServedModel(f"http://127.0.0.1:{upstream.server_port}/v1", "tiny", retry_wait_s=0.01)
    service = Service(replace(fake_players(), actor=ServedVoice("solver", model)), {})
    with running_server(service, admission=admission) as base:
        yield client_of(base)


LINES: list[Any] = [{"role": "user", "content": "one two\u2028three \u00fc\x85four"}]


def test_pieces_of_a_remote_model_are_passed_on_as_they_come() -> None:
    with running() as upstream, behind(upstream) as client:
        upstream.mode = "held"
        stream = iter(chat(client, stream=True, messages=LINES, stream_options={"include_usage": True}))
        texts = [next(stream).choices[0].delta.content for _ in range(2)]
        assert texts == ["", "ONE"], "the second word is held back until now"
        upstream.gate.set()
        *body, last = stream
        assert "".join(chunk.choices[0].delta.content or "" for chunk in body) == " TWO\u2028THREE \u00dc\x85FOUR"
        assert body[-1].choices[0].finish_reason == "stop" and last.choices == []
        assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 5)
        assert last.usage.model_extra["reasonrl"]["complete"] is True
        upstream.mode = "uncounted"
        *_, last = streamed(client, "solver", stream_options={"include_usage": True})
        assert last.usage.model_extra["reasonrl"]["complete"] is False


def test_choices_of_a_remote_model_have_seeds_of_their_own() -> None:
    with running() as upstream, behind(upstream) as client:
        chunks = streamed(client, "solver", n=3, messages=LINES)
        assert len({body["seed"] for body in upstream.asked}) == 3 and all(b["stream"] for b in upstream.asked)
        for index in range(3):
            mine = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices[0].index == index]
            assert "".join(mine) == LINES[0]["content"].upper()


def test_a_server_that_does_not_stream_gives_one_piece() -> None:
    with running() as upstream, behind(upstream) as client:
        upstream.mode = "no streams"
        texts = [chunk.choices[0].delta.content for chunk in streamed(client, "solver")]
        assert texts == ["", "WHAT IS 2 + 3?", None]
        upstream.mode = "thinking"
        text = "".join(chunk.choices[0].delta.content or "" for chunk in streamed(client, "solver", messages=LINES))
        assert text.startswith("<think>ONE TWO") and "</think>" not in text


@pytest.mark.parametrize("mode", ["torn", "failing", "garbage"])
@pytest.mark.parametrize("n", [1, 2])
def test_a_remote_stream_that_breaks_is_an_error_of_the_client(mode: str, n: int) -> None:
    with running() as upstream, behind(upstream) as client:
        upstream.mode = mode
        texts = []
        with pytest.raises(openai.APIError, match="did not answer") as failure:
            for chunk in chat(client, stream=True, n=n, messages=LINES):
                texts.append(chunk.choices[0].delta.content)
        assert "ONE" in texts and "secret" not in str(failure.value)
        # The first choice that fails ends the answer, maybe before the other has been asked for.
        seeds = [body["seed"] for body in upstream.asked]
        assert 1 <= len(seeds) <= n and len(set(seeds)) == len(seeds), "what has begun is not asked for again"
        upstream.mode = "echo"
        assert streamed(client, "solver")


def test_a_remote_stream_that_cannot_begin() -> None:
    with running() as upstream, behind(upstream) as client:
        upstream.mode = "busy"
        assert streamed(client, "solver") and len(upstream.asked) == 3
        upstream.mode = "refused"
        for model in ("solver", "refine-solver"):  # of a strategy, what the model is about to do is told later
            with pytest.raises(openai.BadRequestError, match="too long"):
                streamed(client, model)
        upstream.shutdown()
        upstream.server_close()
        with pytest.raises(openai.InternalServerError) as failure:
            streamed(client, "solver")
        assert failure.value.status_code == 502


def test_a_client_that_leaves_ends_the_remote_stream() -> None:
    admission = Admission()
    with running() as upstream, behind(upstream, admission) as client:
        upstream.mode = "held"
        long: Any = [{"role": "user", "content": "word " * 200_00}]
        stream = chat(client, stream=True, messages=long)
        assert next(iter(stream)).choices[0].delta.role == "assistant"
        stream.close()
        until(lambda: admission.under_way == 0)
        upstream.gate.set()
        assert upstream.left.wait(10), "the upstream server goes on for nobody"
