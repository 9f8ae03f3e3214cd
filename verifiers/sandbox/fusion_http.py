"""One request to a server of SandboxFusion: POST /run_code, with a few attempts where the server is at fault."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

PAUSES_S = (0.5, 2.0)
"""Between attempts."""
_RUNS = ("Finished", "TimeLimitExceeded")
_SHOWN = 200


class ServerFailed(Exception):
    """The server did not run the program, or did not say what came of it."""


class AnswerTooLarge(Exception):
    """The program wrote more than the reader takes."""


class _Busy(ServerFailed):
    """Another attempt may succeed."""


def run_code(address: str, payload: dict[str, Any], *, timeout_s: float, most_bytes: int) -> dict[str, Any]:
    """What the server says of the run: status (Finished or TimeLimitExceeded), return_code, stdout and stderr.

    Raises ServerFailed after the last attempt; AnswerTooLarge.
    """
    for pause_s in PAUSES_S:
        try:
            return _run_once(address, payload, timeout_s, most_bytes)
        except _Busy:
            time.sleep(pause_s)
    return _run_once(address, payload, timeout_s, most_bytes)


def _run_once(address: str, payload: dict[str, Any], timeout_s: float, most_bytes: int) -> dict[str, Any]:
    try:
        body = json.dumps(payload).encode()
        request = urllib.request.Request(f"{address}/run_code", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            text = answer.read(most_bytes + 1)
    except urllib.error.HTTPError as error:
        with error:
            words = error.read(_SHOWN).decode("utf-8", "replace")
        kind = _Busy if error.code >= 500 or error.code == 429 else ServerFailed
        raise kind(f"HTTP {error.code} {error.reason}: {words}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Busy(f"no answer: {error}") from error
    if len(text) > most_bytes:
        raise AnswerTooLarge(f"more than {most_bytes} bytes of answer")
    return _result_of(text)


def _result_of(text: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise _Busy(f"its answer is not JSON: {text[:_SHOWN].decode('utf-8', 'replace')}") from None
    status = answer.get("status") if isinstance(answer, dict) else None
    if status == "SandboxError":
        raise _Busy(f"SandboxError: {answer.get('message')}")
    result = answer.get("run_result") if status in ("Success", "Failed") else None
    if not isinstance(result, dict) or result.get("status") not in _RUNS:
        raise _Busy(f"its answer has no run_result: {text[:_SHOWN].decode('utf-8', 'replace')}")
    code = result.get("return_code")
    return {
        "status": result["status"],
        "return_code": code if isinstance(code, int) else 0,
        "stdout": str(result.get("stdout") or ""),
        "stderr": str(result.get("stderr") or ""),
    }
