"""The official `openai` client against the critic server, unchanged: what it is given, and what it raises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from openai import AsyncOpenAI, OpenAI  # noqa: E402

from critics.strategies import STRATEGIES  # noqa: E402
from reasonrl.serving.admission import Admission  # noqa: E402
from tests.serving.fake_voices import FakeVoice, running_server  # noqa: E402
from tests.serving.scripts import ACCEPTS, REJECTS, echo, fake_service, until  # noqa: E402

ASK: list[Any] = [{"role": "user", "content": "What is 2 + 3?"}]


def client_of(address: str, **options: Any) -> OpenAI:
    return OpenAI(base_url=f"{address}/v1", **{"api_key": "none", "max_retries": 0, "timeout": 20, **options})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_server(fake_service()) as base:
        yield base


@pytest.fixture(scope="module")
def client(address: str) -> OpenAI:
    return client_of(address)


def chat(client: OpenAI, model: str = "solver", **options: Any) -> Any:
    return client.chat.completions.create(**{"model": model, "messages": ASK, **options})


# ---------------------------------------------------------------- models


def test_models_are_listed_and_looked_up(client: OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    strategies = [f"{name.replace('_', '-')}-solver" for name in STRATEGIES if name != "single"]
    assert names == ["judge", "solver", *strategies, "boxed-judge"]
    one = client.models.retrieve("best-of-n-solver")
    assert one.object == "model" and one.owned_by == "reasonrl" and one.created > 0
    assert one.model_extra is not None and one.model_extra["reasonrl"]["strategy"] == "best_of_n"
    with pytest.raises(openai.NotFoundError) as failure:
        client.models.retrieve("gpt-4")
    assert failure.value.code == "model_not_found"


# ---------------------------------------------------------------- chat


@pytest.mark.parametrize("model", ["solver", "judge", *(f"{name.replace('_', '-')}-solver" for name in STRATEGIES)])
def test_every_model_answers_the_same_for_the_same_seed(client: OpenAI, model: str) -> None:
    if model == "single-solver":
        options: dict[str, Any] = {"model": "solver", "extra_body": {"reasonrl": {"strategy": "single"}}}
    else:
        options = {"model": model}
    first = chat(client, seed=7, **options)
    second = chat(client, seed=7, **options)
    assert first.object == "chat.completion" and first.id.startswith("chatcmpl-") and first.id != second.id
    assert first.model == options["model"]
    assert first.choices == second.choices and first.usage == second.usage
    (choice,) = first.choices
    assert choice.message.role == "assistant" and choice.finish_reason == "stop"
    assert choice.message.content == ACCEPTS if model == "judge" else "What is 2 + 3?" in choice.message.content
    if model != "judge":
        assert chat(client, seed=8, **options).choices[0].message.content != choice.message.content


def test_an_answer_without_a_seed_can_be_repeated_with_the_one_it_names(client: OpenAI) -> None:
    answer = chat(client)
    seed = answer.model_extra["reasonrl"]["seed"]
    assert chat(client, seed=seed).choices == answer.choices
    assert chat(client).choices != answer.choices


def test_several_choices_are_independent_and_in_order(client: OpenAI) -> None:
    for model in ("solver", "refine-solver"):
        answer = chat(client, model, seed=3, n=5)
        texts = [choice.message.content for choice in answer.choices]
        assert [choice.index for choice in answer.choices] == list(range(5)) and len(set(texts)) == 5
        assert texts == [choice.message.content for choice in chat(client, model, seed=3, n=5).choices]
        assert texts[:2] == [choice.message.content for choice in chat(client, model, seed=3, n=2).choices]
        assert answer.usage.model_extra["reasonrl"]["roles"]["actor"]["calls"] == 5


def test_a_slow_first_choice_stays_the_first() -> None:
    actor = FakeVoice("solver", echo)
    waits = iter([0.2, 0.0, 0.1])
    say = actor.say

    async def slowly(*arguments: Any) -> Any:
        await asyncio.sleep(next(waits, 0))
        return await say(*arguments)

    with running_server(fake_service(actor)) as base:
        actor.say = slowly  # type: ignore[assignment, method-assign]
        slow = [choice.message.content for choice in chat(client_of(base), seed=1, n=3).choices]
        fast = [choice.message.content for choice in chat(client_of(base), seed=1, n=3).choices]
    assert slow == fast


def test_limits_stops_and_roles_reach_the_model() -> None:
    actor = FakeVoice("solver", echo)
    with running_server(fake_service(actor)) as base:
        client = client_of(base)
        answer = chat(
            client,
            max_completion_tokens=3,
            temperature=0.25,
            top_p=0.5,
            stop=["END", "a stop string that is longer than sixteen letters"],
            messages=[
                {"role": "developer", "content": "be short"},
                {"role": "user", "content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]},
                {"role": "assistant", "content": "three"},
                {"role": "user", "content": "four"},
            ],
        )
        assert answer.choices[0].finish_reason == "length" and answer.usage.completion_tokens == 3
        turns, sampling, _ = actor.calls[-1]
        assert [(turn["role"], turn["content"]) for turn in turns] == [
            ("system", "be short"),
            ("user", "one two"),
            ("assistant", "three"),
            ("user", "four"),
        ]
        assert (sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (0.25, 0.5, 3)
        assert sampling.stop == ("END", "a stop string that is longer than sixteen letters")
        chat(client, stop="one stop string, longer than sixteen letters", max_tokens=4)
        assert actor.calls[-1][1].stop == ("one stop string, longer than sixteen letters",)
        assert actor.calls[-1][1].max_new_tokens == 4


def test_what_other_servers_understand_is_ignored_and_null_is_the_default(client: OpenAI) -> None:
    plain = chat(client, seed=1).choices
    more = chat(
        client,
        seed=1,
        user="me",
        frequency_penalty=0.5,
        presence_penalty=0,
        logit_bias={"50256": -100},
        metadata={"run": "1"},
        store=False,
        parallel_tool_calls=False,
        reasoning_effort="low",
        service_tier="auto",
        tools=[],
        logprobs=False,
        response_format={"type": "text"},
        extra_body={"top_k": 5, "min_p": 0.1, "chat_template_kwargs": {"enable_thinking": False}, "reasonrl": None},
        extra_headers={"x-more": "1"},
        extra_query={"api-version": "2"},
    )
    fields = ["stop", "n", "stream", "max_tokens", "temperature", "top_p", "tools", "logprobs", "response_format"]
    nulls = chat(client, seed=1, extra_body=dict.fromkeys([*fields, "stream_options", "max_completion_tokens"]))
    assert plain == more.choices == nulls.choices


def test_the_raw_answer_has_the_number_of_its_request(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="solver", messages=ASK, extra_headers={"x-request-id": "my-request-7"}
    )
    assert raw.headers["x-request-id"] == "my-request-7" and raw.parse()._request_id == "my-request-7"
    assert chat(client)._request_id


# ---------------------------------------------------------------- strategies


@pytest.fixture(scope="module")
def refining() -> Iterator[tuple[str, FakeVoice, FakeVoice]]:
    """A critic that rejects the first draft of a solution, with the address of its server."""
    actor = FakeVoice("solver", lambda chat, seed: f"second {seed}" if len(chat) > 1 else f"first {seed}")
    critic = FakeVoice("judge", lambda chat, seed: ACCEPTS if "second" in str(chat) else REJECTS)
    with running_server(fake_service(actor, critic)) as base:
        yield base, actor, critic


def test_usage_sums_over_the_hidden_calls_by_role(refining: tuple[str, FakeVoice, FakeVoice]) -> None:
    base, actor, critic = refining
    before = len(actor.calls), len(critic.calls)
    answer = chat(client_of(base), "refine-solver", seed=5, n=2, extra_body={"reasonrl": {"trace": True}})
    assert (len(actor.calls) - before[0], len(critic.calls) - before[1]) == (4, 4)
    roles = answer.usage.model_extra["reasonrl"]["roles"]
    assert roles["actor"]["calls"] == roles["critic"]["calls"] == 4
    traces = [call for choice in answer.choices for call in choice.model_extra["reasonrl"]["trace"]["calls"]]
    assert len(traces) == 8 and len({call["seed"] for call in traces}) == 8
    for role in ("actor", "critic"):
        for kind in ("prompt_tokens", "completion_tokens"):
            assert roles[role][kind] == sum(call[kind] for call in traces if call["role"] == role)
    usage = answer.usage
    assert usage.completion_tokens == sum(role["completion_tokens"] for role in roles.values())
    assert usage.prompt_tokens == sum(role["prompt_tokens"] for role in roles.values())
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    shown = sum(len(choice.message.content.split()) for choice in answer.choices)
    assert usage.completion_tokens_details.reasoning_tokens == usage.completion_tokens - shown > 0
    facts = answer.choices[0].model_extra["reasonrl"]
    assert facts["stopped_by"] == "accepted" and facts["draft"] == "draft/0/refine" and facts["drafts"] == 2
    assert facts["critique"]["judgement"] == "correct" and facts["strategy"] == "refine"


def test_options_of_strategies(refining: tuple[str, FakeVoice, FakeVoice]) -> None:
    base, _, _ = refining
    client = client_of(base)

    def facts(**options: Any) -> dict[str, Any]:
        model = options.pop("model", "solver")
        answer = chat(client, model, extra_body={"reasonrl": options})
        return answer.choices[0].model_extra["reasonrl"]  # type: ignore[no-any-return]

    assert facts(strategy="refine", rounds=1)["stopped_by"] == "rounds"
    assert facts(strategy="best-of-n", samples=3)["drafts"] == 3
    assert facts(model="majority-solver", samples=2)["drafts"] == 2
    assert facts(strategy="refine", budget_tokens=2)["stopped_by"] == "budget"
    for options, name in (
        ({"strategy": "nonsense"}, "there is no strategy 'nonsense'"),
        ({"strategy": "refine", "samples": 3}, "'samples'"),
        ({"strategy": "refine", "base_url": "http://example.com"}, "base_url"),
        ({"strategy": "refine", "rounds": 0}, "rounds"),
        ({"colour": 1}, "colour"),
    ):
        with pytest.raises(openai.BadRequestError, match=name) as failure:
            chat(client, extra_body={"reasonrl": options})
        assert "reasonrl" in (failure.value.param or "")
    with pytest.raises(openai.BadRequestError, match="actor"):
        facts(model="judge", strategy="refine")
    with pytest.raises(openai.BadRequestError, match="last message"):
        chat(client, "refine-solver", messages=[*ASK, {"role": "assistant", "content": "It is"}])


# ---------------------------------------------------------------- errors


def test_a_wrong_request_names_its_field(client: OpenAI) -> None:
    for options, field in (
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stop": ""}, "stop"),
        ({"seed": 2**70}, "seed"),
    ):
        with pytest.raises(openai.BadRequestError) as failure:
            chat(client, **options)
        assert failure.value.type == "invalid_request_error" and field in (failure.value.param or "")
        assert field.partition(".")[0] in failure.value.message
        assert failure.value.response.headers["x-should-retry"] == "false"


def test_keys() -> None:
    with running_server(fake_service(), keys=["first", "zweiter-schlüssel"]) as base:
        for key in ("wrong", "firs", "first2"):
            with pytest.raises(openai.AuthenticationError):
                chat(client_of(base, api_key=key))
            with pytest.raises(openai.AuthenticationError):
                client_of(base, api_key=key).models.list()
        assert chat(client_of(base, api_key="first")).choices
        raw: Any = {"Authorization": "Bearer zweiter-schlüssel".encode()}
        assert httpx.get(f"{base}/v1/models", headers=raw).status_code == 200


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    for admission, error in (
        (Admission(most=9, most_of_one=1), openai.RateLimitError),
        (Admission(most=1, most_of_one=1), openai.InternalServerError),
    ):
        actor = FakeVoice("solver", echo, delay_s=0.6)
        with running_server(fake_service(actor), admission=admission) as base:

            async def both(base: str, actor: FakeVoice, error: Any) -> None:
                async with AsyncOpenAI(base_url=f"{base}/v1", api_key="x", max_retries=0) as client:
                    ask: Any = {"model": "solver", "messages": ASK}
                    first = asyncio.create_task(client.chat.completions.create(**ask))
                    await asyncio.sleep(0.2)
                    more: Any
                    for more in ({}, {"stream": True}):
                        with pytest.raises(error) as failure:
                            await client.chat.completions.create(**ask, **more)
                        assert failure.value.status_code in (429, 503)
                        assert float(failure.value.response.headers["retry-after"]) >= 1
                    started = time.monotonic()
                    second = await client.with_options(max_retries=2).chat.completions.create(**ask)
                    assert second.choices and time.monotonic() - started >= 1
                    assert (await first).choices

            asyncio.run(both(base, actor, error))
            assert admission.under_way == 0


# ---------------------------------------------------------------- time-outs


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"model": "solver"}, 1),
        ({"model": "solver", "n": 3}, 3),
        ({"model": "majority-solver", "extra_body": {"reasonrl": {"samples": 4, "deadline_s": 60}}}, 4),
        ({"model": "solver", "stream": True}, 1),
        ({"model": "majority-solver", "stream": True, "extra_body": {"reasonrl": {"samples": 4}}}, 4),
    ],
    ids=["plain", "choices", "strategy", "stream", "strategy-stream"],
)
def test_a_client_that_gives_up_cancels_the_hidden_calls(options: dict[str, Any], calls: int) -> None:
    actor = FakeVoice("solver", echo, delay_s=30)
    admission = Admission()
    with running_server(fake_service(actor), admission=admission) as base:
        client = client_of(base, timeout=0.3)
        with pytest.raises((openai.APITimeoutError, openai.APIConnectionError, Exception)) as failure:
            for _ in chat(client, **options):
                pass
        assert "time" in repr(failure.value).lower()
        until(lambda: actor.cancelled == calls)
        until(lambda: admission.under_way == 0)
        assert len(actor.calls) == calls and actor.ended == 0


def test_a_strategy_answers_before_the_time_out_of_the_client() -> None:
    """The client says how long it waits: the best draft so far is better than nothing."""
    critic = FakeVoice("judge", lambda chat, seed: REJECTS, delay_s=30)
    with running_server(fake_service(critic=critic)) as base:
        answer = chat(client_of(base, timeout=1.5), "refine-solver")
        assert answer.choices[0].model_extra["reasonrl"]["stopped_by"] == "deadline" and answer.choices[0].message
        until(lambda: critic.cancelled == 1)
        answer = chat(client_of(base), "refine-solver", extra_body={"reasonrl": {"deadline_s": 0.3}})
        assert answer.choices[0].model_extra["reasonrl"]["stopped_by"] == "deadline"


def test_a_deadline_before_the_first_draft() -> None:
    actor = FakeVoice("solver", echo, delay_s=30)
    with running_server(fake_service(actor)) as base:
        for n in (1, 2):
            with pytest.raises(openai.InternalServerError, match="deadline") as failure:
                chat(client_of(base), "refine-solver", n=n, extra_body={"reasonrl": {"deadline_s": 0.1}})
            assert failure.value.status_code == 504


# ---------------------------------------------------------------- asyncio


def test_the_async_client(address: str) -> None:
    async def run() -> None:
        async with AsyncOpenAI(base_url=f"{address}/v1", api_key="x", max_retries=0) as client:
            assert "solver" in [model.id async for model in client.models.list()]
            assert (await client.models.retrieve("judge")).id == "judge"
            ask: Any = {"model": "refine-solver", "messages": ASK}
            texts = await asyncio.gather(*(client.chat.completions.create(**ask, seed=seed) for seed in range(8)))
            assert len({answer.choices[0].message.content for answer in texts}) == 8
            stream = await client.chat.completions.create(**ask, seed=3, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(pieces) == texts[3].choices[0].message.content
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model="nope", messages=ASK)

    asyncio.run(run())
