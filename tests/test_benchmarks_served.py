"""Benchmarks that a model behind an OpenAI-compatible server answers: nothing is lost, mixed up or asked twice."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reasonrl.engines.served import ServedModel
from tests.e2e.commands import reasonrl_in
from tests.engines.fake_server import FakeServer, Handler
from tests.test_benchmarks_command import copy_of_gsm8k


class FakeSolver(Handler):
    """Adds one to the number of the question. Requests of one in five seeds fail at first, or always while `away`."""

    server: FakeSolverServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = int(re.search(r"What is (\d+)", body["messages"][-1]["content"])[1])  # type: ignore[index]
        key = (number, body["seed"])
        with self.server.lock:
            self.server.tries[key] += 1
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
            tries = self.server.tries[key]
        time.sleep(0.1 + 0.01 * (number % 7))  # answers overtake each other
        with self.server.lock:
            self.server.at_once -= 1
        if body["seed"] % 5 == 0 and (self.server.away or tries == 1):
            return self.answer(503, {"error": "busy"})
        choice = {"message": {"content": f"\\boxed{{{number + 1}}}"}, "finish_reason": "stop"}
        self.answer(200, {"choices": [choice], "usage": {"completion_tokens": number + 1}})


class FakeSolverServer(FakeServer):
    away = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeSolver)
        self.asked = []
        self.tries: Counter[tuple[int, int]] = Counter()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSolverServer]:
    monkeypatch.setattr(ServedModel, "retry_wait_s", 0.01)
    made = FakeSolverServer()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    with contextlib.suppress(OSError):
        made.server_close()


def evaluate(folder: Path, server: FakeSolverServer) -> Any:
    address = f"http://127.0.0.1:{server.server_port}/v1"
    words = ("--benchmarks", "gsm8k=copy.jsonl", "--n", "4", "--temperature", "1", "--concurrency", "64")
    return reasonrl_in(folder, "eval", address, *words, "--output", "out", "--json")


def test_64_requests_at_once_lose_and_mix_up_nothing(tmp_path: Path, server: FakeSolverServer) -> None:
    copy_of_gsm8k(tmp_path, 250)
    result = evaluate(tmp_path, server)
    assert result.code == 0, result.err
    figures = json.loads(result.out)["results"]["gsm8k"]
    assert (figures["accuracy"]["estimate"], figures["answers"], figures["missing"]) == (1.0, 1000, 0)
    assert figures["mean_tokens"] == sum(range(1, 251)) / 250, "by the server's count"
    rows = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert len({(row["problem_id"], row["rollout"]) for row in rows}) == len(rows) == 1000
    assert all(row["response"] == f"\\boxed{{{row['reference']['answer']}}}" for row in rows)
    failed_at_first = sum(count > 1 for count in server.tries.values())
    assert 120 < failed_at_first < 280 and 16 <= server.most_at_once <= 64


def test_what_was_not_answered_is_counted_and_asked_again(tmp_path: Path, server: FakeSolverServer) -> None:
    copy_of_gsm8k(tmp_path, 40)
    server.away = True
    first = json.loads(evaluate(tmp_path, server).out)["results"]["gsm8k"]
    assert 10 < first["missing"] < 60 and first["answers"] + first["missing"] == 160
    assert first["accuracy"]["estimate"] == 1.0, "what is missing is not wrong"
    server.away, answered = False, {key for key in server.tries if key[1] % 5}
    before = dict(server.tries)
    second = json.loads(evaluate(tmp_path, server).out)["results"]["gsm8k"]
    assert (second["missing"], second["answers"]) == (0, 160)
    assert all(server.tries[key] == before[key] for key in answered), "what is there is not asked again"
    refused = evaluate(tmp_path, server)
    assert refused.code == 2 and "already holds results" in refused.out + refused.err


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    copy_of_gsm8k(tmp_path, 2)
    words = ("--benchmarks", "gsm8k=copy.jsonl")
    result = reasonrl_in(tmp_path, "eval", "http://127.0.0.1:9/v1", *words)
    assert result.code != 0 and "no OpenAI-compatible server answers there" in result.err
