"""The engine with a block cache: the same responses as plain decoding, and the same bits in any company."""

from __future__ import annotations

import functools
import math
import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.local import cache, rows
from reasonrl.engines.local.attention import Pass
from reasonrl.engines.local.engine import CachedEngine, memory_for_cache
from reasonrl.engines.local.sequences import Computed, Kept
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import ModelError
from reasonrl.models import tiny
from reasonrl.models.cache_size import block_bytes
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.models.logprobs import TokenRow, response_logprobs

LONGEST = 90


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model(tiny.NAME, device="cpu", seed=3)


def asked(seed: int, prompts: int, copies: int, shared: int, new_tokens: int = 24) -> list[Request]:
    """Requests for prompts of many lengths, some of which begin alike."""
    source = random.Random(seed)
    beginning = [source.randint(3, 20) for _ in range(shared)]
    made = []
    for number in range(prompts):
        end = [source.randint(3, 20) for _ in range(source.randint(1, LONGEST - shared))]
        ids = tuple(beginning + end if number % 3 else end)
        for copy in range(copies):
            sampling = Sampling(source.randint(1, new_tokens), source.choice([1.0, 1.0, 0.0]), ignore_eos=copy % 2 == 0)
            made.append(Request(ids, sampling, source.randrange(10**9)))
    source.shuffle(made)
    return made


@given(
    seed=st.integers(0, 10**6),
    prompts=st.integers(1, 6),
    copies=st.integers(1, 4),
    shared=st.sampled_from([0, 9, 20, 32, 45, 64, 70]),
    most=st.sampled_from([1, 2, 5, 128]),
)
@settings(max_examples=25, deadline=None)
def test_responses_are_those_of_plain_decoding_and_the_same_bits_in_any_company(
    model: LanguageModel, seed: int, prompts: int, copies: int, shared: int, most: int
) -> None:
    requests = asked(seed, prompts, copies, shared)
    together = CachedEngine(model).generate_batch(requests)
    for made, plain in zip(together, PlainEngine(model).generate_batch(requests), strict=True):
        assert (made.token_ids, made.finish_reason) == (plain.token_ids, plain.finish_reason)
        assert made.logprobs == pytest.approx(plain.logprobs, abs=1e-5)
    few = CachedEngine(model, rows_per_batch=most).generate_batch(requests[::-1])[::-1]
    assert few == together
    place = seed % len(requests)
    assert CachedEngine(model).generate_batch([requests[place]]) == [together[place]]


def test_long_prompts_go_through_in_pieces_and_give_the_same(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = asked(5, 6, 2, 40)
    whole = CachedEngine(model).generate_batch(requests)
    monkeypatch.setattr(rows, "PASS_TOKENS", 17)
    assert CachedEngine(model).generate_batch(requests) == whole


class Tidy(CachedEngine):
    """Remembers how many blocks were not given back, and how many the cache still knows."""

    lost = -1

    def give_memory_back(self) -> None:
        self.lost = self._cache.blocks_in_use - 1  # one is nobody's
        self.lost += len(self._cache._known) + len(self._cache._contents) + len(self._cache._after)
        super().give_memory_back()


def longest_row(requests: list[Request]) -> int:
    """In blocks, with the one that is nobody's."""
    return max(-(-(len(r.token_ids) + r.sampling.max_new_tokens - 1) // cache.BLOCK) for r in requests) + 1


@given(
    seed=st.integers(0, 10**6),
    prompts=st.integers(1, 8),
    copies=st.integers(1, 4),
    shared=st.sampled_from([0, 9, 20, 32, 45, 64, 70]),
    more=st.integers(0, 30),
)
@settings(max_examples=40, deadline=None)
def test_a_small_cache_costs_time_and_changes_nothing(
    model: LanguageModel, seed: int, prompts: int, copies: int, shared: int, more: int
) -> None:
    requests = asked(seed, prompts, copies, shared, new_tokens=60)
    block = block_bytes(model.model.config, "float32") / 2**30
    engine = Tidy(model, cache_gib=(longest_row(requests) + more) * block)
    assert engine.generate_batch(requests) == CachedEngine(model).generate_batch(requests)
    assert engine.lost == 0


def test_a_cache_that_does_not_hold_one_row_is_said(model: LanguageModel) -> None:
    model.model.train()
    block = block_bytes(model.model.config, "float32") / 2**30
    requests = [Request((5,) * 40, Sampling(300, ignore_eos=True), 0)]
    with pytest.raises(ModelError, match=r"rollout.cache_gib: 0.000252 GiB does not hold one row"):
        CachedEngine(model, cache_gib=(longest_row(requests) - 1) * block).generate_batch(requests)
    assert model.model.training
    model.model.eval()


def test_logprobs_are_those_of_the_trainer(model: LanguageModel) -> None:
    requests = [Request(r.token_ids, Sampling(30, 0.7), r.seed) for r in asked(3, 5, 2, 10)]
    made = CachedEngine(model).generate_batch(requests)
    token_rows = [TokenRow(r.token_ids, g.token_ids) for r, g in zip(requests, made, strict=True)]
    with torch.no_grad():
        scored = response_logprobs(model.model, token_rows, temperature=0.7).logprobs
    for generation, row in zip(made, scored, strict=True):
        assert generation.logprobs == pytest.approx(row[: len(generation.token_ids)].tolist(), abs=1e-4)


class Counting(CachedEngine):
    """Remembers how many tokens went through the model, and how often it was called."""

    tokens = 0
    passes = 0

    def _states(self, tokens: list[int], step: Any, places: list[int]) -> torch.Tensor:
        self.tokens += len(tokens)
        self.passes += 1
        return super()._states(tokens, step, places)


def test_rows_run_together(model: LanguageModel) -> None:
    for gib in (math.inf, 1.0):
        engine = Counting(model, cache_gib=gib)
        engine.generate_batch([Request((3, 4, 5, 6 + i), Sampling(9, ignore_eos=True), i) for i in range(12)])
        assert engine.passes == 9, "one for all prompts, and one for each further token"


def test_responses_are_computed_once_as_long_as_they_are_the_same(model: LanguageModel) -> None:
    engine = Counting(model)
    greedy = [Request((3, 4, 5, 6), Sampling(20, 0.0, ignore_eos=True), i) for i in range(8)]
    made = engine.generate_batch(greedy)
    assert made == [made[0]] * 8 and engine.tokens <= 4 + 19 + 20 * 7, "one row, and those that fill it up"
    sampled = [Request((3, 4, 5, 6), Sampling(20, 0.7, ignore_eos=True), i) for i in range(8)]
    engine.tokens = 0
    made = engine.generate_batch(sampled)
    nodes = {tuple(one.token_ids[:end]) for one in made for end in range(1, 20)}
    assert engine.tokens <= 4 + len(nodes) + 20 * 7
    assert made == CachedEngine(model, rows_per_batch=1).generate_batch(sampled)


@pytest.mark.parametrize("shared", [1, 8, 23, 31, 32, 45, 63, 72])
@pytest.mark.parametrize("most", [3, 5, 128])
def test_what_prompts_have_in_common_is_computed_once(model: LanguageModel, shared: int, most: int) -> None:
    beginning = tuple(3 + i % 18 for i in range(shared))
    requests = [Request((*beginning, 3 + i, 4), Sampling(2 + i % 3, ignore_eos=True), i) for i in range(12)]
    engine = Counting(model, rows_per_batch=most)
    made = engine.generate_batch(requests)
    assert made == [CachedEngine(model).generate_batch([request])[0] for request in requests]
    drawn = sum(request.sampling.max_new_tokens - 1 for request in requests)
    filling = 7 * engine.passes
    assert engine.tokens <= shared + 12 * 2 + drawn + filling, "the beginning once"


def test_a_prompt_that_is_the_beginning_of_another(model: LanguageModel) -> None:
    whole = asked(4, 1, 1, 0)[0].token_ids + tuple(range(3, 20)) * 4
    ends = (1, 7, 9, 31, 32, 33, 50, 64, len(whole))
    requests = [Request(whole[:end], Sampling(5, ignore_eos=True), end) for end in ends for _ in range(2)]
    made = CachedEngine(model).generate_batch(requests)
    assert made == [CachedEngine(model).generate_batch([request])[0] for request in requests]


def turn(answers: list[Generation], before: list[Request], said: int, seed: int) -> list[Request]:
    """The next turn: what stood there, the answer, and a message of the environment."""
    source = random.Random(seed)
    return [
        Request(
            (*request.token_ids, *answer.token_ids, *(source.randint(3, 20) for _ in range(said))),
            request.sampling,
            request.seed + 1,
            request.episode,
        )
        for answer, request in zip(answers, before, strict=True)
    ]


def test_in_groups_as_on_a_gpu_the_responses_are_the_same(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = asked(8, 6, 3, 20)
    expected = CachedEngine(model).generate_batch(requests)
    monkeypatch.setattr(rows, "Pass", functools.partial(Pass, way="groups"))
    engine = CachedEngine(model)
    engine._has_decoder = False  # the model's own modules, as on a GPU
    for ours, other in zip(engine.generate_batch(requests), expected, strict=True):
        assert ours.token_ids == other.token_ids
        assert ours.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_on_a_gpu_the_cache_takes_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"mem_get_info": (10 * 2**30, 80 * 2**30), "memory_reserved": 8 * 2**30, "memory_allocated": 3 * 2**30}
    for name, value in free.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert memory_for_cache(torch.device("cuda")) == 12 * 2**30


def test_the_next_turn_of_an_episode_costs_its_new_tokens(model: LanguageModel) -> None:
    first = [
        Request(request.token_ids, Sampling(20, ignore_eos=True), request.seed, episode=i)
        for i, request in enumerate(asked(11, 4, 2, 30))
    ]
    engine = Counting(model)
    answers = engine.generate_batch(first)
    second = turn(answers, first, 5, 1)
    engine.tokens = 0
    kept = engine.generate_batch(second)
    # of each turn: the answer's last token, which was never read, the message, and the new tokens but the last
    assert engine.tokens <= len(second) * (1 + 5 + 19) + 7 * 20
    assert kept == CachedEngine(model).generate_batch(second)
    third = turn(kept, second, 3, 2)
    assert engine.generate_batch(third) == CachedEngine(model).generate_batch(third)
    for i in range(len(first)):
        engine.end_episode(i)
    assert engine._cache.blocks_in_use == 0


def test_episodes_that_find_no_room_are_computed_again(model: LanguageModel) -> None:
    first = [
        Request(request.token_ids, Sampling(20, ignore_eos=True), request.seed, episode=i)
        for i, request in enumerate(asked(13, 6, 1, 30))
    ]
    engine = CachedEngine(model, cache_gib=0.5 / 1024)
    second = turn(engine.generate_batch(first), first, 5, 1)
    assert engine.generate_batch(second) == CachedEngine(model).generate_batch(second)


def test_a_turn_that_goes_back_behind_what_was_kept(model: LanguageModel) -> None:
    """The environment may rewrite the conversation: what still agrees is used, and nothing else."""
    (request,) = [Request(r.token_ids, Sampling(20, ignore_eos=True), r.seed, episode="one") for r in asked(2, 1, 1, 0)]
    engine = CachedEngine(model)
    (answer,) = engine.generate_batch([request])
    for cut in (3, 10, 19):
        other = Request((*request.token_ids, *answer.token_ids[:cut], 5, 6), request.sampling, 9, "one")
        assert engine.generate_batch([other]) == CachedEngine(model).generate_batch([other])


def test_new_weights_forget_what_episodes_keep() -> None:
    language_model = load_model(tiny.NAME, device="cpu", seed=3)
    first = [
        Request((*range(3, 20), *range(3, 20), 5 + i), Sampling(9, ignore_eos=True), i, episode=i) for i in range(3)
    ]
    for updates in (None, lambda: 0):  # a counter that somebody forgot to count up is no excuse
        engine = CachedEngine(language_model, updates=updates)
        second = turn(engine.generate_batch(first), first, 5, 1)
        with torch.no_grad():
            for parameter in language_model.model.parameters():
                parameter.mul_(1.3)
        fresh = [Request((*range(3, 20), *range(3, 20), 9), Sampling(9, ignore_eos=True), 7)]
        assert engine.generate_batch(second + fresh) == CachedEngine(language_model).generate_batch(second + fresh)


def test_what_episodes_keep_is_bounded_and_the_oldest_goes_first() -> None:
    store = cache.BlockCache(block_bytes=10)
    kept = Kept(store, most_bytes=50)

    def add(episode: int, blocks: int, tokens: list[int]) -> None:
        kept.add(episode, Computed(tokens, [store.take() for _ in range(blocks)], len(tokens)))

    for episode in range(4):
        add(episode, 2, [episode])
        assert store.blocks_in_use <= 5
    assert [kept.longest(episode, [episode])[1] for episode in range(4)] == [0, 0, 1, 1]
    add(3, 2, [9])  # another conversation of the episode, beside the first
    assert [kept.longest(2, [2])[1], kept.longest(3, [3])[1], kept.longest(3, [9])[1]] == [0, 1, 1]
    add(3, 4, [9, 9])  # continues it
    assert [kept.longest(3, [3])[1], kept.longest(3, [9, 9])[1]] == [0, 2]
    kept.drop_all()
    assert store.blocks_in_use == 0 and kept.blocks_of_others() == 0


def test_episodes_that_wait_make_room_for_rows_that_run(model: LanguageModel) -> None:
    """Else each row would run alone while the others keep what they may ask for."""
    first = [
        Request((*(3 + (i * 7 + j) % 17 for j in range(120)), 3 + i), Sampling(30, ignore_eos=True), i, episode=i)
        for i in range(12)
    ]
    block = block_bytes(model.model.config, "float32") / 2**30
    engine = Counting(model, cache_gib=12 * 5.5 * block)
    second = turn(engine.generate_batch(first), first, 40, 1)
    engine.passes = 0
    assert engine.generate_batch(second) == CachedEngine(model).generate_batch(second)
    assert engine.passes < 6 * 30, "several rows at a time"


def test_an_error_leaves_nothing_in_the_cache(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = CachedEngine(model)
    monkeypatch.setattr(engine, "_head", lambda states, multiple: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine.generate_batch(asked(1, 3, 2, 10))
    assert engine._cache.blocks_in_use == 0
    assert model.model.config._attn_implementation == "sdpa"
