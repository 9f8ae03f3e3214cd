"""What a client is told of a wrong request: the field as it wrote it, and what to write there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from critics.strategies import STRATEGIES
from tests.serving.fake_voices import running_server
from tests.serving.scripts import fake_service

CHAT = "/v1/chat/completions"
ASK = {"model": "solver", "messages": [{"role": "user", "content": "2 + 3?"}]}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_server(fake_service(critic_temperature=0.7)) as base:
        yield base


def chat_with(content: Any) -> dict[str, Any]:
    return {**ASK, "messages": [*ASK["messages"], {"role": "user", "content": content}]}


TEXT_OR_LIST = "Input should be a valid string or a valid list"
NUMBER = "write a number instead of"


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        (chat_with(5), "messages.1.content", TEXT_OR_LIST),
        (chat_with(None), "messages.1.content", TEXT_OR_LIST),
        (chat_with("x" * 200_001), "messages.1.content", "String should have at most 200000 characters"),
        (chat_with([]), "", ""),
        (chat_with([{"type": "image_url"}]), "messages.1.content.0.type", "Input should be 'text'"),
        (chat_with([{"type": "text", "text": "x"}, {"type": "text"}]), "messages.1.content.1.text", "Field required"),
        (chat_with([{"type": "text", "text": 1}]), "messages.1.content.0.text", "Input should be a valid string"),
        ({"model": "solver"}, "messages", "Field required"),
        ({**ASK, "messages": [{"content": "x"}]}, "messages.0.role", "Field required"),
        ({**ASK, "stop": 1}, "stop", TEXT_OR_LIST),
        ({**ASK, "stop": ""}, "stop", "String should have at least 1 character"),
        ({**ASK, "stop": ["x", ""]}, "stop.1", "String should have at least 1 character"),
        ({**ASK, "seed": "7"}, "seed", f"{NUMBER} a text"),
        ({**ASK, "seed": True}, "seed", f"{NUMBER} true or false"),
        ({**ASK, "temperature": False}, "temperature", f"{NUMBER} true or false"),
        ({**ASK, "temperature": 2.5}, "temperature", "Input should be less than or equal to 2"),
        ({**ASK, "stream": "true"}, "stream", "Input should be a valid boolean"),
        (
            {**ASK, "max_tokens": 1.5},
            "max_tokens",
            "Input should be a valid integer, got a number with a fractional part",
        ),
        ({**ASK, "tools": [1]}, "tools", "this server does not call tools; leave them out"),
        ({**ASK, "response_format": {}}, "response_format", "this server writes plain text only; leave it out"),
        ({**ASK, "reasonrl": {"rounds": 0}}, "reasonrl.rounds", "Input should be greater than or equal to 1"),
        ({**ASK, "reasonrl": {"colour": 1}}, "reasonrl.colour", "Extra inputs are not permitted"),
    ],
    ids=lambda value: str(value)[-40:],
)
def test_a_mistake_is_named_as_the_client_wrote_it(address: str, body: Any, field: str, message: str) -> None:
    answer = httpx.post(address + CHAT, json=body)
    if not field:
        assert answer.status_code == 200
        return
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["message"]) == (field, f"{field}: {message}")


def test_what_is_wrong_with_several_fields_together_has_no_field(address: str) -> None:
    body = {"problem": "2 + 3?", "solution": "5", "steps": ["5"]}
    error = httpx.post(f"{address}/v1/critique", json=body).json()["error"]
    assert (error["param"], error["message"]) == (None, "write either `solution` or `steps`")


def test_whole_numbers_may_be_written_with_a_point(address: str) -> None:
    """JSON does not tell them apart, and some languages know no other numbers."""
    answers = [
        httpx.post(address + CHAT, json={**ASK, "seed": seed, "max_tokens": most, "temperature": temperature}).json()
        for seed, most, temperature in ((7, 3, 1.0), (7.0, 3.0, 1))
    ]
    assert answers[0]["choices"] == answers[1]["choices"] and answers[0]["usage"]["completion_tokens"] == 3


def test_models_say_which_options_their_strategies_take(address: str) -> None:
    rows = {row["id"]: row for row in httpx.get(f"{address}/v1/models").json()["data"]}
    assert rows["refine-solver"]["reasonrl"]["options"] == {"rounds": 3}
    assert rows["panel-solver"]["reasonrl"]["options"] == {"critiques": 3, "rounds": 2}
    assert "reasonrl" not in rows["solver"]
    assert len([row for row in rows.values() if "reasonrl" in row]) == len(STRATEGIES) - 1
    for name, row in rows.items():
        for option, default in row.get("reasonrl", {"options": {}})["options"].items():
            body = {**ASK, "model": name, "reasonrl": {option: default}}
            assert httpx.post(address + CHAT, json=body).status_code == 200, (name, option)


def test_options_of_a_strategy_are_refused_where_none_is_played() -> None:
    """A deadline or a budget that nothing keeps would be taken for one that is kept."""
    with running_server(fake_service()) as base:
        for option in ({"deadline_s": 1}, {"budget_tokens": 10}, {"samples": 2}, {"trace": True}):
            for model in ("solver", "judge", "boxed-judge"):
                answer = httpx.post(f"{base}/v1/chat/completions", json={**ASK, "model": model, "reasonrl": option})
                (name,) = option
                assert answer.status_code == 400 and answer.json()["error"]["param"] == f"reasonrl.{name}"
        body = {**ASK, "model": "solver", "reasonrl": {"progress": False}}
        assert httpx.post(f"{base}/v1/chat/completions", json=body).status_code == 200
        body = {**ASK, "model": "solver", "reasonrl": {"strategy": "majority", "samples": 2}}
        assert httpx.post(f"{base}/v1/chat/completions", json=body).status_code == 200
