"""What docs/serving.md says of routes and strategies is what there is, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from critics.strategies import STRATEGIES
from reasonrl.serving.service import Service
from tests.serving.fake_voices import FakeVoice, fake_cast, running_server
from tests.serving.test_play import ACCEPTS
from verifiers.loading import load_verifier

PAGE = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def service() -> Service:
    actor = FakeVoice("actor", lambda chat, seed: "It is \\boxed{391}.")
    critic = FakeVoice("critic", lambda chat, seed: ACCEPTS)
    return Service(fake_cast(actor, critic), {"math": load_verifier("math")})


def test_the_strategies_of_the_page() -> None:
    section = PAGE.split("## Strategies")[1].split("\n\n")[1]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.M)) == set(STRATEGIES) - {"single"}


def test_the_routes_of_the_page() -> None:
    pytest.importorskip("fastapi")
    from reasonrl.serving.admission import Admission
    from reasonrl.serving.app import create_app
    from reasonrl.serving.metrics import ServerMetrics

    app = create_app(service(), Admission(), ServerMetrics())
    routes = {f"{method.upper()} {path}" for path, ways in app.openapi()["paths"].items() for method in ways}
    on_page = set(re.findall(r"`((?:GET|POST) /[\w/]+)`", PAGE))
    assert routes - {"GET /", "GET /v1/models/{name}"} == on_page


def run_example(section: str) -> None:
    """The one block of Python in a part of the page, against a server."""
    (example,) = re.findall(r"^```python\n(.*?)^```", section, re.M | re.S)
    with running_server(service()) as url:
        exec(example.replace("http://127.0.0.1:8000", url), {})


def test_the_reward_for_trl(capsys: pytest.CaptureFixture[str]) -> None:
    run_example(PAGE.partition("## A reward for TRL")[2])
    assert capsys.readouterr().out == "[1.0]\n"


def test_what_the_page_says_of_rewards() -> None:
    from critics.adapters import ServedCritic
    from reasonrl.serving.rewards import TEMPERATURE_AGAIN, TRIES
    from reasonrl.serving.run import ANSWER_S, GRACE_S, MOST_CONNECTIONS

    for text in (
        f"`--grace`\n({GRACE_S} s) answers {ANSWER_S:g} s before its end",
        f"{TRIES} times in all",
        f"at temperature {TEMPERATURE_AGAIN:g}",
        f"{MOST_CONNECTIONS:,}\nconnections",
    ):
        assert text in PAGE
    critic = ServedCritic("http://127.0.0.1:8000")
    assert f"concurrency={critic.concurrency}" in PAGE and f"patience_s={critic.patience_s:g}" in PAGE


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai")
    run_example(PAGE.split("## Routes")[0])
    printed = capsys.readouterr().out
    assert printed.startswith("It is \\boxed{391}. accepted CompletionUsage(completion_tokens=")
