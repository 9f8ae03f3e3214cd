"""`/v1/verify` of kind lean, on the real kernel."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from tests.serving.fake_voices import running_server
from tests.serving.scripts import fake_service
from tests.verifiers.lean.conftest import need_kernel
from verifiers.loading import load_verifier

STATEMENT = "theorem swap (p q : Prop) (h : And p q) : And q p := sorry"
PROOF = "```lean4\nAnd.intro h.right h.left\n```"


@pytest.mark.sandbox
def test_a_proof_counts_and_an_assumption_does_not() -> None:
    need_kernel()
    with (
        closing(load_verifier("lean", mode="lenient")) as verifier,  # type: ignore[type-var]
        running_server(fake_service(verifiers={"lean": verifier})) as base,
        httpx.Client(base_url=base, timeout=60) as client,
    ):
        asked = {"kind": "lean", "statement": STATEMENT, "header": ""}
        right = client.post("/v1/verify", json={**asked, "response": PROOF}).json()
        assumed = client.post("/v1/verify", json={**asked, "response": "```lean4\nsorry\n```"}).json()
        bad = client.post("/v1/verify", json={**asked, "statement": "theorem t : No := sorry", "response": PROOF})
        nothing = client.post("/v1/verify", json={"kind": "lean", "response": PROOF})
    assert (right["correct"], right["method"]) == (True, "kernel")
    assert (assumed["correct"], assumed["method"]) == (False, "axioms")
    assert (bad.status_code, bad.json()["correct"], bad.json()["status"]) == (200, None, "error")
    assert nothing.status_code == 400 and "`statement`" in nothing.text


def test_a_server_without_lean_says_how_to_get_it() -> None:
    with running_server(fake_service()) as base:
        refused = httpx.post(f"{base}/v1/verify", json={"kind": "lean", "response": PROOF, "statement": STATEMENT})
    assert refused.status_code == 400 and "--verify lean" in refused.text
