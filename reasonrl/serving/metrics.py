"""Prometheus metrics. Names are vLLM's where the meaning is the same, with our prefix. No label holds a user's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from critics.types import Critique
from reasonrl.serving.rewards import Review
from reasonrl.serving.service import Answer
from reasonrl.serving.usage import Usage
from reasonrl.serving.voices import LocalVoice, ServedVoice, Voice

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_ROUNDS = (0, 1, 2, 3, 4, 6, 8, 16, 32, 64)


@dataclass(frozen=True, eq=False)
class _UpstreamErrors(Collector):
    """Reads the counts that the clients of other servers keep themselves."""

    voices: Sequence[ServedVoice]

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(
            "reasonrl:upstream_errors",
            "Attempts to ask a server behind this one that failed.",
            labels=["model", "kind"],
        )
        for voice in self.voices:
            for kind, count in sorted(voice.model.errors.items()):
                family.add_metric([voice.name, kind], count)
        yield family


class ServerMetrics:
    """Of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "reasonrl:requests", "Requests that ended.", ["route", "strategy", "status"], registry=registry
        )
        self.running = Gauge("reasonrl:num_requests_running", "Requests under way.", registry=registry)
        self.waiting = Gauge(
            "reasonrl:num_requests_waiting", "Calls of models that wait for their turn.", registry=registry
        )
        self.latency = Histogram(
            "reasonrl:e2e_request_latency_seconds",
            "From the request's arrival to its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.first_token = Histogram(
            "reasonrl:time_to_first_token_seconds", "Of streams.", buckets=_SECONDS, registry=registry
        )
        self.queue_time = Histogram(
            "reasonrl:request_queue_time_seconds",
            "How long calls of a model in this process waited for the first pass that computes them.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.rounds = Histogram(
            "reasonrl:strategy_rounds",
            "How many times a strategy asked for critiques, one after the other.",
            ["strategy"],
            buckets=_ROUNDS,
            registry=registry,
        )
        self.calls = Counter("reasonrl:hidden_calls", "Calls of models.", ["role"], registry=registry)
        self.tokens = Counter("reasonrl:tokens", "Tokens of models.", ["role", "kind"], registry=registry)
        self.stops = Counter("reasonrl:strategies_stopped", "Why strategies ended.", ["stopped_by"], registry=registry)
        self.verdicts = Counter(
            "reasonrl:verdicts", "Critiques as they were read.", ["verdict", "parse_status"], registry=registry
        )
        self.abstentions = Counter(
            "reasonrl:reward_abstentions",
            "Solutions without a critique that could be read, and what stood for a reward.",
            ["route", "answer"],
            registry=registry,
        )
        self.rejections = Counter(
            "reasonrl:admission_rejections", "Requests that were not let in.", ["reason"], registry=registry
        )
        self.cancelled = Counter("reasonrl:cancelled", "Requests whose client left.", registry=registry)

    def watch(self, voices: Sequence[Voice]) -> None:
        """Counts what the models themselves see: calls that wait, servers that fail."""
        for voice in voices:
            if isinstance(voice, LocalVoice):
                voice.engine.on_begin = self.queue_time.observe
        turns = {id(voice.turns): voice.turns for voice in voices if isinstance(voice, LocalVoice | ServedVoice)}
        self.waiting.set_function(lambda: sum(one.waiting for one in turns.values()))
        remote = {id(voice.model): voice for voice in voices if isinstance(voice, ServedVoice)}
        self.registry.register(_UpstreamErrors(list(remote.values())))

    def count_usage(self, usage: Usage) -> None:
        for role, spent in usage.roles.items():
            self.calls.labels(role).inc(spent.calls)
            self.tokens.labels(role, "prompt").inc(spent.prompt_tokens)
            self.tokens.labels(role, "completion").inc(spent.completion_tokens)

    def count_answer(self, answer: Answer) -> None:
        """One choice."""
        self.count_usage(answer.usage)
        for critique in answer.critiques:
            self.count_critique(critique)
        facts = answer.facts
        if "stopped_by" in facts:
            self.stops.labels(facts["stopped_by"]).inc()
            self.rounds.labels(facts["strategy"]).observe(facts["rounds"])
        if facts.get("abstained"):
            self.abstentions.labels("chat", "no_box").inc()

    def count_reviews(self, route: str, reviews: Sequence[Review], unread: float | None) -> None:
        """Of a reward model's route. `unread`: what stands for an abstention; None: it is refused."""
        for one in reviews:
            self.count_usage(one.usage)
            for critique in one.critiques:
                self.count_critique(critique)
            if one.probability is None:
                self.abstentions.labels(route, "refused" if unread is None else "number").inc()

    def count_critique(self, critique: Critique) -> None:
        self.verdicts.labels(critique.judgement or "none", critique.parse_status).inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
