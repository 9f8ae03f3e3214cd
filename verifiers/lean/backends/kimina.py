"""The backend "kimina": a Kimina Lean Server, by POST /api/check, or the old POST /verify where there is no other.

A server answers what its REPL says of one text. So the text holds challenge, candidate and check, and the messages are
told apart by their lines (`one_text`); what the server itself calls valid is not read. The lexical layer weighs more
here: candidate and check share a process. Whoever can reach the server must be trusted with it.
"""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from verifiers.lean.backends.one_text import OneText, one_text, snippet_messages
from verifiers.lean.backends.probe import probe
from verifiers.lean.types import LeanLimits, LeanUnavailable, Part, PartEnd, Run, Script

NAME = "kimina"
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
"""Between attempts, where the server is busy or at fault. `Retry-After` is heeded up to `_LONGEST_PAUSE_S`."""
_LONGEST_PAUSE_S = 30.0
_GRACE_S = 30.0
_SHOWN = 200
_TIMED_OUT = "timed out"


class KiminaServer:
    """A `Backend`. Safe to use from several threads; `workers` requests are under way at one time, the others wait.

    Args:
        url: http://HOST:PORT
        workers: requests at one time; no more than the server has REPLs.
        key: the server's API key, if it asks for one.
        try_now: whether the server is tried at once. Else before the first proof: none is judged by an untried one.

    Raises:
        ValueError: the url is none.
        LeanUnavailable: the server does not answer, or does not judge two proofs of `True` as it should.
    """

    name = NAME
    layers: tuple[str, ...] = ()

    def __init__(
        self, url: str, *, workers: int = 1, key: str = "", imports: tuple[str, ...] = (), try_now: bool = True
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"url is {url!r}; write http://HOST:PORT")
        self._url = url.rstrip("/")
        self._key = key
        self._turns = threading.BoundedSemaphore(workers)
        self._is_old = False
        self._imports = tuple(imports)
        self._options = {"url": url, "workers": workers, "key": key, "imports": self._imports}
        self.version = "unknown"
        self._trying = threading.Lock()
        self._is_tried = False
        if try_now:
            self._try()

    def run(self, script: Script, limits: LeanLimits) -> Run:
        """See `Backend.run`."""
        try:
            self._try()
        except LeanUnavailable as error:
            return Run(Part(PartEnd.BROKEN, reason=str(error)))
        return self._run(script, limits)

    def _try(self) -> None:
        """Raises LeanUnavailable."""
        with self._trying:
            if not self._is_tried:
                self.version = probe(self._run, self.name, self._imports)
                self._is_tried = True

    def _run(self, script: Script, limits: LeanLimits) -> Run:
        text = one_text(script)
        head = "".join(f"import {name}\n" for name in script.imports)
        with self._turns:
            started = time.monotonic()
            try:
                answer = self._answer(head + text.text, limits)
            except _Failed as failed:
                return Run(Part(PartEnd.BROKEN, reason=f"the Lean server failed: {failed}"))
            return _run_of(answer, text, head.count("\n"), time.monotonic() - started)

    def options(self) -> Mapping[str, Any]:
        return self._options

    def close(self) -> None:
        """The server goes on."""

    def _answer(self, code: str, limits: LeanLimits) -> dict[str, Any]:
        """The result of one snippet. Raises _Failed after the last attempt."""
        timeout = max(1, round(limits.wall_s))
        for pause in (*PAUSES_S, None):
            identity = secrets.token_hex(8)
            try:
                if self._is_old:
                    body: dict[str, Any] = {"codes": [{"custom_id": identity, "proof": code}], "timeout": timeout}
                    return _result(self._post("/verify", body, limits.wall_s + _GRACE_S), "custom_id", identity)
                body = {"snippets": [{"id": identity, "code": code}], "timeout": timeout, "reuse": True}
                return _result(self._post("/api/check", body, limits.wall_s + _GRACE_S), "id", identity)
            except _Missing as missing:
                if self._is_old:
                    raise _Failed(str(missing)) from missing
                self._is_old = True
            except _Busy as busy:
                if pause is None:
                    raise _Failed(str(busy)) from busy
                time.sleep(min(busy.pause_s or pause, _LONGEST_PAUSE_S))
        raise _Failed("no attempt was left")

    def _post(self, path: str, body: dict[str, Any], timeout_s: float) -> Any:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        request = urllib.request.Request(f"{self._url}{path}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                words = f"HTTP {error.code}: {error.read(_SHOWN).decode('utf-8', 'replace')}"
            if error.code in (404, 405):
                raise _Missing(words) from error
            if error.code == 429 or error.code >= 500:
                raise _Busy(words, _seconds(error.headers.get("Retry-After"))) from error
            raise _Failed(words) from error
        except (OSError, http.client.HTTPException) as error:
            raise _Busy(f"no answer: {error}") from error
        except (ValueError, RecursionError) as error:
            raise _Busy("its answer is not JSON") from error


class _Failed(Exception):
    """The server did not judge the text."""


class _Missing(Exception):
    """It has no such path."""


class _Busy(Exception):
    """Another attempt may succeed."""

    def __init__(self, words: str, pause_s: float | None = None) -> None:
        super().__init__(words)
        self.pause_s = pause_s


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text else None
    except ValueError:
        return None


def _result(answer: Any, identity_field: str, identity: str) -> dict[str, Any]:
    results = answer.get("results") if isinstance(answer, dict) else None
    for result in results if isinstance(results, list) else []:
        if isinstance(result, dict) and result.get(identity_field) == identity:
            return result
    raise _Busy(f"its answer has no result for the text: {answer!r:.{_SHOWN}}")


def _run_of(result: dict[str, Any], text: OneText, head_lines: int, seconds: float) -> Run:
    error, response = result.get("error"), result.get("response")
    if error:
        end = PartEnd.STALLED if _TIMED_OUT in str(error) else PartEnd.BROKEN
        return Run(Part(end, reason=f"the Lean server: {error!s:.{_SHOWN}}"))
    if not isinstance(response, dict) or ("messages" not in response and "env" not in response):
        message = response.get("message") if isinstance(response, dict) else response
        return Run(Part(PartEnd.BROKEN, reason=f"the Lean server's answer has no messages: {message!r:.{_SHOWN}}"))
    messages = snippet_messages(response.get("messages") or [])
    shifted = [
        type(each)(each.severity, each.text, each.line - head_lines, each.column, each.kind) for each in messages
    ]
    return text.run_of(shifted, seconds)


__all__ = ["NAME", "KiminaServer", "LeanUnavailable"]
