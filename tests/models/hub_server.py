"""A server in this process that speaks as much of the hub's protocol as loading a model needs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMITS = {"main": "1" * 40, "v2": "2" * 40}


@dataclass
class HubServer:
    """Repositories are folders: `repositories["org/name"]["main"]`."""

    repositories: dict[str, dict[str, Path]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    status: int | None = None
    """The answer to each request, where it is set: the hub is broken."""
    cut_off: str | None = None
    """The connection is closed in the middle of this file."""
    requests: list[str] = field(default_factory=list)
    address: str = ""


@contextlib.contextmanager
def hub_server() -> Iterator[HubServer]:
    hub = HubServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

        def _answer(self, *, with_body: bool) -> None:
            path = urlsplit(self.path).path
            hub.requests.append(f"{self.command} {self.path}")
            if hub.status is not None:
                return self._refuse(hub.status)
            api = path.startswith("/api/models/")
            parts = path.removeprefix("/api/models").strip("/").split("/")
            name = "/".join(parts[:2])
            if name not in hub.repositories:
                return self._refuse(404, "RepoNotFound")
            if name in hub.gated:
                return self._refuse(403, "GatedRepo")
            revision = parts[3] if len(parts) > 3 else "main"
            revision = next((branch for branch, commit in COMMITS.items() if revision == commit), revision)
            folder = hub.repositories[name].get(revision)
            if folder is None:
                return self._refuse(404, "RevisionNotFound")
            if api:
                return self._describe(name, parts[2] if len(parts) > 2 else "", revision, folder, with_body)
            self._file(folder / "/".join(parts[4:]), COMMITS[revision], with_body)

        def _describe(self, name: str, what: str, revision: str, folder: Path, with_body: bool) -> None:
            files = sorted(file for file in folder.iterdir() if file.is_file())
            tree = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _digest(file)} for file in files
            ]
            about = {"id": name, "sha": COMMITS[revision], "siblings": [{"rfilename": file.name} for file in files]}
            self._send(json.dumps(tree if what == "tree" else about).encode(), {}, with_body)

        def _file(self, file: Path, commit: str, with_body: bool) -> None:
            if not file.is_file():
                return self._refuse(404, "EntryNotFound", commit)
            headers = {"ETag": f'"{_digest(file)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
            self._send(file.read_bytes(), headers, with_body, cut_off=file.name == hub.cut_off)

        def _send(self, body: bytes, headers: dict[str, str], with_body: bool, *, cut_off: bool = False) -> None:
            self.send_response(200)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if with_body:
                self.wfile.write(body[: len(body) // 2] if cut_off else body)
                self.close_connection = cut_off or self.close_connection

        def _refuse(self, status: int, code: str | None = None, commit: str | None = None) -> None:
            self.send_response(status)
            for key, value in {"X-Error-Code": code, "X-Repo-Commit": commit, "Content-Length": "0"}.items():
                if value is not None:
                    self.send_header(key, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _digest(file: Path) -> str:
    return hashlib.sha1(file.read_bytes(), usedforsecurity=False).hexdigest()
