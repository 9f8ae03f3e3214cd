"""Batched sampling with a transformers model: a request gets the same answer whatever else is in the batch."""

from __future__ import annotations

import random

import pytest
import torch

from reasonrl.engines import plain
from reasonrl.engines.base import Generation, Request, Sampling, response_text
from reasonrl.engines.plain import PlainEngine
from reasonrl.models import tiny
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.models.logprobs import TokenRow, response_logprobs

FREE = Sampling(12, ignore_eos=True)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model(tiny.NAME, device="cpu", seed=3)


def prompts(count: int, shared: int = 0) -> list[tuple[int, ...]]:
    source = random.Random(count)
    head = tuple(source.randint(3, 20) for _ in range(shared))
    return [head + tuple(source.randint(3, 20) for _ in range(source.randint(1, 15))) for _ in range(count)]


def assert_same(made: Generation, expected: Generation) -> None:
    assert made.token_ids == expected.token_ids
    assert made.finish_reason == expected.finish_reason
    assert made.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


@pytest.mark.parametrize("shared", [0, 20])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_company_changes_nothing(
    model: LanguageModel, shared: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, in a batch with left padding, in another order, in small batches, and with or without the pass over the
    shared beginning.
    """
    sampling = Sampling(8, temperature)
    asked = prompts(7, shared)
    requests = [Request(asked[i % 7], sampling, seed) for i, seed in enumerate(range(100, 110))]
    alone = [PlainEngine(model).generate_batch([request])[0] for request in requests]
    together = PlainEngine(model).generate_batch(requests)
    backwards = PlainEngine(model).generate_batch(requests[::-1])[::-1]
    small = PlainEngine(model, rows_per_batch=3).generate_batch(requests)
    monkeypatch.setattr(plain, "SHARE_FROM", 10_000)
    unshared = PlainEngine(model).generate_batch(requests)
    for expected, *others in zip(alone, together, backwards, small, unshared, strict=True):
        for made in others:
            assert_same(made, expected)
    if temperature:
        assert len({tuple(g.token_ids) for g in alone}) > 7  # other seeds, other answers


def test_logprobs_are_those_of_the_trainer(model: LanguageModel) -> None:
    for temperature in (1.0, 0.6):
        requests = [Request(p, Sampling(9, temperature), i) for i, p in enumerate(prompts(5, 10) * 2)]
        made = PlainEngine(model).generate_batch(requests)
        rows = [TokenRow(r.token_ids, g.token_ids) for r, g in zip(requests, made, strict=True)]
        with torch.no_grad():
            scored = response_logprobs(model.model, rows, temperature=temperature).logprobs
        for generation, row in zip(made, scored, strict=True):
            assert generation.logprobs == pytest.approx(row[: len(generation.token_ids)].tolist(), abs=1e-5)


def test_finished_rows_leave_and_the_others_do_not_notice(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [Request(p, Sampling(40), i) for i, p in enumerate(prompts(12))]
    made = PlainEngine(model).generate_batch(requests)
    assert len({len(g.token_ids) for g in made}) > 3
    monkeypatch.setattr(plain, "DROP_BELOW", 0.0)
    for kept, dropped in zip(PlainEngine(model).generate_batch(requests), made, strict=True):
        assert_same(kept, dropped)


def test_how_responses_end(model: LanguageModel) -> None:
    asked = prompts(1)[0]
    (free,) = PlainEngine(model).generate_batch([Request(asked, FREE, 1)])
    assert len(free.token_ids) == len(free.logprobs) == 12
    assert free.finish_reason == "length"
    (short,) = PlainEngine(model).generate_batch([Request(asked, Sampling(3, ignore_eos=True), 1)])
    assert short.token_ids == free.token_ids[:3]

    eos = next(i for i, token in enumerate(free.token_ids) if i >= 2 and token not in free.token_ids[:i])
    engine = PlainEngine(model)
    engine._eos = frozenset([free.token_ids[eos]])
    (ended,) = engine.generate_batch([Request(asked, Sampling(12), 1)])
    assert (ended.token_ids, ended.finish_reason) == (free.token_ids[: eos + 1], "stop")


def test_stop_strings_end_the_response_and_are_cut_from_its_text(model: LanguageModel) -> None:
    asked = prompts(1)[0]
    for seed in range(50):  # one whose beginning is plain characters
        (free,) = PlainEngine(model).generate_batch([Request(asked, FREE, seed)])
        text = model.tokenizer.decode(free.token_ids)
        if "<" not in text[:6] and text.find(text[3:5]) == 3:
            break
    start, stop = 3, text[3:5]
    sampling = Sampling(12, stop=("never", stop), ignore_eos=True)
    (ended,) = PlainEngine(model).generate_batch([Request(asked, sampling, seed)])
    assert ended.token_ids == free.token_ids[: start + 2]
    assert ended.finish_reason == "stop"
    assert response_text(model.tokenizer, ended, sampling) == text[:start]


def test_different_settings_in_one_call_and_the_model_is_left_as_it_was(model: LanguageModel) -> None:
    asked = prompts(1)[0]
    settings = [Sampling(2, ignore_eos=True), Sampling(5, 0, ignore_eos=True), Sampling(2, ignore_eos=True)]
    model.model.train()
    made = PlainEngine(model).generate_batch([Request(asked, sampling, 4) for sampling in settings])
    assert model.model.training
    model.model.eval()
    assert [len(g.token_ids) for g in made] == [2, 5, 2]
    assert made[0] == made[2]
    assert PlainEngine(model).generate_batch([]) == []
    with pytest.raises(ValueError, match="request 0 has an empty prompt"):
        PlainEngine(model).generate_batch([Request((), FREE, 0)])


def test_requests_of_different_length_limits_share_a_batch_and_change_nothing(model: LanguageModel) -> None:
    limits = [1, 7, 3, 12, 7]
    requests = [
        Request(prompt, Sampling(limit, ignore_eos=True), seed)
        for seed, (prompt, limit) in enumerate(zip(prompts(5), limits, strict=True))
    ]
    alone = [PlainEngine(model).generate_batch([request])[0] for request in requests]
    engine = PlainEngine(model)
    decoded: list[int] = []
    decode = engine._decode
    engine._decode = lambda batch, sampling: (decoded.append(len(batch)), decode(batch, sampling))[1]  # type: ignore
    together = engine.generate_batch(requests)
    assert decoded == [5]
    for made, expected, limit in zip(together, alone, limits, strict=True):
        assert_same(made, expected)
        assert (len(made.token_ids), made.finish_reason) == (limit, "length")
