"""What Prometheus is told of a server, and that docs/serving.md says so."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed (extra: serve)")

from prometheus_client.parser import text_string_to_metric_families

from reasonrl.engines.base import Sampling
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.serving import ServingEngine
from reasonrl.engines.served import ServedModel
from reasonrl.models import tiny
from reasonrl.models.loading import load_model
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.service import Service
from reasonrl.serving.voices import LocalVoice, ServedVoice
from tests.engines.fake_server import running
from tests.serving.fake_voices import FakeVoice, running_server
from tests.serving.scripts import REJECTS, accepts_refinements, echo, fake_players, fake_service

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
CHAT = "/v1/chat/completions"
ASK = [{"role": "user", "content": "What is 2 + 3?"}]


def samples(text: str | bytes, name: str) -> dict[tuple[str, ...], float]:
    """The values of one series by its labels, in the order of their names."""
    content = text.decode() if isinstance(text, bytes) else text
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(content)
        for sample in family.samples
        if sample.name == name
    }


def test_the_page_has_every_metric_with_its_labels() -> None:
    metrics = ServerMetrics()
    metrics.watch([])
    table = dict(re.findall(r"^\| `(reasonrl:[\w:]+)` *(.*?) *\|", PAGE, re.M))
    families = {family.name: family for family in metrics.registry.collect()}
    written = {name.removesuffix("_total"): re.findall(r"`(\w+)`", labels) for name, labels in table.items()}
    assert set(written) == set(families)
    for name, labels in written.items():
        collector = metrics.registry._names_to_collectors.get(name)
        known = getattr(collector, "_labelnames", None)
        assert list(labels) == list(("model", "kind") if known is None else known), name


def test_rounds_of_strategies() -> None:
    with running_server(fake_service(critic=FakeVoice("judge", accepts_refinements))) as base:
        for strategy in ("refine", "refine", "majority", "best-of-n"):
            answer = httpx.post(f"{base}/v1/refine", json={"problem": "2 + 3?", "strategy": strategy, "seed": 1}).json()
            assert answer["rounds"] == {"refine": 2, "majority": 0, "best-of-n": 1}[strategy]
        text = httpx.get(f"{base}/metrics").text
    assert samples(text, "reasonrl:strategy_rounds_sum") == {("refine",): 4, ("majority",): 0, ("best_of_n",): 1}
    assert samples(text, "reasonrl:strategy_rounds_count") == {("refine",): 2, ("majority",): 1, ("best_of_n",): 1}
    with running_server(fake_service(critic=FakeVoice("judge", lambda chat, seed: REJECTS))) as base:
        answer = httpx.post(f"{base}/v1/refine", json={"problem": "2 + 3?", "options": {"rounds": 3}}).json()
    assert answer["rounds"] == 3 and answer["stopped_by"] == "rounds"


def test_errors_of_servers_behind_this_one_by_kind() -> None:
    with running() as upstream:
        model = ServedModel(f"http://127.0.0.1:{upstream.server_port}/v1", "tiny", timeout_s=0.5, retry_wait_s=0.01)
        service = Service(replace(fake_players(), actor=ServedVoice("solver", model)), {})

        def ask(mode: str, **more: Any) -> int:
            upstream.mode = mode
            upstream.asked.clear()
            return httpx.post(base + CHAT, json={"model": "solver", "messages": ASK, **more}, timeout=30).status_code

        def errors() -> dict[tuple[str, ...], float]:
            return samples(httpx.get(f"{base}/metrics").text, "reasonrl:upstream_errors_total")

        with running_server(service) as base:
            assert ask("echo") == 200 and errors() == {}
            assert ask("busy") == 200 and errors() == {("busy", "solver"): 2}
            assert ask("refused") == 400 and ask("broken") == 502 and ask("empty") == 502
            assert ask("stall") == 502 and ask("torn", stream=True) == 200
            upstream.shutdown()
            upstream.server_close()
            assert ask("echo", stream=True) == 502
            assert errors() == {
                ("busy", "solver"): 2,
                ("refused", "solver"): 1,
                ("unreadable", "solver"): 2,
                ("timeout", "solver"): 1,
                ("stream", "solver"): 1,
                ("connection", "solver"): 3,
            }


def test_the_time_in_the_queue_of_the_local_engine() -> None:
    """With room for one row, six calls of one length wait 0, 1, ... 5 sixths of the time that they take together; with
    room for all, none waits for another.
    """
    language_model = load_model(tiny.NAME, device="cpu", seed=3)

    def waits(rows: int) -> tuple[float, float]:
        """How many calls were counted, and their waits together as a share of the time that all took."""
        metrics = ServerMetrics()

        async def run() -> float:
            async with ServingEngine(CachedEngine(language_model, rows_per_batch=rows)) as engine:

                async def ask() -> None:
                    sampling = Sampling(60, ignore_eos=True)
                    await asyncio.gather(*(engine.generate([3, 4, 5 + n], sampling, n) for n in range(6)))

                await ask()  # lays out weights and compiles
                metrics.watch([LocalVoice("tiny", None, engine, 64)])
                started = time.monotonic()
                await ask()
                return time.monotonic() - started

        seconds = asyncio.run(run())
        name, text = "reasonrl:request_queue_time_seconds", metrics.text()
        return samples(text, f"{name}_count")[()], samples(text, f"{name}_sum")[()] / seconds

    (alone_count, alone), (count, together) = waits(1), waits(8)
    assert alone_count == count == 6 and alone > 1.5 > together, (alone, together)


def test_no_metric_holds_a_users_text() -> None:
    with running_server(fake_service(FakeVoice("solver", echo))) as base:
        for strategy in ("refine", "my-secret"):
            body = {"problem": "my secret problem", "strategy": strategy}
            httpx.post(f"{base}/v1/refine", json=body)
        assert "secret" not in httpx.get(f"{base}/metrics").text
