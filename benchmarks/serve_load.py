"""What `reasonrl serve` takes: many clients at once, and what it gains that their requests share a batch.

    .venv/bin/python benchmarks/serve_load.py                              # the tiny model, 64 clients
    .venv/bin/python benchmarks/serve_load.py --model smollm2-135m --requests 192

It starts `reasonrl serve` in a process of its own, and asks from this one.

Load: the clients ask for chats, refinements and filtered votes, each streamed and whole, and for critiques. First,
every request is asked once, whole and alone. With its seed it must get the same text, the same facts and the same usage
again, whoever asks beside it. The server must have counted as many requests as were sent, and have none under way at
the end. Tokens are the completion tokens of all hidden calls.

Gathering: the same chats one after the other, and all at once, in turns. The ratio of the times is what the shared
batch gains.

Needs a machine on which nothing else runs. Ends with 1 where an answer is lost or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

CHAT = "/v1/chat/completions"
ROUTES = ("chat", "chat, streamed", "refine", "refine, streamed", "vote", "vote, streamed", "critique")
START_S = 120.0
WAIT_S = 900.0
"""The longest that one answer may take."""


class WrongAnswer(Exception):
    """Says in one line what a client was given instead."""


@dataclass(frozen=True)
class Job:
    """One request. `whole`: the same one without its stream."""

    route: str
    path: str
    body: dict[str, Any]

    @property
    def whole(self) -> dict[str, Any]:
        return {key: value for key, value in self.body.items() if not key.startswith("stream")}


@dataclass(frozen=True)
class Reply:
    """What a job got: what is the same each time, and what is not."""

    job: Job
    content: dict[str, Any]
    tokens: int
    seconds: float
    first_s: float
    """Until the first text; of a whole answer, until its end."""


@dataclass(frozen=True)
class Load:
    """What many clients saw."""

    replies: list[Reply]
    problems: list[str]
    seconds: float


def make_jobs(count: int, model: str, tokens: int) -> list[Job]:
    """Requests of all routes in turn, each with a seed. `tokens`: the most of one chat; strategies get eight times as
    many for all their calls.
    """
    jobs = []
    for number in range(count):
        draw = random.Random(number)
        question = f"What is {draw.randint(0, 99)} + {draw.randint(0, 99)}?"
        route = ROUTES[number % len(ROUTES)]
        if route == "critique":
            body = {"problem": question, "solution": f"It is {draw.randint(0, 198)}.\nThat is all.", "seed": number}
            jobs.append(Job(route, "/v1/critique", {**body, "max_tokens": tokens}))
            continue
        name = {"c": model, "r": f"refine-{model}", "v": f"filtered-vote-{model}"}[route[0]]
        body = {
            "model": name,
            "messages": [{"role": "user", "content": question}],
            "seed": number,
            "max_tokens": tokens,
        }
        if route[0] != "c":
            body["reasonrl"] = {"budget_tokens": 8 * tokens, **({"samples": 4} if route[0] == "v" else {})}
        if route.endswith("streamed"):
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        jobs.append(Job(route, CHAT, body))
    return jobs


def chats(count: int, model: str, tokens: int) -> list[Job]:
    """Plain ones, for the second part."""
    return [
        Job("chat", CHAT, {"model": model, "messages": [{"role": "user", "content": f"What is {n} + 5?"}]}
            | {"seed": n, "max_tokens": tokens, "temperature": 1.0})
        for n in range(count)
    ]  # fmt: skip


# ---------------------------------------------------------------- one request


async def ask(client: httpx.AsyncClient, job: Job, *, whole: bool = False) -> Reply:
    """Raises WrongAnswer for what is no answer, httpx.HTTPError."""
    started = time.perf_counter()
    if job.body.get("stream") and not whole:
        content, first_s = await _streamed(client, job, started)
    else:
        answer = await client.post(job.path, json=job.whole)
        if answer.status_code != 200:
            raise WrongAnswer(f"{job.route}: status {answer.status_code}, {answer.text[:200]}")
        value = answer.json()
        content = chat_content(value["choices"][0], value) if job.path == CHAT else value
        first_s = time.perf_counter() - started
    return Reply(job, content, content["usage"]["completion_tokens"], time.perf_counter() - started, first_s)


def chat_content(choice: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": choice["message"]["content"],
        "finish_reason": choice["finish_reason"],
        "facts": choice.get("reasonrl"),
        "usage": value["usage"],
    }


async def _streamed(client: httpx.AsyncClient, job: Job, started: float) -> tuple[dict[str, Any], float]:
    """The content, and seconds until its first text."""
    texts, first_s, last_line = [], 0.0, ""
    content: dict[str, Any] = {}
    async with client.stream("POST", job.path, json=job.body) as answer:
        if answer.status_code != 200:
            raise WrongAnswer(f"{job.route}: status {answer.status_code}, {(await answer.aread())[:200]!r}")
        async for line in answer.aiter_lines():
            last_line = line or last_line
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            if "error" in chunk:
                raise WrongAnswer(f"{job.route}: {chunk['error']}")
            for choice in chunk["choices"]:
                if choice["delta"].get("content"):
                    first_s = first_s or time.perf_counter() - started
                    texts.append(choice["delta"]["content"])
                if choice["finish_reason"] is not None:
                    content |= {"finish_reason": choice["finish_reason"], "facts": choice.get("reasonrl")}
            if chunk.get("usage"):
                content["usage"] = chunk["usage"]
    if last_line != "data: [DONE]" or "usage" not in content:
        raise WrongAnswer(f"{job.route}: the stream ended early, after {last_line[:200]!r}")
    return {"text": "".join(texts), **content}, first_s or time.perf_counter() - started


# ---------------------------------------------------------------- many requests


def asking(base: str) -> httpx.AsyncClient:
    """As many connections as there are requests under way."""
    return httpx.AsyncClient(base_url=base, timeout=WAIT_S, limits=httpx.Limits(max_connections=None))


async def ask_alone(base: str, jobs: Sequence[Job]) -> list[Reply]:
    """Each whole, one after the other."""
    async with asking(base) as client:
        return [await ask(client, job, whole=True) for job in jobs]


async def ask_at_once(base: str, jobs: Sequence[Job]) -> list[Reply]:
    async with asking(base) as client:
        return await asyncio.gather(*(ask(client, job) for job in jobs))


async def load(base: str, alone: Sequence[Reply], *, clients: int, requests: int) -> Load:
    """What so many clients see, and whether the server counted as much. Nobody else may ask meanwhile."""
    before = counted(base)
    loaded = await ask_by_clients(base, alone, clients=clients, requests=requests)
    after = counted(base)
    if (sent := after["ended"] - before["ended"]) != requests:
        loaded.problems.append(f"{requests} requests were sent, and the server counts {sent:g}")
    if after["running"]:
        loaded.problems.append(f"{after['running']:g} requests are under way at the end")
    return loaded


async def ask_by_clients(base: str, alone: Sequence[Reply], *, clients: int, requests: int) -> Load:
    """`requests` of the jobs, in an order of chance, by so many clients, each of which asks again when it has its
    answer. `alone`: what the jobs must get.
    """
    order = random.Random(0)
    numbers = itertools.chain.from_iterable(order.sample(range(len(alone)), len(alone)) for _ in itertools.count())
    waiting = iter(list(itertools.islice(numbers, requests)))
    replies: list[Reply] = []
    problems: list[str] = []

    async def one_client() -> None:
        async with asking(base) as client:
            for number in waiting:
                expected = alone[number]
                try:
                    reply = await ask(client, expected.job)
                except (WrongAnswer, httpx.HTTPError) as error:
                    problems.append(f"request {number}, {error!r}")
                    continue
                replies.append(reply)
                if reply.content != expected.content:
                    problems.append(f"request {number}, {expected.job.route}: alone it gets another answer")

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    return Load(replies, problems, time.perf_counter() - started)


def counted(base: str) -> dict[str, float]:
    """Requests that ended, and those under way, by the server's own count."""
    values = {"ended": 0.0, "running": 0.0}
    for line in httpx.get(f"{base}/metrics", timeout=60).text.splitlines():
        if line.startswith("reasonrl:requests_total{"):
            values["ended"] += float(line.rpartition(" ")[2])
        elif line.startswith("reasonrl:num_requests_running "):
            values["running"] += float(line.rpartition(" ")[2])
    return values


async def gathering(base: str, jobs: Sequence[Job], rounds: int) -> list[tuple[float, float]]:
    """Seconds one by one and at once, in each round. The first round, which warms up, is not counted.

    Raises WrongAnswer where answers differ.
    """
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        alone = await ask_alone(base, jobs)
        between = time.perf_counter()
        together = await ask_at_once(base, jobs)
        seconds.append((between - started, time.perf_counter() - between))
        if [reply.content for reply in alone] != [reply.content for reply in together]:
            raise WrongAnswer("gathering: what is asked at once gets other answers")
    return seconds[1:]


def gain(seconds: Sequence[tuple[float, float]]) -> float:
    """How many times as fast all at once are: the median of the rounds."""
    return statistics.median(alone / together for alone, together in seconds)


# ---------------------------------------------------------------- the server


@contextlib.contextmanager
def serving(model: str, critic: str, *, most_requests: int) -> Iterator[str]:
    """The address of `reasonrl serve`. Raises RuntimeError with what it writes where it does not start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    words = ["serve", "--critic", critic, "--actor", model, "--actor-name", "actor", "--critic-name", "critic"]
    words += ["--port", str(port), "--most-requests", str(most_requests), "--offline"]
    if critic.startswith("tiny"):
        words += ["--format", "step_sentence"]  # its tokens are those of this format
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "reasonrl.cli", *words], stdout=log, stderr=log)
        try:
            end = time.monotonic() + START_S
            while not _is_ready(base):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise RuntimeError(f"the server does not start: {log.read().decode(errors='replace')}")
                time.sleep(0.1)
            yield base
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(40)
            process.kill()


def _is_ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


# ---------------------------------------------------------------- figures


def percentiles(values: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [*values] * 99
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98]}


def summary(loaded: Load) -> dict[str, Any]:
    """Latencies by route, and the pace of all together."""
    by_route = {route: [reply for reply in loaded.replies if reply.job.route == route] for route in ROUTES}
    rows = {"all": loaded.replies, **by_route}
    return {
        "requests": len(loaded.replies),
        "seconds": loaded.seconds,
        "requests_per_s": len(loaded.replies) / loaded.seconds,
        "tokens_per_s": sum(reply.tokens for reply in loaded.replies) / loaded.seconds,
        "routes": {
            name: {
                "requests": len(replies),
                "seconds": percentiles([reply.seconds for reply in replies]),
                "first_text_s": percentiles([reply.first_s for reply in replies]),
            }
            for name, replies in rows.items()
            if replies
        },
    }


def show(figures: dict[str, Any]) -> None:
    print(f"{'':18}requests      p50 s    p90 s    p99 s   first text, p50 s")
    for name, row in figures["routes"].items():
        times = "".join(f"{value:9.3f}" for value in row["seconds"].values())
        first = f"{row['first_text_s']['p50']:20.3f}" if name.endswith("streamed") else ""
        print(f"{name:18}{row['requests']:8}  {times}{first}")
    print(f"{figures['requests_per_s']:.1f} requests/s, {figures['tokens_per_s']:,.0f} tokens/s")


def machine() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "uvicorn"))
    return f"{platform.machine()}, {os.cpu_count()} cores; {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64, help="That ask at the same time. Default: 64.")
    parser.add_argument("--requests", type=int, default=640, help="Of all clients together. Default: 640.")
    parser.add_argument("--different", type=int, default=140, help="Requests that differ. Default: 140.")
    parser.add_argument("--model", default="tiny-critic", help="The actor. Default: tiny-critic.")
    parser.add_argument("--critic", help="Default: the same model.")
    parser.add_argument("--tokens", type=int, default=48, help="The most of one chat or critique. Default: 48.")
    parser.add_argument("--rounds", type=int, default=3, help="Of the second part. Default: 3.")
    parser.add_argument("--json", type=Path, help="Write all figures to this file.")
    arguments = parser.parse_args()
    critic = arguments.critic or arguments.model
    print(f"{machine()}\n{arguments.model}, judged by {critic}; {arguments.clients} clients\n", flush=True)
    # Half of the places are for one client, and all of these are one: they have one address.
    with serving(arguments.model, critic, most_requests=max(256, 4 * arguments.clients)) as base:
        jobs = make_jobs(min(arguments.different, arguments.requests), "actor", arguments.tokens)
        alone = asyncio.run(ask_alone(base, jobs))
        loaded = asyncio.run(load(base, alone, clients=arguments.clients, requests=arguments.requests))
        figures = summary(loaded)
        show(figures)
        print(f"problems: {len(loaded.problems)}", *loaded.problems[:10], sep="\n  ", flush=True)
        seconds = asyncio.run(gathering(base, chats(arguments.clients, "actor", arguments.tokens), arguments.rounds))
    shown = ", ".join(f"{alone / together:.2f}" for alone, together in seconds)
    print(f"{arguments.clients} chats at once: {gain(seconds):.2f} times as fast as one by one (rounds: {shown})")
    if arguments.json:
        settings = {**vars(arguments), "critic": critic, "json": None, "machine": machine()}
        figures |= {"settings": settings, "problems": loaded.problems, "gathering_s": seconds, "gain": gain(seconds)}
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    if loaded.problems:
        sys.exit(1)


if __name__ == "__main__":
    main()
