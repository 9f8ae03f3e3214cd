"""`reasonrl serve --engine vllm`: the same prompts and answers as the local engine's, and processes that end together.

They run in the environment of vLLM (`make test-vllm`); what can be said without it is tested in every environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("prometheus_client")

from reasonrl.engines.base import Generation, Sampling
from reasonrl.errors import ModelError
from tests.e2e.commands import reasonrl_in
from tests.serving.scripts import until
from tests.serving.server_process import ASK, CHAT, ODD_OPTIONS, TINY, Served, serving
from tests.tiny_runs import run

HAS_VLLM = importlib.util.find_spec("vllm") is not None
VLLM = ("--engine", "vllm", "--max-new-tokens", "16", "--grace", "8")
GREEDY = {"temperature": 0.0, "seed": 1}

vllm = pytest.mark.vllm
needs_vllm = pytest.mark.skipif(not HAS_VLLM, reason="needs vLLM: make test-vllm")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Killed at the end, as if by the system; it leaves no process then."""
    with serving(tmp_path_factory.mktemp("serve"), *VLLM) as server:
        yield server
        assert processes_of(server)
        server.process.kill()
        server.process.wait()
        until(lambda: not processes_of(server), 30)


def processes_of(server: Served) -> list[int]:
    """Those that it has started and that have not ended, by number. They are of its session, also without it."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if folder.name.isdigit():
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if session == str(server.process.pid) and state != "Z":
                    found.append(int(folder.name))
    return [number for number in found if number != server.process.pid]


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]


@vllm
@needs_vllm
def test_greedy_answers_are_those_of_the_local_engine(served: Served, tmp_path: Path) -> None:
    """So the prompts are the same, token by token, and what ends an answer."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        *((CHAT, {"model": "tiny-critic", "messages": [{"role": "user", "content": f"{n} + 3"}]}) for n in range(6)),
        (CHAT, {"model": "tiny-critic", "messages": [*ASK, {"role": "assistant", "content": "It is"}]}),
        (CHAT, {"model": "tiny-critic", "messages": ASK, "stop": ["a", "e", "1"], "max_tokens": 64}),
        ("/v1/critique", {"problem": "2 + 3?", "solution": "It is 5.\nYes.", "max_tokens": 48}),
        ("/v1/refine", {"problem": "2 + 3?", "options": {"rounds": 2}}),
    ]
    with serving(tmp_path, "--max-new-tokens", "16") as local:
        for path, body in bodies:
            ours, theirs = (server.post(path, body | GREEDY).json() for server in (local, served))
            for answer in (ours, theirs):
                for changes in ("id", "created"):
                    answer.pop(changes, None)
            assert theirs == ours


@vllm
@needs_vllm
def test_a_request_with_a_seed_can_be_repeated_and_streamed(served: Served) -> None:
    texts = set()
    for seed in range(4):
        body = {"model": "tiny-critic", "messages": ASK, "seed": seed, "temperature": 1.5}
        whole, again = (served.post(CHAT, body).json()["choices"] for _ in range(2))
        assert whole == again
        events = events_of(served.post(CHAT, {**body, "stream": True}).text)
        pieces = [event["choices"][0]["delta"].get("content", "") for event in events]
        assert "".join(pieces) == whole[0]["message"]["content"] and len([piece for piece in pieces if piece]) > 3
        assert events[-1]["choices"][0]["finish_reason"] == whole[0]["finish_reason"]
        texts.add(whole[0]["message"]["content"])
    assert len(texts) == 4


@vllm
@needs_vllm
def test_many_clients_get_their_own_answers(served: Served) -> None:
    def ask(number: int) -> tuple[int, int]:
        body = {"model": "majority-tiny-critic", "messages": [{"role": "user", "content": f"{number} + 3?"}], "seed": 1}
        answer = served.post(CHAT, body | {"reasonrl": {"samples": 4}}).json()
        return answer["usage"]["completion_tokens"], answer["choices"][0]["reasonrl"]["drafts"]

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(24)))
    assert all(4 <= tokens <= 64 and drafts == 4 for tokens, drafts in answers)


@vllm
@needs_vllm
def test_what_vllm_cannot_compute_is_the_clients_mistake(served: Served) -> None:
    for options in ODD_OPTIONS:
        for more in ({}, {"stream": True}):
            answer = served.post(CHAT, {"model": "tiny-critic", "messages": ASK, **options, **more})
            assert answer.status_code in (200, 400), (answer.text, str(options)[:100])
            assert "made a mistake" not in answer.text and "did not answer" not in answer.text, options
    long = {"model": "tiny-critic", "messages": [{"role": "user", "content": "word " * 5_000}]}
    answer = served.post(CHAT, long)
    assert answer.status_code == 400 and "tokens" in answer.json()["error"]["message"]
    assert served.post(CHAT, {"model": "tiny-critic", "messages": ASK}).status_code == 200


@vllm
@needs_vllm
def test_a_caller_that_leaves_takes_its_request_with_it_and_a_slow_reader_loses_nothing() -> None:
    from reasonrl.engines.vllm_serving import VLLMServingEngine

    engine = VLLMServingEngine("tiny-critic", dtype="float32", device=torch.device("cpu"), offline=True, kv_cache_gib=1)
    prompt, long = [5, 6, 7, 8], Sampling(400, 1.0, ignore_eos=True)

    async def use() -> None:
        whole = await engine.generate(prompt, Sampling(40, 1.0, ignore_eos=True), 3)
        slowly: list[int | Generation] = []
        async for token in engine.stream(prompt, Sampling(40, 1.0, ignore_eos=True), 3):
            slowly.append(token)
            await asyncio.sleep(0.02)
        assert slowly[:-1] == whole.token_ids and slowly[-1] == whole and len(whole.logprobs) == 40
        for leaves in (lambda: engine.generate(prompt, long, 1), first_token):
            left = asyncio.create_task(leaves())
            await asyncio.sleep(0.3)
            left.cancel()
            await asyncio.wait([left])
            assert left.cancelled() and engine._llm.get_num_unfinished_requests() == 0
        with pytest.raises(ValueError, match="exceed the 512 positions"):
            await engine.generate(prompt, Sampling(10**6), 1)
        with pytest.raises(ValueError, match="empty"):
            await engine.generate([], long, 1)
        assert await engine.generate(prompt, Sampling(40, 1.0, ignore_eos=True), 3) == whole
        await engine.__aexit__()

    async def first_token() -> None:
        async with contextlib.aclosing(engine.stream(prompt, long, 1)) as tokens:
            async for _ in tokens:
                await asyncio.sleep(30)

    asyncio.run(use())
    assert not engine.is_running


@vllm
@needs_vllm
def test_ctrl_c_answers_what_is_under_way_and_ends_all_processes(tmp_path: Path) -> None:
    """A terminal tells vLLM's processes, too."""
    body = {"model": "tiny-critic", "messages": ASK, "max_tokens": 200, "temperature": 2.0, "seed": 1, "n": 16}
    with serving(tmp_path, *VLLM) as served:
        assert processes_of(served)
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(served.post, CHAT, {**body, **more}) for more in ({}, {"stream": True})]
            until(lambda: "reasonrl:num_requests_running 2.0" in served.get("/metrics").text, 10)
            served.interrupt_all()
            time.sleep(0.2)
            assert not any(answer.done() for answer in answers), "they are too short for this test"
            assert [answer.result(60).status_code for answer in answers] == [200, 200]
            assert answers[1].result().text.endswith("data: [DONE]\n\n")
        assert served.process.wait(40) == 0
        until(lambda: not processes_of(served), 20)


@vllm
@needs_vllm
def test_a_vllm_that_dies_before_the_first_request(tmp_path: Path) -> None:
    with serving(tmp_path, *VLLM) as server:
        for child in processes_of(server):
            os.kill(child, signal.SIGKILL)
        until(lambda: server.get("/health").status_code == 503, 20)
        for path in (CHAT, "/v1/critique"):
            body = {"model": "tiny-critic", "messages": ASK} if path == CHAT else {"problem": "2 + 3?", "solution": "5"}
            refused = server.post(path, body)
            assert refused.status_code == 502 and "did not answer" in refused.text


@vllm
@needs_vllm
def test_a_vllm_that_dies_is_said_and_the_server_is_not_healthy(tmp_path: Path) -> None:
    with serving(tmp_path, *VLLM) as server:
        ask = {"model": "tiny-critic", "messages": ASK, "temperature": 2.0, "max_tokens": 200, "n": 8}
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(server.post, CHAT, ask)
            until(lambda: "reasonrl:num_requests_running 1.0" in server.get("/metrics").text, 10)
            for child in processes_of(server):
                os.kill(child, signal.SIGKILL)
            assert under_way.result(60).status_code == 502
        until(lambda: server.get("/health").status_code == 503, 20)
        assert server.get("/health").json() == {"status": "model_ended"}
        refused = server.post(CHAT, ask)
        assert refused.status_code == 502 and "did not answer" in refused.text
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(40) == 0
        until(lambda: not processes_of(server), 20)


@vllm
@pytest.mark.model
@needs_vllm
def test_a_critic_and_an_actor_with_weights_of_their_own(tmp_path: Path) -> None:
    """Each has a vLLM, with its own weights. `refine` answers as with the local engine, and ends them."""
    options = ("--actor", "smollm2-135m", "--strategy", "best-of-n", "--samples", "2", "--temperature", "0")
    answers = []
    for engine in ("hf", "vllm"):
        wanted = ("--max-new-tokens", "24", "--json", "--engine", engine)
        done = run(tmp_path, "refine", "2 + 3?", *TINY, *options, *wanted)
        assert done.returncode == 0, done.stderr[-3000:]
        answers.append(json.loads(done.stdout))
    assert answers[1]["text"] == answers[0]["text"] and answers[1]["usage"] == answers[0]["usage"]


@vllm
@needs_vllm
def test_a_model_that_vllm_has_no_kernel_for_is_refused(tmp_path: Path) -> None:
    said = reasonrl_in(tmp_path, "refine", "2 + 3?", "--critic", "tiny-arithmetic", "--engine", "vllm").refusal()
    assert said.startswith("--engine vllm: vLLM on a CPU has no attention for heads of 24") and said.endswith(
        "Write --engine hf"
    )


@pytest.mark.parametrize(
    ("wanted", "gib", "expected"),
    [(None, 1, 16_256), (None, 4, 32_768), (None, None, 32_768), (1024, 1, 1024), (131_072, None, 131_072)],
)
def test_a_prompt_and_its_answer_fit_into_vllms_cache(wanted: int | None, gib: int | None, expected: int) -> None:
    """64 KiB a token: 16,384 of them are a GiB, a block less."""
    from transformers import LlamaConfig

    from reasonrl.engines.vllm_serving import _positions

    config = LlamaConfig(hidden_size=256, num_attention_heads=4, num_hidden_layers=32, max_position_embeddings=2**17)
    assert _positions(config, "float32", wanted=wanted, gib=gib) == expected
    with pytest.raises(
        ModelError, match=r"131072 tokens do not fit into rollout.vllm.kv_cache_gib: 1, which holds 16256"
    ):
        _positions(config, "float32", wanted=131_072, gib=1)


@pytest.mark.skipif(HAS_VLLM, reason="here vLLM is installed")
def test_without_vllm_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    for name, *more in (["serve"], ["refine", "2 + 3?"]):
        said = reasonrl_in(tmp_path, name, *more, *TINY, "--engine", "vllm").refusal()
        assert said.startswith("--engine vllm: vLLM cannot be imported") and said.endswith("or write --engine hf")
