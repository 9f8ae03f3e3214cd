"""A served critic as a reward function of TRL and of verl."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from critics.adapters import ServedCritic, compute_score, trl_reward
from critics.strategies.base import CriticUnavailable

Reply = tuple[int, dict[str, str], Any]


@contextmanager
def answering(replies: Callable[[dict[str, Any], int], Reply]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers request i by `replies(body, i)`, and the bodies that it was sent."""
    bodies: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body |= {"path": self.path, "key": self.headers["authorization"]}
            with lock:
                bodies.append(body)
                number = len(bodies) - 1
            status, headers, value = replies(body, number)
            data = json.dumps(value).encode()
            self.send_response(status)
            for name, text in {**headers, "content-length": str(len(data))}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", bodies
        finally:
            server.shutdown()
            thread.join()


def verdict(*judgements: str | None) -> Reply:
    return 200, {}, {"critiques": [{"judgement": judgement, "score": None} for judgement in judgements]}


def by_solution(body: dict[str, Any], number: int) -> Reply:
    return verdict({"right": "correct", "wrong": "incorrect"}.get(body["solution"]))


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    return status, headers, {"error": {"message": message, "code": code}}


# ---------------------------------------------------------------- TRL


def test_trl_gets_probabilities_and_none_for_an_abstention() -> None:
    with answering(by_solution) as (server, bodies):
        reward = trl_reward(server)
        assert reward.__name__ == "critic_reward"
        texts = ["right", "wrong", "unread", "right"]
        assert reward(prompts=["2 + 3?"] * 4, completions=texts, completion_ids=[[1]] * 4) == [1.0, 0.0, None, 1.0]
        assert [body["problem"] for body in bodies] == ["2 + 3?"] * 4 and {body["path"] for body in bodies} == {
            "/v1/critique"
        }
        chats = [[{"role": "assistant", "content": text}] for text in texts]
        prompt = [{"role": "system", "content": "be short"}, {"role": "user", "content": "2 + 3?"}]
        logged: dict[str, float] = {}
        columns = {"answer": ["5"] * 4, "log_metric": logged.__setitem__, "trainer_state": None}
        assert reward(prompts=[prompt] * 4, completions=chats, **columns) == [1.0, 0.0, None, 1.0]
        assert bodies[-1]["problem"] == "2 + 3?" and logged == {"critic_reward/undecided": 0.25}
        assert reward(prompts=[], completions=[], **columns) == []


def test_the_problem_may_stand_in_a_column_and_a_prompt_in_several_turns() -> None:
    with answering(by_solution) as (server, bodies):
        reward = trl_reward(f"{server}/v1/", column="question", name="judge")
        assert reward.__name__ == "judge"
        assert reward(prompts=["Q: 1?\nA:"], completions=["wrong"], question=["1?"]) == [0.0]
        assert bodies[-1]["problem"] == "1?"
        with pytest.raises(ValueError, match="no column 'question'; it has answer"):
            reward(prompts=["x"], completions=["wrong"], answer=["1"])
        turns = [{"role": role, "content": [{"type": "text", "text": role}]} for role in ("user", "assistant", "user")]
        assert trl_reward(server)(prompts=[turns], completions=["right"]) == [1.0]
        assert bodies[-1]["problem"] == "user: user\n\nassistant: assistant\n\nuser: user"


def test_several_critiques_are_a_share_of_those_that_were_read_and_scores_count() -> None:
    scored = (
        200,
        {},
        {"critiques": [{"judgement": "correct", "score": 0.75}, {"judgement": "correct", "score": 0.25}]},
    )
    for reply, expected in (
        (verdict("correct", None, "incorrect", "correct"), 2 / 3),
        (verdict("correct", "incorrect"), 0.5),
        (verdict(None, None), None),
        (scored, 0.5),
    ):
        with answering(lambda body, number, reply=reply: reply) as (server, bodies):
            (probability,) = trl_reward(server, critiques=4)(prompts=["x"], completions=["y"])
            assert probability == (None if expected is None else pytest.approx(expected))
            assert bodies[0]["samples"] == 4


def test_completions_are_asked_about_at_one_time() -> None:
    together = threading.Barrier(8, timeout=10)

    def meets(body: dict[str, Any], number: int) -> Reply:
        together.wait()
        return by_solution(body, number)

    with answering(meets) as (server, _):
        assert trl_reward(server)(prompts=["x"] * 8, completions=["right"] * 8) == [1.0] * 8


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    def busy(body: dict[str, Any], number: int) -> Reply:
        return error([429, 503][number], **{"retry-after": "1"}) if number < 2 else by_solution(body, number)

    with answering(busy) as (server, bodies):
        started = time.monotonic()
        assert trl_reward(server)(prompts=["x"], completions=["right"]) == [1.0]
        assert 2 <= time.monotonic() - started < 5 and len(bodies) == 3


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_is_asked_about_twice_more(status: int) -> None:
    with answering(lambda body, number: error(status) if number < 2 else verdict("correct")) as (server, _):
        assert trl_reward(server)(prompts=["x"], completions=["y"]) == [1.0]
    with answering(lambda body, number: error(status)) as (server, bodies):
        with pytest.raises(CriticUnavailable, match=f"status {status}: no"):
            trl_reward(server)(prompts=["x"], completions=["y"])
        assert len(bodies) == 3


def test_patience_ends() -> None:
    with answering(lambda body, number: error(503, "full", **{"retry-after": "30"})) as (server, bodies):
        with pytest.raises(CriticUnavailable, match="full"):
            trl_reward(server, patience_s=5)(prompts=["x"], completions=["y"])
        assert len(bodies) == 1, "the pause is longer than what is left"
        gone = server
    with pytest.raises(CriticUnavailable, match="does not answer"):
        trl_reward(gone, patience_s=0.1)(prompts=["x"] * 3, completions=["y"] * 3)


def test_some_failures_leave_rollouts_out_and_a_server_that_is_gone_ends_the_training(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def sometimes(body: dict[str, Any], number: int) -> Reply:
        return error(502) if body["solution"] == "bad" else by_solution(body, number)

    with answering(sometimes) as (server, _):
        reward = trl_reward(server)
        assert reward(prompts=["x"] * 3, completions=["right", "bad", "wrong"]) == [1.0, None, 0.0]
        assert "1 of 3 solutions have no reward" in caplog.text
        with pytest.raises(CriticUnavailable):
            reward(prompts=["x"] * 2, completions=["bad", "bad"])


def test_a_refused_solution_is_an_abstention_and_a_wrong_request_an_error() -> None:
    with answering(lambda body, number: error(400, "too long", "prompt_refused")) as (server, _):
        assert trl_reward(server)(prompts=["x"], completions=["y"]) == [None]
    with answering(lambda body, number: error(413, "the body may have 1,048,576 bytes")) as (server, _):
        assert trl_reward(server)(prompts=["x"], completions=["y"]) == [None]
    with (
        answering(lambda body, number: error(400, "write a temperature above 0")) as (server, _),
        pytest.raises(ValueError, match="temperature above 0"),
    ):
        trl_reward(server, critiques=3)(prompts=["x"] * 2, completions=["y"] * 2)
    with (
        answering(lambda body, number: error(401)) as (server, _),
        pytest.raises(ValueError, match="set REASONRL_API_KEY"),
    ):
        trl_reward(server)(prompts=["x"], completions=["y"])


def test_the_key_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(by_solution) as (server, bodies):
        monkeypatch.setenv("REASONRL_API_KEY", "secret")
        trl_reward(server)(prompts=["x"], completions=["right"])
        trl_reward(server, api_key_env="NO_SUCH_KEY")(prompts=["x"], completions=["right"])
        assert [body["key"] for body in bodies] == ["Bearer secret", None]


@pytest.mark.parametrize("options", [{"server": "localhost:8000"}, {"critiques": 0}, {"concurrency": 0}])
def test_options_that_are_wrong(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        ServedCritic(**{"server": "http://127.0.0.1:8000", **options})


# ---------------------------------------------------------------- verl


def test_verls_reward_function() -> None:
    with answering(by_solution) as (server, bodies):
        router = {"reward_router_address": None, "reward_model_tokenizer": None}
        rows = [
            compute_score("gsm8k", text, "5", {"question": "2 + 3?", "split": "train"}, server=server, **router)
            for text in ("right", "wrong", "unread")
        ]
        assert [(row["score"], row["undecided"], row["status"]) for row in rows] == [
            (1.0, 0.0, "judged"),
            (0.0, 0.0, "judged"),
            (0.0, 1.0, "unread"),
        ]
        assert {tuple(row) for row in rows} == {("score", "acc", "undecided", "status", "reason")}
        assert compute_score("s", "right", "", {"task": "1?"}, server=server, problem_key="task")["score"] == 1.0
        assert bodies[-1]["problem"] == "1?"
        for extra in (None, {}, {"question": 3}, {"question": " "}):
            with pytest.raises(ValueError, match=r"no text under 'question'.*problem_key"):
                compute_score("gsm8k", "x", "5", extra, server=server)


# ---------------------------------------------------------------- the server of reasonrl


def test_with_the_critic_server() -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
    from reasonrl.serving.admission import Admission
    from reasonrl.serving.voices import BadPrompt
    from tests.serving.fake_voices import running_server
    from tests.serving.test_classify import RIGHT, WRONG, judges, service_of

    def long_ones_are_refused(chat: Any, seed: int) -> str:
        if "long" in chat[-1]["content"]:
            raise BadPrompt("too long")
        return "neither" if "unread" in chat[-1]["content"] else judges(chat, seed)

    service = service_of(long_ones_are_refused)
    service.cast.critic.delay_s = 0.05  # type: ignore[attr-defined]
    texts = [RIGHT, WRONG, "unread", "long", "", f"{RIGHT} \ud800", RIGHT + "x" * 200_000] * 4
    with (
        running_server(service, keys=["key"], admission=Admission(most=16, most_of_one=8)) as base,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("REASONRL_API_KEY", "key")
        rewards = trl_reward(base)(prompts=["2 + 3?"] * 28, completions=texts)
        assert rewards == [1.0, 0.0, None, None, 0.0, 1.0, None] * 4
        row = compute_score("s", "long", "", {"question": "2 + 3?"}, server=base)
        assert (row["status"], row["undecided"]) == ("refused", 1.0) and "too long" in row["reason"]
        with pytest.raises(ValueError, match="greedy critiques"):
            trl_reward(base, critiques=3)(prompts=["2 + 3?"], completions=[RIGHT])
