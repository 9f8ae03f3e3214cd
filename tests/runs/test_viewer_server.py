"""The viewer's server, whatever it serves: what it refuses, and how it starts and ends."""

from __future__ import annotations

import json
import re
import socket

import pytest

from reasonrl.errors import UsageError
from reasonrl.evaluation.viewing.pages import ResultsPages
from reasonrl.runs.viewer import make_server, serve
from reasonrl.runs.viewer_api import RunPages
from tests.evaluation.viewing.fake_results import fake_results
from tests.runs.fake_run import fake_run
from tests.runs.served_pages import get, get_json, serving

FIRST = {"run": "/api/run", "results": "/api/results"}
SAMPLES = {"run": "/api/samples", "results": "/api/answers"}


@pytest.fixture(scope="module", params=["run", "results"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def pages(kind, tmp_path_factory):
    folder = tmp_path_factory.mktemp("secret-folder")
    if kind == "run":
        return RunPages(fake_run(folder / "run", steps=6, problems=5, samples=2))
    return ResultsPages([fake_results(folder / name, {"gsm8k": 20}, model="fake-quickstart") for name in "ab"])


@pytest.fixture(scope="module")
def server(pages):
    with serving(pages) as running:
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
    assert not re.search(rb"/\* viewer\.(css|js) \*/", body), "the shared parts stand in the page"
    assert headers["Content-Security-Policy"].count("sha256-") == len(re.findall(rb"<script>", body)) == 2
    assert b"innerHTML" not in body and b"insertAdjacentHTML" not in body and b"document.write" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/metrics.jsonl",
        "/recipe.yaml",
        "//etc/passwd",
        "/api/",
        "/samples.jsonl",
        "/results.json",
        "/assets/viewer.html",
        "/assets/viewer.css",
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
def test_other_hosts_are_refused(server, kind, host):
    for path in ("/", FIRST[kind], SAMPLES[kind]):
        status, body, _ = get(server, path, Host=host)
        assert status == 403 and b"fake-quickstart" not in body and b"secret-folder" not in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]:80"])
def test_this_machine_is_served(server, kind, host):
    assert get(server, FIRST[kind], Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_reading_only(server, kind, method):
    assert get(server, FIRST[kind], method=method)[0] == 501


def test_port_in_use_names_the_option(server, pages):
    port = server.server_address[1]
    with pytest.raises(UsageError, match=f"port {port} is in use.*--port"):
        make_server(pages, port=port)


def test_wrong_addresses(pages, tmp_path):
    with pytest.raises(UsageError, match="between 0 and 65535"):
        make_server(pages, port=70000)
    with pytest.raises(UsageError, match="--host"):
        make_server(pages, host="192.0.2.1", port=0)
    with pytest.raises(UsageError, match="not a run"):
        RunPages(tmp_path)


def test_a_restart_takes_the_same_port(pages, kind):
    with serving(pages) as first:
        port = first.server_address[1]
        get_json(first, FIRST[kind])
    make_server(pages, port=port).server_close()


def test_serve_reports_its_address_and_stops_on_interrupt(pages, monkeypatch):
    monkeypatch.setattr(
        "reasonrl.runs.viewer.ViewerServer.serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    ready: list[str] = []
    serve(pages, port=0, on_ready=ready.append)
    assert ready[0].startswith("http://127.0.0.1:")


def test_a_reader_who_leaves_makes_no_noise(server, kind, capfd):
    with socket.create_connection(server.server_address[:2]) as connection:
        connection.sendall(f"GET {SAMPLES[kind]}?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    get_json(server, FIRST[kind])
    assert capfd.readouterr().err == ""


def test_a_folder_that_is_gone_is_an_answer_and_no_traceback(tmp_path, kind, capfd):
    folder = tmp_path / "gone"
    pages = RunPages(fake_run(folder)) if kind == "run" else ResultsPages([fake_results(folder, {"gsm8k": 4})])
    with serving(pages) as server:
        pages.routes[SAMPLES[kind]]({})
        index = pages.run.samples if kind == "run" else pages.folders[0].index
        keys = index.scan()
        index.path.unlink()
        index.scan = lambda: keys  # it was there a moment ago
        status, body, _ = get(server, SAMPLES[kind])
        assert status == 500 and "samples.jsonl" in json.loads(body)["error"]
    assert capfd.readouterr().err == ""
