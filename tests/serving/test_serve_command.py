"""`reasonrl serve` as users start it: a process with the tiny model, asked, stopped, or refused."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from critics.strategies import STRATEGIES
from reasonrl.commands.serve import shown_address
from reasonrl.errors import UsageError
from tests.e2e.commands import reasonrl_in
from tests.serving.scripts import until
from tests.serving.server_process import ASK, CHAT, ODD_OPTIONS, TINY, Served, free_port, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
        try:
            folder = tmp_path_factory.mktemp("serve")
            server = stack.enter_context(serving(folder, "--max-new-tokens", "16", "--grace", "8"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        yield server


# ---------------------------------------------------------------- asked


def test_it_says_what_it_serves_and_where(served: Served) -> None:
    said = "".join(served.lines)
    assert "tiny-critic-critic, tiny-critic, majority-tiny-critic, refine-tiny-critic" in said
    assert f"{served.base}/v1" in said
    names = [row["id"] for row in served.get("/v1/models").json()["data"]]
    assert names[:2] == ["tiny-critic-critic", "tiny-critic"] and names[-1] == "boxed-tiny-critic-critic"
    assert len(names) == len(STRATEGIES) + 2
    page = served.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "server" not in page.headers


def test_it_may_open_files_for_all_its_connections(served: Served) -> None:
    """Whatever the shell that starts it allows."""
    soft, hard = resource.prlimit(served.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(4096, hard) > 512


def test_every_route_answers(served: Served) -> None:
    plain = served.post(CHAT, {"model": "tiny-critic", "messages": ASK, "seed": 1, "n": 2}).json()
    assert len(plain["choices"]) == 2 and 0 < plain["usage"]["completion_tokens"] <= 32
    assert plain["usage"]["prompt_tokens"] > 0 and plain["usage"]["reasonrl"]["complete"]
    refined = served.post(CHAT, {"model": "refine-tiny-critic", "messages": ASK, "seed": 1}).json()
    assert refined["choices"][0]["reasonrl"]["stopped_by"] in ("accepted", "rounds")
    critique = served.post("/v1/critique", {"problem": "2 + 3?", "solution": "It is 5.\nYes.", "max_tokens": 16}).json()
    assert critique["steps"] == ["It is 5.", "Yes."] and critique["abstained"] == (critique["judgement"] is None)
    whole = served.post("/v1/refine", {"problem": "2 + 3?", "strategy": "best-of-n", "options": {"samples": 3}}).json()
    assert whole["drafts"] == 3 and whole["stopped_by"] == "completed"
    for response, correct in (("so it is \\boxed{5}", True), ("\\boxed{6}", False), ("The answer is 5.", True)):
        verdict = served.post("/v1/verify", {"response": response, "answer": "5"}).json()
        assert verdict["correct"] is correct, verdict
    assert served.post("/v1/verify", {"kind": "code", "response": "x", "tests": ["x"]}).status_code == 400


def test_a_stream_of_the_engine_says_what_the_whole_answer_says(served: Served) -> None:
    for seed in range(4):
        body = {"model": "tiny-critic", "messages": ASK, "seed": seed, "temperature": 1.5}
        whole = served.post(CHAT, body).json()["choices"][0]
        text = served.post(CHAT, {**body, "stream": True}).text
        events = [json.loads(line[6:]) for line in text.split("\n\n") if line.startswith("data: {")]
        assert (
            "".join(event["choices"][0]["delta"].get("content", "") for event in events) == whole["message"]["content"]
        )
        assert events[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_answers_do_not_depend_on_who_else_asks(served: Served) -> None:
    bodies = [
        {"model": model, "messages": [{"role": "user", "content": f"What is {number} + 3?"}], "seed": number}
        for number in range(4)
        for model in ("tiny-critic", "refine-tiny-critic", "majority-tiny-critic")
    ]
    alone = [served.post(CHAT, body).json()["choices"] for body in bodies]
    with ThreadPoolExecutor(16) as pool:
        together = [answer.json()["choices"] for answer in pool.map(lambda body: served.post(CHAT, body), bodies * 2)]
    assert together == alone * 2


def test_what_the_engine_cannot_compute_is_the_clients_mistake(served: Served) -> None:
    more: Any
    for options in ODD_OPTIONS:
        for more in ({}, {"stream": True}):
            answer = served.post(CHAT, {"model": "tiny-critic", "messages": ASK, **options, **more})
            assert answer.status_code in (200, 400), (answer.text, str(options)[:100])
            assert "made a mistake" not in answer.text
    long: Any = {"model": "tiny-critic", "messages": [{"role": "user", "content": "word " * 5_000}]}
    for more in ({}, {"stream": True}, {"n": 2}):
        answer = served.post(CHAT, {**long, **more})
        assert answer.status_code == 400 and "tokens" in answer.json()["error"]["message"]
    answer = served.post("/v1/critique", {"problem": "word " * 5_000, "solution": "It is 5."})
    assert answer.status_code == 400 and "tokens" in answer.json()["error"]["message"]


def test_metrics_can_be_read_and_hold_no_text(served: Served) -> None:
    served.post("/v1/refine", {"problem": "my secret problem", "strategy": "my-secret-strategy"})
    served.post("/v1/refine", {"problem": "my secret problem", "max_tokens": 2})
    served.post("/v1/verify", {"response": "my secret response", "answer": "5"})
    served.post("/v1/critique", {"problem": "my secret problem", "solution": "It is 5.", "max_tokens": 2})
    served.post(CHAT, {"model": "my-secret-model", "messages": ASK})
    text = served.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {"reasonrl:requests", "reasonrl:hidden_calls", "reasonrl:tokens", "reasonrl:num_requests_running"} <= {
        *families
    }
    assert [sample.value for sample in families["reasonrl:num_requests_running"].samples] == [0]
    labels = {sample.labels.get("route") for sample in families["reasonrl:requests"].samples}
    assert {"chat", "critique", "refine", "verify"} <= labels and "secret" not in text


# ---------------------------------------------------------------- stopped


def test_sigterm_lets_requests_under_way_end(served: Served) -> None:
    """Ends the server of this module: no test above comes after it. A strategy that would take longer than the grace
    time, 64 drafts one after the other that this critic never accepts, answers with the best of those it has.
    """
    many = {"messages": ASK, "max_tokens": 400, "temperature": 1.5}
    body = {"model": "best-of-n-tiny-critic", "seed": 1, "reasonrl": {"samples": 4}, **many}
    # Short, so that a draft with its critique always fits into the model.
    endless = {"model": "regenerate-tiny-critic", "reasonrl": {"tries": 64}, **many, "max_tokens": 60}
    with ThreadPoolExecutor(8) as pool:
        requests = ({**body, "n": 2}, {**body, "stream": True}, endless, {**endless, "stream": True})
        answers = [pool.submit(served.post, CHAT, request) for request in requests]
        until(lambda: "reasonrl:num_requests_running 4.0" in served.get("/metrics").text, 20)
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert not any(answer.done() for answer in answers), "they are too short for this test"
        for _ in range(3):
            assert served.get("/health").json() == {"status": "draining"}
            refused = served.post(CHAT, body)
            assert refused.status_code == 503 and refused.headers["retry-after"] == "5"
            assert refused.headers["connection"] == "close" and "the server ends" in refused.text
        assert [answer.result(60).status_code for answer in answers] == [200] * 4
        assert answers[2].result().json()["choices"][0]["reasonrl"]["stopped_by"] == "shutdown"
        for stream in (answers[1], answers[3]):
            assert stream.result().text.endswith("data: [DONE]\n\n")
        assert '"stopped_by": "shutdown"' in answers[3].result().text
        assert served.process.wait(40) == 0
    with pytest.raises(httpx.ConnectError):
        served.get("/health")


def test_a_general_model_has_random_delimiters_and_a_trained_critic_its_own_prompts() -> None:
    """A model that is not a run is a trained critic where its format is named."""
    from reasonrl.commands.serve import ServedModels, load_cast

    for options, expected in (
        ({}, True),
        ({"format_name": "boxed_index"}, False),
        ({"format_options": {"random_delimiters": False}}, False),
        ({"format_name": "conclusion", "format_options": {"random_delimiters": True}}, True),
    ):
        cast = load_cast(ServedModels("tiny-critic", offline=True, **options))
        assert cast.format.random_delimiters is expected
        asyncio.run(cast.critic.close())


def test_an_engine_that_takes_no_requests_as_they_arrive_is_refused() -> None:
    """As that of a run which sampled with it, where no other is named."""
    from reasonrl.commands.evaluated_recipe import critic_recipe
    from reasonrl.serving.loading import load_voice

    recipe, weights = critic_recipe("tiny-critic", offline=True)
    with pytest.raises(UsageError, match=r"rollout.engine: hf_plain, .* Write --engine hf or --engine vllm"):
        load_voice(recipe, weights, "critic", engine="hf_plain", offline=True)


# ---------------------------------------------------------------- keys


def test_keys_from_a_file_and_the_surroundings(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("first\n\n  second  \n", encoding="utf-8")
    options = ("--api-key-file", keys, "--host", "0.0.0.0", "--max-new-tokens", "2")
    with serving(tmp_path, *options, REASONRL_API_KEY="third") as served:
        for key in ("first", "second", "third"):
            assert served.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        for path in ("/v1/models", "/metrics", "/openapi.json"):
            assert served.get(path).status_code == 401
            assert served.get(path, headers={"authorization": "Bearer fourth"}).status_code == 401
        assert served.get("/health").status_code == 200
        with httpx.Client(base_url=served.base) as idle:  # a connection that is open holds nothing up
            assert idle.get("/health").status_code == 200
            started = time.monotonic()
            served.process.send_signal(signal.SIGINT)
            assert served.process.wait(40) == 0 and time.monotonic() - started < 20, "less than the grace time"
    said = "".join(served.lines)
    assert not any(key in said for key in ("first", "second", "third"))


def test_hosts_of_both_protocols_are_shown_as_addresses() -> None:
    assert [shown_address(host, 8000) for host in ("127.0.0.1", "localhost", "::1")] == [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
    ]


# ---------------------------------------------------------------- refused


def refusal(folder: Path, *options: str | Path) -> str:
    one = [] if "--critic" in options else TINY
    return reasonrl_in(folder, "serve", *one, *options).refusal()


def test_other_machines_need_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REASONRL_API_KEY", raising=False)
    for host in ("0.0.0.0", "::", "192.168.1.1", "example.com"):
        message = refusal(tmp_path, "--host", host)
        assert message.startswith(f"--host {host}: other machines could ask without a key") and "\n" not in message
    empty = tmp_path / "keys"
    for content in ("", "\n \n"):
        empty.write_text(content, encoding="utf-8")
        assert "it holds no key" in refusal(tmp_path, "--host", "0.0.0.0", "--api-key-file", empty)
    assert "no-such-file" in refusal(tmp_path, "--api-key-file", tmp_path / "no-such-file")
    empty.write_bytes(b"\xff\xfe")
    assert "keys" in refusal(tmp_path, "--api-key-file", empty)
    monkeypatch.setenv("REASONRL_API_KEY", "   ")
    assert "without a key" in refusal(tmp_path, "--host", "0.0.0.0")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = refusal(tmp_path, "--port", str(taken.getsockname()[1]))
    assert message.startswith("cannot listen on 127.0.0.1, port") and "\n" not in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--critic", "no/such/model"], "no/such/model"),
        (["--critic", "http://127.0.0.1:9/v1"], "no OpenAI-compatible server answers there"),
        (["--format", "nonsense"], "nonsense"),
        (["--format", "step_sentence", "-o", "colour=blue"], "colour"),
        (["--engine", "tgi"], "--engine tgi: write hf or vllm"),
        (["--verify", "coq"], "--verify coq"),
        (["--lean", "http://127.0.0.1:1"], "--verify lean"),
        (["--port", "0"], "--port"),
        (["--port", "99999"], "--port"),
        (["--temperature", "9"], "--temperature"),
        (["--most-requests", "0"], "--most-requests"),
        (["--actor", "no/such/model"], "no/such/model"),
    ],
    ids=lambda value: value[0] + value[1][:12] if isinstance(value, list) else "",
)
def test_options_that_are_wrong(tmp_path: Path, options: list[str], message: str) -> None:
    result = reasonrl_in(tmp_path, "serve", *([] if "--critic" in options else TINY), *options, "--offline")
    assert result.code == 2 and "Traceback" not in result.err and message in result.err, result.err
    assert result.err.lower().count("error") <= 2


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'reasonrl[serve]'" in refusal(tmp_path, "--port", str(free_port()))
