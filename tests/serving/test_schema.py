"""The server against its own OpenAPI schema: Schemathesis asks what the schema allows and what it forbids, with the
guard in front, and compares statuses, types of content and answers with what the schema says of them.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("schemathesis", reason="schemathesis is not installed (extra: dev)")

import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from critics.strategies import STRATEGIES
from reasonrl.serving.admission import Admission
from reasonrl.serving.app import create_app
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.rendered import TextTemplate
from reasonrl.serving.rewards import RewardOptions
from reasonrl.serving.service import Service
from tests.serving.fake_voices import FakeVoice, running_server
from tests.serving.scripts import accepts_refinements, echo, fake_players, server_log
from verifiers.loading import load_verifier

CHAT = "/v1/chat/completions"
EXAMPLES = 12
"""Of each kind for each route, besides the boundaries of every field."""
TEMPLATE = "Problem: {problem} Solution: {solution}"
RENDERED = "Problem: What is 2 + 3? Solution: It is 5."
REVIEWED = [{"role": "user", "content": "What is 2 + 3?"}, {"role": "assistant", "content": "It is 5."}]
CHECKS = {
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", 504]},  # a deadline of next to nothing may be asked for
    "negative_data_rejection": {"expected-statuses": [400, 404, 405, 413, 415]},
    # What several fields say together is not in the schema: kind math needs an answer, for example.
    "positive_data_acceptance": {"enabled": False},
    # A body that is no JSON is refused before anybody looks at the path: 415, not 405.
    "unsupported_method": {"enabled": False},
}

ROUTES = [
    *("GET /", "GET /health", "GET /metrics", "GET /v1/models", "GET /v1/models/{name}"),
    *(
        f"POST {CHAT}",
        "POST /classify",
        "POST /v1/critique",
        "POST /v1/embeddings",
        "POST /v1/refine",
        "POST /v1/verify",
    ),
]
KINDS = {"GET /": "text/html", "GET /metrics": "text/plain"}
"""Types of content, where it is not JSON."""


@dataclass(frozen=True)
class Variant:
    """Some fields of one form in place of the app's. A request that is refused for what fields say together, such as
    a solution beside steps, says nothing about their values.
    """

    form: str
    absent: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, schema: dict[str, Any]) -> None:
        form = schema["components"]["schemas"][self.form]
        form["properties"] = {n: d for n, d in form["properties"].items() if n not in self.absent} | self.fields
        form["required"] = [*form.get("required", ()), *self.required]


_REWARDS = [
    Variant("ClassifyRequest", ("messages",), ("input",), {"input": {"enum": [RENDERED, [RENDERED] * 2]}}),
    Variant("ClassifyRequest", ("input",), ("messages",), {"messages": {"enum": [REVIEWED]}}),
]
VARIANTS = {
    "POST /classify": _REWARDS,
    "POST /v1/embeddings": _REWARDS,
    "POST /v1/critique": [Variant("CritiqueRequest", ("solution",)), Variant("CritiqueRequest", ("steps",))],
    "POST /v1/verify": [Variant("VerifyRequest", ("kind",), ("answer",), {"answer": {"type": "string"}})],
}


def streams(models: list[str], options: list[dict[str, Any] | None]) -> Variant:
    fields: dict[str, Any] = {
        "stream": {"const": True},
        "n": {"const": 1},
        "seed": {"type": "integer", "minimum": 0},  # Schemathesis rounds the least one, -(2**63)
        "messages": {"enum": [REVIEWED[:1]]},
        "model": {"enum": models},
        "reasonrl": {"enum": options},
    }
    return Variant("ChatRequest", required=("stream",), fields=fields)


STREAMS = streams(
    ["refine-solver", "best-of-n-solver", "majority-solver"],
    [None, {"trace": True, "progress": False}, {"budget_tokens": 20}],
)
PLAIN_STREAMS = streams(["solver", "judge"], [None, {"progress": False}])
"""Of models that play no strategy: options of strategies are refused there."""
UNCHANGED = Variant("ErrorReply")


def service() -> Service:
    """Whose critic may be asked for several critiques, and rejects first drafts."""
    critic = FakeVoice("judge", accepts_refinements)
    verifiers = {"math": load_verifier("math", mode="lenient")}
    cast = fake_players(FakeVoice("solver", echo), critic, critic_temperature=0.7)
    return Service(cast, verifiers, RewardOptions(text_template=TextTemplate.parse(TEMPLATE)))


def described(served: Service, variant: Variant = UNCHANGED) -> dict[str, Any]:
    """The schema of the app, in which names are those that this server knows: others get 404 and nothing else."""
    schema = copy.deepcopy(create_app(served, Admission(), ServerMetrics()).openapi())
    forms = schema["components"]["schemas"]
    forms["ChatRequest"]["properties"]["model"] = {"enum": [*served.targets]}
    forms["ClassifyRequest"]["properties"]["model"] = {"enum": ["judge", None]}
    forms["RefineRequest"]["properties"]["strategy"] = {"enum": [*STRATEGIES]}
    forms["StrategyOptions"]["properties"]["strategy"] = {"enum": [*STRATEGIES, None]}
    schema["paths"]["/v1/models/{name}"]["get"]["parameters"][0]["schema"] = {"enum": [*served.targets]}
    variant.apply(schema)
    return schema


@pytest.fixture(scope="module")
def served() -> Service:
    return service()


@pytest.fixture(scope="module")
def address(served: Service) -> Iterator[str]:
    with running_server(served) as base:
        yield base


def operation_of(address: str, schema: dict[str, Any], route: str) -> Any:
    config = schemathesis.config.SchemathesisConfig.from_dict({"checks": CHECKS, "seed": 1})
    config.projects.default.update(base_url=address)
    loaded = schemathesis.openapi.from_dict(schema, config=config)
    return {one.ok().label: one.ok() for one in loaded.get_all_operations()}[route]


def boundaries(operation: Any) -> Iterator[Any]:
    """Requests with the values at the ends of each field's range, and just beyond them."""
    modes, config = list(GenerationMode), operation.schema.config.generation
    return iter(operation.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=config))


def drawn(operation: Any, mode: Any) -> list[Any]:
    """Requests of chance, always the same ones."""
    cases: list[Any] = []

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(mode))
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases


def answers_to(cases: Iterable[Any]) -> Counter[tuple[int, str]]:
    """Statuses and types of content. Raises FailureGroup for what the schema does not say."""
    answers: Counter[tuple[int, str]] = Counter()
    with server_log() as lines:
        for case in cases:
            answer = case.call_and_validate()
            answers[answer.status_code, answer.headers["content-type"][0].partition(";")[0]] += 1
    assert not [line for line in lines if "Traceback" in line]
    return answers


@pytest.mark.parametrize("route", ROUTES)
def test_answers_are_those_of_the_schema(address: str, served: Service, route: str) -> None:
    for variant in VARIANTS.get(route, [UNCHANGED]):
        operation = operation_of(address, described(served, variant), route)
        cases = [*boundaries(operation), *drawn(operation, GenerationMode.POSITIVE)]
        if route.startswith("POST"):
            cases += drawn(operation, GenerationMode.NEGATIVE)
        answers = answers_to(cases)
        kinds = {kind for status, kind in answers if status == 200}
        assert kinds - {"text/event-stream"} == {KINDS.get(route, "application/json")}
        if route.startswith("POST"):
            assert answers[200, "application/json"] >= 10 and answers[400, "application/json"] >= 30, answers


@pytest.mark.parametrize("variant", [STREAMS, PLAIN_STREAMS], ids=["strategies", "plain"])
def test_streams_are_those_of_the_schema(address: str, served: Service, variant: Variant) -> None:
    operation = operation_of(address, described(served, variant), f"POST {CHAT}")
    answers = answers_to(drawn(operation, GenerationMode.POSITIVE))
    assert answers[200, "text/event-stream"] == sum(answers.values()) >= EXAMPLES / 2, answers


def without(form: str, name: str) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        del schema["components"]["schemas"][form]["properties"][name]
        required = schema["components"]["schemas"][form]["required"]
        required[:] = [one for one in required if one != name]

    return change


def other(form: str, name: str, **definition: Any) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        schema["components"]["schemas"][form]["properties"][name] = definition

    return change


def without_status(route: str, status: str) -> Callable[[dict[str, Any]], None]:
    def change(schema: dict[str, Any]) -> None:
        del schema["paths"][route]["post"]["responses"][status]

    return change


@pytest.mark.parametrize(
    ("route", "change", "failure"),
    [
        ("/v1/critique", without("CritiqueReply", "interval"), "Response violates schema"),
        ("/v1/refine", other("RoleUsage", "calls", type="string"), "Response violates schema"),
        (CHAT, other("Delta", "content", type="integer"), "SSE event violates schema"),
        (CHAT, without("Choice", "reasonrl"), "Response violates schema"),
        ("/v1/verify", without_status("/v1/verify", "400"), "Undocumented status code"),
        (
            "/v1/critique",
            other("CritiqueRequest", "seed", type="integer", maximum=5),
            "Schema-violating request accepted",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_schema_that_says_something_else_is_seen(
    address: str, served: Service, route: str, change: Callable[[dict[str, Any]], None], failure: str
) -> None:
    schema = described(served, VARIANTS.get(f"POST {route}", [UNCHANGED])[0])
    change(schema)
    operation = operation_of(address, schema, f"POST {route}")
    with pytest.raises(FailureGroup) as raised:
        for case in boundaries(operation):
            case.call_and_validate()
    assert [error.title for error in raised.value.exceptions] == [failure]
