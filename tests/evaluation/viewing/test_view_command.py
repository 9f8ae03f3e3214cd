"""`reasonrl view` as a user calls it: which folders it takes, and what it says of the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.evaluation.viewing.pages import ResultsPages
from reasonrl.runs.viewer_api import RunPages
from tests.e2e.commands import reasonrl, reasonrl_in
from tests.evaluation.viewing.fake_results import fake_results
from tests.runs.fake_run import fake_run
from tests.test_benchmarks_command import copy_of_gsm8k
from tests.test_benchmarks_command import evaluate as evaluate_gsm8k


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pages that the command serves; it ends at once."""
    pages: list[Any] = []

    def serve_forever(server: Any) -> None:
        pages.append(server.pages)
        raise KeyboardInterrupt

    monkeypatch.setattr("reasonrl.runs.viewer.ViewerServer.serve_forever", serve_forever)
    return pages


def test_a_run_as_before(tmp_path: Path, served: list[Any]) -> None:
    run = fake_run(tmp_path / "run")
    result = reasonrl("view", run, "--port", "0", "--json")
    value = json.loads(result.out)
    assert result.code == 0 and value["run"] == str(run) and value["url"].startswith("http://127.0.0.1:")
    assert isinstance(served[0], RunPages)


def test_results(tmp_path: Path, served: list[Any]) -> None:
    a, b = (fake_results(tmp_path / name, {"gsm8k": 4}, finished=name == "a") for name in "ab")
    result = reasonrl("view", a, b, "--port", "0", "--json")
    assert json.loads(result.out)["results"] == [str(a), str(b)] and isinstance(served[0], ResultsPages)
    assert f"{a}, {b} are at http://127.0.0.1:" in reasonrl("view", a, b, "--port", "0").out
    assert f"{a} is at http://127.0.0.1:" in reasonrl("view", a, "--port", "0").out


def test_what_cannot_be_shown_is_one_message(tmp_path: Path, served: list[Any]) -> None:
    run, other = fake_run(tmp_path / "runs" / "one"), fake_run(tmp_path / "runs" / "two")
    a = fake_results(tmp_path / "results" / "a", {"gsm8k": 4})
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for folders in ((run, other), (run, a), (a, run)):
        refused = reasonrl("view", *folders).refusal()
        assert "is a training run" in refused
        assert refused.endswith(f"write: reasonrl compare {folders[0]} {folders[1]}")
    both = "is neither a run, which holds recipe.yaml, nor a folder of `reasonrl eval --output`"
    assert both in reasonrl("view", tmp_path / "empty").refusal()
    assert both in reasonrl("view", a, tmp_path / "empty").refusal()
    assert f"Did you mean {a}?" in reasonrl("view", tmp_path / "results").refusal()
    assert f"Did you mean {run} or {other}?" in reasonrl("view", tmp_path / "runs").refusal()
    assert "no such folder" in reasonrl("view", tmp_path / "nowhere").refusal()
    assert "no such folder" in reasonrl("view", a, tmp_path / "nowhere").refusal()
    assert "is a file" in reasonrl("view", tmp_path / "file").refusal()
    assert "it is a file" in reasonrl("view", a, tmp_path / "file").refusal()
    assert "up to 8 folders" in reasonrl("view", *[a] * 9).refusal()
    assert served == []


@pytest.mark.parametrize("content", ["{", "[]", "", "\x00"])
@pytest.mark.parametrize("name", ["results.json", "settings.json", "samples.jsonl"])
def test_a_damaged_file_is_named(tmp_path: Path, served: list[Any], name: str, content: str) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 4}, finished=name == "results.json")
    with (folder / name).open("w") as file:
        file.write(content + "\n" if content else "")
    result = reasonrl("view", folder, "--port", "0")
    if (name, content) == ("samples.jsonl", ""):
        assert result.code == 0, "nothing is drawn yet"
    else:
        assert name in result.refusal()


def test_facts_of_another_form(tmp_path: Path, served: list[Any]) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 4})
    (folder / "results.json").write_text('{"benchmarks": [1], "results": "x", "model": {"a": 1}, "contamination": 3}')
    assert reasonrl("view", folder, folder, "--port", "0").code == 0
    data = served[0].routes["/api/results"]({})
    assert data["folders"][0]["model"] is None and data["sets"][0]["figures"][0]["answers"] == 4
    (folder / "results.json").write_text('{"benchmarks": {"gsm8k": 7}, "results": {"gsm8k": []}}')
    assert served[0].routes["/api/results"]({})["sets"][0]["differences"][0]["wins"] == 0


def test_results_of_a_real_evaluation(tmp_path: Path, served: list[Any]) -> None:
    """Fakes have the shape of what `reasonrl eval` writes, and the page its numbers."""
    copy_of_gsm8k(tmp_path, 6)
    for seed in ("1", "2"):
        assert evaluate_gsm8k(tmp_path, "--output", f"out{seed}", "--seed", seed).code == 0
    assert reasonrl_in(tmp_path, "view", "out1", "out2", "--port", "0").code == 0
    real, fake = tmp_path / "out1", fake_results(tmp_path / "fake", {"gsm8k": 6}, n=2)
    for name in ("results.json", "settings.json"):
        of_real, of_fake = (json.loads((folder / name).read_text()) for folder in (real, fake))
        assert set(of_real) == set(of_fake)
        assert set(of_fake["benchmarks"]["gsm8k"]) <= set(of_real["benchmarks"]["gsm8k"])
    rows = [json.loads((folder / "samples.jsonl").read_text().splitlines()[0]) for folder in (real, fake)]
    assert set(rows[0]) <= set(rows[1])
    pages = ResultsPages([real, tmp_path / "out2"])
    results, answers = pages.routes["/api/results"]({}), pages.routes["/api/answers"]({"disagree": ""})
    written = json.loads((real / "results.json").read_text())["results"]["gsm8k"]
    assert results["sets"][0]["figures"][0]["accuracy"] == written["accuracy"]
    assert results["sets"][0]["differences"][0]["n"] == 6
    assert answers["groups_total"] == 6 and answers["answers_total"] == 24
    differing = {line["name"] for section in results["facts"] for line in section["lines"] if line["differs"]}
    assert differing == {"seed"}
