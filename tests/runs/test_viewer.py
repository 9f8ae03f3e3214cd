"""The pages of a run: what the server answers."""

from __future__ import annotations

import json

import pytest

from reasonrl.runs.reading import Run
from reasonrl.runs.viewer_api import samples_data
from tests.runs.fake_run import (
    fake_header,
    fake_run,
    fake_sample,
    fake_tokenizer,
    fake_turns_sample,
    fake_verdict,
    write_rows,
)
from tests.runs.served_pages import get, get_json, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(fake_run(tmp_path_factory.mktemp("fake") / "run", steps=6, problems=5, samples=2)) as running:
        yield running


def test_run(server):
    data = get_json(server, "/api/run")
    assert data["name"] == "fake-quickstart" and "prompts_per_step" in data["recipe"] and data["samples"] == 78
    assert {"kind": "eval", "step": 6, "samples": 15} in data["steps"] and data["sets"] == ["held_out"]
    assert data["checkpoints"] == [{"step": 6, "complete": True}, {"step": 7, "complete": False}]


def test_metrics_and_unchanged(server):
    data = get_json(server, "/api/metrics")
    found = {metric["name"]: metric for metric in data["metrics"]}
    assert found["reward/mean"]["meaning"].startswith("Mean reward") and len(found["reward/mean"]["points"]) == 6
    assert [point[:2] for point in found["eval/held_out/greedy"]["points"]] == [["eval", 0], ["eval", 6]]
    assert get_json(server, f"/api/metrics?have={data['version']}") == {"version": data["version"], "unchanged": True}
    assert len(get_json(server, "/api/metrics?have=x")["metrics"]) == len(found)


def test_samples_are_grouped_newest_first(server):
    data = get_json(server, "/api/samples?limit=3")
    assert data["samples_total"] == 78 and len(data["groups"]) == 3 and data["groups"][0]["step"] == 6
    assert data["groups_total"] == 6 * 2 + 2 * 5 * 2
    pages = [get_json(server, f"/api/samples?limit=7&offset={offset}")["groups"] for offset in range(0, 35, 7)]
    names = [(group["kind"], group["step"], group["mode"], group["problem_id"]) for page in pages for group in page]
    assert len(names) == len(set(names)) == data["groups_total"]
    train = get_json(server, "/api/samples?kind=train&step=2")["groups"]
    assert [len(group["samples"]) for group in train] == [4, 4]
    assert set(train[0]["samples"][0]) >= {"response", "reward", "advantage", "verdicts", "outcome", "main_part"}


@pytest.mark.parametrize(
    ("correct", "outcomes"),
    [
        ("correct", {"correct"}),
        ("wrong", {"wrong", "unparsed"}),
        ("unparsed", {"unparsed"}),
        ("unjudged", {"timeout", "error", "none"}),
    ],
)
def test_outcome_filter(server, correct, outcomes):
    data = get_json(server, f"/api/samples?correct={correct}&limit=200")
    found = {sample["outcome"] for group in data["groups"] for sample in group["samples"]}
    assert found and found <= outcomes


def test_search(server):
    data = get_json(server, "/api/samples?q=I+THINK+that&limit=200")
    assert data["samples_total"] > 0
    assert all("I think that" in sample["response"] for group in data["groups"] for sample in group["samples"])
    assert get_json(server, "/api/samples?q=%22%3Cnothing")["groups"] == []


@pytest.mark.parametrize(
    "query",
    [
        "step=x",
        "step=-1",
        "limit=100000",
        "offset=1e3",
        "correct=maybe",
        "nonsense=1",
        "limit=%D9%A3",
        "step=" + "9" * 5000,
    ],
)
def test_bad_parameters_are_explained(server, query):
    status, body, _ = get(server, f"/api/samples?{query}")
    assert status == 400 and query.split("=")[0] in json.loads(body)["error"]


def test_numbers_that_json_lacks_become_null(tmp_path):
    fake_header(tmp_path)
    write_rows(tmp_path / "samples.jsonl", [fake_sample(reward=float("nan"), advantage=float("inf"))])
    write_rows(
        tmp_path / "metrics.jsonl", [{"kind": "train", "step": 1, "loss/total": float("nan"), "reward/mean": 1.0}]
    )
    with serving(tmp_path) as server:
        [group] = get_json(server, "/api/samples")["groups"]
        assert group["samples"][0]["reward"] is None and group["samples"][0]["advantage"] is None
        assert [metric["name"] for metric in get_json(server, "/api/metrics")["metrics"]] == ["reward/mean"]


def test_follows_a_running_trainer(tmp_path):
    fake_header(tmp_path)
    with serving(tmp_path) as server:
        assert get_json(server, "/api/run")["samples"] == 0
        before = get_json(server, "/api/metrics")
        assert before["metrics"] == []
        write_rows(tmp_path / "samples.jsonl", [fake_sample(step=1)])
        write_rows(tmp_path / "metrics.jsonl", [{"kind": "train", "step": 1, "reward/mean": 0.25}])
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"kind": "train", "st')
        assert get_json(server, "/api/run")["samples"] == 1
        assert get_json(server, f"/api/metrics?have={before['version']}")["metrics"][0]["points"] == [
            ["train", 1, 0.25]
        ]


def test_damaged_file_is_explained(tmp_path):
    fake_header(tmp_path)
    (tmp_path / "samples.jsonl").write_text("not json\n")
    with serving(tmp_path) as server:
        status, body, _ = get(server, "/api/samples")
        assert status == 400 and "row 1" in json.loads(body)["error"]


def test_outcome_order_within_a_problem(tmp_path):
    fake_header(tmp_path)
    write_rows(
        tmp_path / "samples.jsonl", [fake_sample(rollout=i, verdicts={"m": fake_verdict(i % 2 == 0)}) for i in range(4)]
    )
    data = samples_data(Run.open(tmp_path), {})
    assert [sample["rollout"] for sample in data["groups"][0]["samples"]] == [0, 1, 2, 3]
    assert [sample["outcome"] for sample in data["groups"][0]["samples"]] == ["correct", "wrong"] * 2


def test_turns_and_credit_of_single_tokens(tmp_path):
    fake_header(tmp_path)
    fake_tokenizer(tmp_path)
    write_rows(tmp_path / "samples.jsonl", [fake_sample(), fake_turns_sample(rollout=1)])
    with serving(tmp_path) as server:
        single, several = get_json(server, "/api/samples")["groups"][0]["samples"]
        assert single["turns"] == [] and not single["has_token_credit"]
        assert [turn["by_policy"] for turn in several["turns"]] == [True, False, True]
        assert several["turns"][2]["judged"] and several["other_judged_text"] is None
        parts = get_json(server, f"/api/tokens?row={several['row']}")["parts"]
        assert [part["turn"]["role"] for part in parts] == ["policy", "user", "policy"]
        assert {token["advantage"] for token in parts[1]["tokens"]} == {None}
        assert "".join(token["text"] for token in parts[1]["tokens"]) == "Too low."
        assert get_json(server, f"/api/tokens?row={single['row']}")["parts"] == []
        for row in ("x", "1", str(10**20)):
            status, body, _ = get(server, f"/api/tokens?row={row}")
            assert status == 400 and "row=" in json.loads(body)["error"]
