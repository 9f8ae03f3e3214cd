"""The math verifier as verl and TRL call it, from wherever they call it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json

import pytest

from verifiers.adapters import compute_score, trl_reward
from verifiers.errors import BadOption
from verifiers.math.verifier import MathVerifier

ROWS = [
    (r"\boxed{0.5}", "1/2"),
    (r"\boxed{3}", "4"),
    ("nothing", "4"),
    (r"\boxed{\sum_{k=1}^{n} k}", "n(n+1)/2"),
    (r"\boxed{x+1}", "1+x"),
]
EXPECTED = [1.0, 0.0, 0.0, 1.0, 1.0]


def test_verls_reward_function() -> None:
    made = [compute_score("any/source", text, gold, {"split": "train"}) for text, gold in ROWS]
    assert [row["score"] for row in made] == EXPECTED
    assert {tuple(row) for row in made} == {("score", "acc", "undecided", "status", "reason")}
    assert compute_score("s", "It is 5", {"answer": "5"}, mode="lenient")["score"] == 1.0
    undecided = compute_score("s", r"\boxed{1}", "")
    assert (undecided["score"], undecided["undecided"], undecided["status"]) == (0.0, 1.0, "error")
    with pytest.raises(BadOption, match="modus"):
        compute_score("s", "1", "1", modus="strict")


def test_trls_reward_function() -> None:
    reward = trl_reward("math")
    texts, golds = zip(*ROWS, strict=True)
    assert reward(prompts=[""] * 5, completions=list(texts), answer=list(golds), completion_ids=[[1]] * 5) == EXPECTED
    chats = [[{"role": "assistant", "content": text}] for text in texts]
    assert reward(prompts=[""] * 5, completions=chats, answer=list(golds)) == EXPECTED
    assert reward(prompts=[""], completions=["1"], answer=[""]) == [None]
    with pytest.raises(ValueError, match="no column 'answer'"):
        reward(prompts=[""], completions=["1"], solution=["1"])


def test_adapters_take_references_of_every_kind() -> None:
    entry = {"question": "1 + 1", "answer": "2", "metadata": {}}
    reference = {"dataset": "chain_sum", "entry": entry}
    for ground_truth in (reference, json.dumps(reference)):  # as a user's rows have it, and as our own rows for verl do
        scored = compute_score("s", r"\boxed{2}", ground_truth, verifier="reasoning_gym")
        assert (scored["score"], scored["status"]) == (1.0, "judged"), scored
    assert compute_score("s", "7", "", verifier="format", pattern="integer")["score"] == 1.0
    assert compute_score("s", r"\boxed{\{1,2\}}", "{1,2}")["score"] == 1.0, "a set is no JSON object"
    reward = trl_reward("format", pattern="boxed", column="reference")
    assert reward(prompts=[""] * 2, completions=[r"\boxed{1}", "1"], reference=['{"answer": "1"}', {}]) == [1.0, 0.0]
    with pytest.raises(BadOption, match="answer_mode"):
        compute_score("s", "1", reference, verifier="reasoning_gym", mode="strict")


def test_options_of_an_adapter_may_be_dictionaries() -> None:
    strict = trl_reward("math", policy={"percent": "number"})
    assert strict(prompts=[""], completions=[r"\boxed{50\%}"], answer=["0.5"]) == [0.0]
    assert trl_reward("math")(prompts=[""], completions=[r"\boxed{50\%}"], answer=["0.5"]) == [1.0]


def test_the_same_verdicts_from_threads_and_from_asyncio() -> None:
    verifier = MathVerifier(workers=2)
    texts, golds = [text for text, _ in ROWS], [{"answer": gold} for _, gold in ROWS]

    def once() -> list[float | None]:
        return [verdict.score for verdict in verifier.verify(texts, golds)]

    assert once() == EXPECTED
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(future.result() == EXPECTED for future in [threads.submit(once) for _ in range(16)])

    async def together() -> list[list[float | None]]:
        return await asyncio.gather(*(asyncio.to_thread(once) for _ in range(8)))

    assert asyncio.run(together()) == [EXPECTED] * 8

    async def inside() -> list[float | None]:
        return once()  # blocks the loop, as a synchronous reward function does, and still works

    assert asyncio.run(inside()) == EXPECTED
    verifier.close()
