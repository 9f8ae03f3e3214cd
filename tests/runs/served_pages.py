"""A viewer that runs for a test, and requests to it."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from pathlib import Path

from reasonrl.runs.viewer import make_server
from reasonrl.runs.viewer_api import RunPages


@contextmanager
def serving(pages):
    """A running server on a free port. A folder is that of a run."""
    server = make_server(RunPages(pages) if isinstance(pages, Path) else pages, port=0)
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
