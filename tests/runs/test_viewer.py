"""The viewer's server: what it answers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.reading import Run
from reasonrl.runs.viewer import make_server, serve
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


@contextmanager
def serving(path):
    """A running server on a free port."""
    server = make_server(path, port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def get_json(server, path):
    status, body, _ = get(server, path)
    assert status == 200, body
    return json.loads(body)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(fake_run(tmp_path_factory.mktemp("fake") / "run", steps=6, problems=5, samples=2)) as running:
        yield running


def test_page_and_headers(server):
    status, body, headers = get(server, "/")
    assert status == 200 and body.startswith(b"<!doctype html>")
    assert (
        "script-src 'sha256-" in headers["Content-Security-Policy"]
        and "default-src 'none'" in headers["Content-Security-Policy"]
    )
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert not any(name.lower().startswith("access-control") for name in headers)
    assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"") and b"https://" not in body
    assert b"innerHTML" not in body and b"insertAdjacentHTML" not in body and b"document.write" not in body


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


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/metrics.jsonl",
        "/recipe.yaml",
        "//etc/passwd",
        "/api/",
        "/assets/viewer.html",
    ],
)
def test_no_file_can_be_asked_for(server, path):
    status, body, _ = get(server, path)
    assert status == 404 and json.loads(body) == {"error": "no such page"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:7860",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "",
        "localhost@evil.example",
        "10.0.0.1",
    ],
)
def test_other_hosts_are_refused(server, host):
    for path in ("/", "/api/run", "/api/samples"):
        status, body, _ = get(server, path, Host=host)
        assert status == 403 and b"fake-quickstart" not in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]:80"])
def test_this_machine_is_served(server, host):
    assert get(server, "/api/run", Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_reading_only(server, method):
    assert get(server, "/api/run", method=method)[0] == 501


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


def test_port_in_use_names_the_option(server):
    port = server.server_address[1]
    with pytest.raises(UsageError, match=f"port {port} is in use.*--port"):
        make_server(server.run.path, port=port)


def test_wrong_addresses(server, tmp_path):
    with pytest.raises(UsageError, match="between 0 and 65535"):
        make_server(server.run.path, port=70000)
    with pytest.raises(UsageError, match="--host"):
        make_server(server.run.path, host="192.0.2.1", port=0)
    with pytest.raises(UsageError, match="not a run"):
        make_server(tmp_path)


def test_a_restart_takes_the_same_port(server):
    with serving(server.run.path) as first:
        port = first.server_address[1]
        get_json(first, "/api/run")
    make_server(server.run.path, port=port).server_close()


def test_serve_reports_its_address_and_stops_on_interrupt(server, monkeypatch):
    monkeypatch.setattr(
        "reasonrl.runs.viewer.ViewerServer.serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    ready: list[str] = []
    serve(server.run.path, port=0, on_ready=ready.append)
    assert ready[0].startswith("http://127.0.0.1:")


def test_a_reader_who_leaves_makes_no_noise(server, capfd):
    with socket.create_connection(server.server_address[:2]) as connection:
        connection.sendall(b"GET /api/samples?limit=200 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    get_json(server, "/api/run")
    assert capfd.readouterr().err == ""


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
