"""Requests that arrive when they like get what a batch would give them; those that leave take nothing with them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.serving import OverloadedError, ServingEngine
from reasonrl.errors import ModelError
from reasonrl.models import tiny
from reasonrl.models.loading import LanguageModel, load_model
from tests.engines.local.test_engine import Counting, asked, turn


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    language_model = load_model(tiny.NAME, device="cpu", seed=3)
    language_model.model.config.max_position_embeddings = 10**6  # some requests are to run until they are ended
    return language_model


def serve(engine: CachedEngine, use: Callable[[ServingEngine], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with ServingEngine(engine, **options) as serving:
            return await asyncio.wait_for(use(serving), 60)

    return asyncio.run(run())


async def ask(serving: ServingEngine, request: Request, **options: Any) -> Generation:
    return await serving.generate(request.token_ids, request.sampling, request.seed, **options)


@given(seed=st.integers(0, 10**6), most=st.sampled_from([1, 3, 128]))
@settings(max_examples=15, deadline=None)
def test_any_arrival_gives_the_same_bits_and_those_who_leave_change_nothing(
    model: LanguageModel, seed: int, most: int
) -> None:
    requests = asked(seed, 5, 3, 32)
    source = random.Random(seed)
    leaves = {i for i in range(len(requests)) if source.random() < 0.3}

    async def arrive(serving: ServingEngine, i: int) -> Generation | None:
        await asyncio.sleep(source.random() * 0.05)
        if i not in leaves:
            return await ask(serving, requests[i])
        task = asyncio.create_task(ask(serving, requests[i]))
        await asyncio.sleep(source.random() * 0.01)
        task.cancel()
        return None

    async def use(serving: ServingEngine) -> list[Generation | None]:
        return await asyncio.gather(*(arrive(serving, i) for i in range(len(requests))))

    engine = CachedEngine(model, rows_per_batch=most)
    made = serve(engine, use)
    expected = CachedEngine(model).generate_batch(requests)
    assert [one for one in made if one] == [one for i, one in enumerate(expected) if i not in leaves]
    assert engine._cache.blocks_in_use <= 1


def test_a_short_request_does_not_wait_for_a_long_one(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> list[str]:
        ends: list[str] = []

        async def one(name: str, new_tokens: int) -> None:
            await serving.generate([3, 4, 5], Sampling(new_tokens, ignore_eos=True), 1)
            ends.append(name)

        long = asyncio.create_task(one("long", 400))
        await asyncio.sleep(0.05)
        await one("short", 2)
        await long
        return ends

    assert serve(CachedEngine(model), use) == ["short", "long"]


def test_a_stream_is_the_same_tokens_one_by_one(model: LanguageModel) -> None:
    request = Request((3, 4, 5), Sampling(30, ignore_eos=True), 7)

    async def use(serving: ServingEngine) -> list[int | Generation]:
        return [token async for token in serving.stream(request.token_ids, request.sampling, request.seed)]

    (expected,) = CachedEngine(model).generate_batch([request])
    assert serve(CachedEngine(model), use) == [*expected.token_ids, expected], "and last the generation"


def test_a_stream_that_is_left_ends_its_request(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> int:
        stream = serving.stream([3, 4, 5], Sampling(5000, ignore_eos=True), 7)
        seen = [await anext(stream), await anext(stream)]
        await stream.aclose()
        await serving.generate([3, 4], Sampling(2), 1)
        return len(seen) + len(serving._under_way)

    engine = CachedEngine(model)
    assert serve(engine, use) == 2 and engine._cache.blocks_in_use <= 1


def test_a_deadline(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> Generation:
        with pytest.raises(TimeoutError):
            await serving.generate([3, 4, 5], Sampling(100_000, ignore_eos=True), 7, deadline_s=0.1)
        return await serving.generate([3, 4], Sampling(2, ignore_eos=True), 1, deadline_s=30)

    assert len(serve(CachedEngine(model), use).token_ids) == 2


def test_what_is_refused(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> None:
        with pytest.raises(ModelError, match=r"cache_gib does not hold a request of 3 tokens and 100000 new ones"):
            await serving.generate([3, 4, 5], Sampling(100_000), 7)
        with pytest.raises(ValueError, match="the prompt is empty"):
            await serving.generate([], Sampling(2), 7)
        first = asyncio.create_task(serving.generate([3, 4, 5], Sampling(60, ignore_eos=True), 7))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="1 requests are under way"):
            await serving.generate([3, 4, 5], Sampling(2), 7)
        assert len((await first).token_ids) == 60

    serve(CachedEngine(model, cache_gib=1 / 1024), use, most_waiting=1)


def test_an_error_is_given_to_those_who_wait_and_the_next_are_served(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CachedEngine(model)

    async def use(serving: ServingEngine) -> Generation:
        with monkeypatch.context() as patch:
            patch.setattr(engine, "_head", lambda states, multiple: 1 / 0)
            both = await asyncio.gather(*(ask(serving, r) for r in asked(1, 2, 1, 0)), return_exceptions=True)
        assert [type(one) for one in both] == [ZeroDivisionError] * 2
        return await serving.generate([3, 4], Sampling(2, ignore_eos=True), 1)

    assert len(serve(engine, use).token_ids) == 2


def test_closing_ends_what_is_under_way(model: LanguageModel) -> None:
    async def run() -> BaseException:
        serving = ServingEngine(CachedEngine(model))
        task = asyncio.create_task(serving.generate([3, 4, 5], Sampling(100_000, ignore_eos=True), 7))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(serving.close)
        (first,) = await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(ModelError, match="closed"):
            await serving.generate([3], Sampling(2), 1)
        return first  # type: ignore[return-value]

    assert isinstance(asyncio.run(run()), ModelError)


def test_an_episode_keeps_its_rows(model: LanguageModel) -> None:
    engine = Counting(model)

    async def use(serving: ServingEngine) -> tuple[int, Generation, Request]:
        (first,) = [Request(r.token_ids, Sampling(20, ignore_eos=True), r.seed) for r in asked(2, 1, 1, 0)]
        answer = await ask(serving, first, episode="one")
        (second,) = turn([answer], [first], 5, 1)
        engine.tokens = 0
        made = await ask(serving, second, episode="one")
        serving.end_episode("one")
        return engine.tokens, made, second

    tokens, made, second = serve(engine, use)
    assert tokens <= 1 + 5 + 19 + 20 and [made] == CachedEngine(model).generate_batch([second])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "the seed is -1"),
        ({"sampling": Sampling(0)}, "max_new_tokens is 0"),
        ({"token_ids": (3, 10**6)}, "tokens outside of 0 to"),
        ({"token_ids": (3, -1)}, "tokens outside of 0 to"),
        ({"sampling": Sampling(4, temperature=-1.0)}, "temperature is -1"),
        ({"sampling": Sampling(4, temperature=float("nan"))}, "temperature is nan"),
        ({"sampling": Sampling(4, top_p=0.0)}, "top_p is 0"),
        ({"sampling": Sampling(4, top_k=-1)}, "top_k is -1; write 0 for all tokens"),
        ({"sampling": Sampling(4, stop=("x", ""))}, "a string of stop is empty"),
        ({"sampling": Sampling(10**11)}, "exceed the 1000000 positions of the model"),
    ],
)
def test_a_request_that_cannot_be_computed_harms_no_other(
    model: LanguageModel, change: dict[str, Any], message: str
) -> None:
    good = Request((3, 4, 5), Sampling(20, ignore_eos=True), 7)

    async def use(serving: ServingEngine) -> list[Any]:
        return await asyncio.gather(
            ask(serving, good), ask(serving, replace(good, **change)), ask(serving, good), return_exceptions=True
        )

    first, bad, second = serve(CachedEngine(model), use)
    assert isinstance(bad, ValueError) and message in str(bad)
    assert [first] == [second] == CachedEngine(model).generate_batch([good])


def test_an_episode_that_is_no_key_is_refused(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> int:
        with pytest.raises(TypeError, match="unhashable"):
            serving.end_episode(["a"])
        with pytest.raises(TypeError, match="unhashable"):
            await serving.generate([3], Sampling(2), 1, episode=["a"])
        return len((await serving.generate([3], Sampling(2, ignore_eos=True), 1)).token_ids)

    assert serve(CachedEngine(model), use) == 2


def test_an_episode_that_ends_before_its_request_is_not_kept(model: LanguageModel) -> None:
    engine = CachedEngine(model)

    async def use(serving: ServingEngine) -> None:
        task = asyncio.create_task(serving.generate([3, 4], Sampling(60, ignore_eos=True), 1, episode="one"))
        await asyncio.sleep(0.02)
        serving.end_episode("one")
        await task

    serve(engine, use)
    assert not engine._kept


def test_a_popular_prompt_lets_others_in(model: LanguageModel) -> None:
    async def use(serving: ServingEngine) -> bool:
        async def ask_for_ever(number: int) -> None:
            while True:
                number += 100
                await serving.generate([3, 4, 5], Sampling(4, ignore_eos=True), number)

        crowd = [asyncio.create_task(ask_for_ever(i)) for i in range(6)]
        await asyncio.sleep(0.05)
        other = await serving.generate([6, 7], Sampling(4, ignore_eos=True), 1)
        for task in crowd:
            task.cancel()
        return len(other.token_ids) == 4

    assert serve(CachedEngine(model, rows_per_batch=2), use)


def test_a_thread_that_ends_with_an_error_leaves_nobody_waiting(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CachedEngine(model)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def run() -> None:
        serving = ServingEngine(engine)
        monkeypatch.setattr(engine, "new_rows", lambda: 1 / 0)
        assert len((await serving.generate([3], Sampling(2, ignore_eos=True), 1)).token_ids) == 2
        with pytest.raises(ModelError, match="closed"):
            await asyncio.wait_for(serving.generate([3], Sampling(2), 1), 20)
        serving.close()  # waits for the thread, whose error is told here

    asyncio.run(run())
