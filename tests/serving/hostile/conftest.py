"""A server under malformed and hostile requests: whatever comes, none leaves a traceback, and honest requests are
answered afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from verifiers.loading import load_verifier

if TYPE_CHECKING:  # the test files are skipped without the extra `serve`; a conftest cannot be
    from reasonrl.serving.admission import Admission

CHAT = "/v1/chat/completions"
ROUTES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "solver", "messages": [{"role": "user", "content": "2 + 3?"}], "seed": 1},
    "/v1/critique": {"problem": "2 + 3?", "solution": "It is 5.", "seed": 1},
    "/v1/refine": {"problem": "2 + 3?", "strategy": "refine", "seed": 1},
    "/v1/verify": {"kind": "math", "response": "It is 5.", "answer": "5"},
    "/classify": {"messages": [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "It is 5."}]},
}
ROUTES["/v1/embeddings"] = ROUTES["/classify"]
JSON = {"content-type": "application/json"}
HOUSE = str(Path(__file__).parents[3])
"""The folder of this checkout, which no answer may name."""
BODY_BYTES = 50_000


@pytest.fixture(scope="module")
def admission() -> Admission:
    from reasonrl.serving.admission import Admission

    return Admission(most=64, most_of_one=64)


@pytest.fixture(scope="module")
def address(admission: Admission) -> Iterator[str]:
    from reasonrl.serving.guard import Limits
    from tests.serving.fake_voices import running_server
    from tests.serving.scripts import fake_service

    service = fake_service(verifiers={"math": load_verifier("math", mode="lenient")})
    with running_server(service, admission=admission, limits=Limits(body_bytes=BODY_BYTES, body_s=0.5)) as base:
        yield base


@pytest.fixture(scope="module")
def impatient_address() -> Iterator[str]:
    """A server that soon ends connections that say nothing, for tests that wait for the end."""
    from reasonrl.serving.guard import Limits
    from tests.serving.fake_voices import running_server
    from tests.serving.scripts import fake_service

    limits = Limits(body_bytes=BODY_BYTES, body_s=0.5)
    with running_server(fake_service(), limits=limits, keep_alive_s=1) as base:
        yield base


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=20) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_breaks(client: httpx.Client, admission: Admission) -> Iterator[None]:
    """After each test: nothing like a crash in the log, no place taken, and every route answers an honest request."""
    from tests.serving.scripts import server_log, until

    with server_log() as lines:
        yield
        for path, body in ROUTES.items():
            assert client.post(path, json=body).status_code == 200, path
        until(lambda: admission.under_way == 0)
    wrong = [line for line in lines if "Traceback" in line or "Exception" in line or "Error" in line]
    assert not wrong, wrong[0]
