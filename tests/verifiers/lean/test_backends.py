"""The backends for a full Lean, against tools and a server that speak their protocols and answer with the real kernel.

No Lean with Mathlib runs here. Where `lean` and `lake` are on PATH, the last test judges with them.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.verifiers.lean.attacks import FALSE, HONEST, OWN, TABLE
from tests.verifiers.lean.conftest import need_kernel
from tests.verifiers.lean.fake_kimina import FakeKimina, fake_kimina
from tests.verifiers.lean.fake_tools import FakeTools, make_tools
from verifiers.lean.backends import kimina
from verifiers.lean.backends.bundled import BundledKernel
from verifiers.lean.backends.one_text import closers, one_text, snippet_messages
from verifiers.lean.backends.repl import _Worker
from verifiers.lean.types import LeanLimits, Script
from verifiers.lean.verifier import LeanVerifier
from verifiers.sandbox.choice import problem_of
from verifiers.sandbox.types import SandboxUnavailable
from verifiers.types import Status

pytestmark = pytest.mark.sandbox
HONEST_HERE = tuple(honest for honest in HONEST if "import" not in honest.text + honest.header)
"""The fakes know one module."""
ATTACKS_HERE = tuple(attack for attack in (*TABLE, *OWN) if not attack.methods or set(attack.methods) - {"lexical"})
GOAL = {"statement": "theorem goal : Eq (Nat.add 1 1) 2 := sorry"}


@pytest.fixture(scope="module")
def bundled() -> Iterator[BundledKernel]:
    need_kernel()
    opened = BundledKernel(workers=2)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def server(bundled: BundledKernel) -> Iterator[FakeKimina]:
    with fake_kimina(bundled) as state:
        yield state


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> FakeTools:
    need_kernel()
    if problem := problem_of("bubblewrap"):
        pytest.skip(f"these backends need bubblewrap: {problem}")
    return make_tools(tmp_path_factory.mktemp("lean"), "bubblewrap")


@pytest.fixture
def on_path(tools: FakeTools, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    monkeypatch.setenv("PATH", f"{tools.bin}:/usr/bin:/bin")
    return tools


def check_all(verifier: LeanVerifier, step: int = 1) -> None:
    honest, attacks = HONEST_HERE[::step], ATTACKS_HERE[::step]
    cases = [*honest, *attacks]
    references = [{"statement": case.statement, "header": case.header} for case in cases]
    verdicts = verifier.verify_answers([case.text for case in cases], references)
    wrong = [
        (case.name, verdict.status, verdict.method, verdict.reason)
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict.correct is not (case in honest)
    ]
    assert not wrong, wrong


def test_kimina_judges_attacks_and_honest_proofs(server: FakeKimina) -> None:
    verifier = LeanVerifier(url=server.address, workers=2, backend_options={"key": "secret"})
    assert verifier.backend == "kimina"
    check_all(verifier)
    path, body, authorization = server.requests[-1]
    assert path == "/api/check" and authorization == "Bearer secret"
    assert body["timeout"] == 180 and body["snippets"][0]["code"].count("section Scope_") == 2
    assert server.most_at_once <= 2
    verdict = verifier.verify_answers(["rfl"], [GOAL])[0]
    assert verdict.details["layers"] == ["lexical", "challenge", "type", "axioms"]


def test_kimina_falls_back_on_the_old_path(bundled: BundledKernel) -> None:
    with fake_kimina(bundled) as old:
        old.is_old = True
        verifier = LeanVerifier(url=old.address)
        verdicts = verifier.verify_answers(["rfl", "sorry"], [GOAL, GOAL])
        assert [verdict.correct for verdict in verdicts] == [True, False]
        assert old.requests[0][0] == "/api/check" and {path for path, _, _ in old.requests[1:]} == {"/verify"}


def test_kimina_waits_and_tries_again(server: FakeKimina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kimina, "PAUSES_S", (0.01, 0.01, 0.01))
    verifier = LeanVerifier(url=server.address)
    server.answers += [(429, b"busy", {"Retry-After": "0.02"}), (500, b"no REPL", {}), (200, b"{", {})]
    assert verifier.verify_answers(["rfl"], [GOAL])[0].correct is True
    assert not server.answers


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        ((403, b"no key", {}), Status.ERROR, "HTTP 403"),
        ((200, {"results": []}, {}), Status.ERROR, "no result for the text"),
        ((200, [], {}), Status.ERROR, "no result for the text"),
    ],
)
def test_a_server_that_fails_is_no_verdict(
    server: FakeKimina, monkeypatch: pytest.MonkeyPatch, answer: tuple, status: Status, words: str
) -> None:
    monkeypatch.setattr(kimina, "PAUSES_S", (0.01,))
    verifier = LeanVerifier(url=server.address)
    server.answers += [answer, answer]
    verdict = verifier.verify_answers(["rfl"], [GOAL])[0]
    server.answers.clear()
    assert (verdict.status, verdict.correct) == (status, None) and words in verdict.reason


@pytest.mark.parametrize(
    ("result", "status", "words"),
    [
        ({"error": "Lean REPL command timed out in 1 seconds"}, Status.TIMEOUT, "timed out"),
        ({"error": "Lean REPL header command timed out in 1 seconds"}, Status.TIMEOUT, "timed out"),
        ({"error": "the REPL died"}, Status.ERROR, "the REPL died"),
        ({"response": {"message": "unknown environment"}}, Status.ERROR, "unknown environment"),
        ({"response": {}}, Status.ERROR, "no messages"),
        ({}, Status.ERROR, "no messages"),
    ],
)
def test_a_result_without_messages_is_no_verdict(
    server: FakeKimina, monkeypatch: pytest.MonkeyPatch, result: dict, status: Status, words: str
) -> None:
    verifier = LeanVerifier(url=server.address)
    original = kimina._result
    monkeypatch.setattr(kimina, "_result", lambda *given: {"id": original(*given)["id"], "time": 1.0, **result})
    verdict = verifier.verify_answers(["rfl"], [GOAL])[0]
    assert (verdict.status, verdict.correct) == (status, None) and words in verdict.reason, verdict


def test_a_server_that_says_nothing_is_refused(server: FakeKimina, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeKimina, "judge", lambda self, code: {"env": 0, "messages": []})
    with pytest.raises(SandboxUnavailable, match="does not judge as it should"):
        LeanVerifier(url=server.address)


def test_a_project_judges_attacks_and_honest_proofs(on_path: FakeTools) -> None:
    verifier = LeanVerifier(project=str(on_path.project), workers=2)
    assert (verifier.backend, verifier.lean_version) == ("project", "4.35.0")
    check_all(verifier, 5)
    greedy = "def sq : Nat → Nat\n | .zero => 3\n | .succ n => Nat.mul (sq n) (sq n)\nset_option maxHeartbeats 0\n"
    limited = LeanVerifier(project=str(on_path.project), limits={"cpu_s": 1, "memory_mb": 4096, "wall_factor": 20})
    verdict = limited.verify_answers([f"{greedy}theorem x : Eq (sq 45) 5 := rfl\n{FALSE}"], [{"statement": FALSE}])[0]
    assert verdict.correct is False and verdict.method in ("cpu_time", "memory"), verdict
    flooded = LeanVerifier(project=str(on_path.project), limits={"output_bytes": 50_000})
    verdict = flooded.verify_answers(["a" * 100_000], [GOAL])[0]
    assert (verdict.correct, verdict.method) == (False, "output"), verdict
    short = LeanVerifier(project=str(on_path.project), limits={"cpu_s": 0.01, "wall_factor": 1})
    assert short.verify_answers(["rfl"], [GOAL])[0].status in (Status.TIMEOUT, Status.ERROR)


def test_a_repl_judges_attacks_and_honest_proofs(on_path: FakeTools) -> None:
    verifier = LeanVerifier(backend="repl", project=str(on_path.project), workers=2, backend_options={"uses": 9})
    try:
        check_all(verifier, 5)
    finally:
        verifier.close()


def test_a_repl_keeps_the_header_and_starts_every_proof_from_it(on_path: FakeTools) -> None:
    verifier = LeanVerifier(backend="repl", project=str(on_path.project), cache_size=0)
    reference = GOAL | {"header": "import Mathlib"}
    backend = verifier._backend
    try:
        first = "theorem helper : True := trivial\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl"
        assert verifier.verify_answers([first], [reference])[0].correct is True
        (worker,) = backend._idle  # type: ignore[attr-defined]
        assert worker.env == 0 and len(backend._pickles) == 1  # type: ignore[attr-defined]
        second = "theorem goal : Eq (Nat.add 1 1) 2 := (fun _ => rfl) helper"
        assert verifier.verify_answers([second], [reference])[0].correct is False
        assert backend._idle == [worker]  # type: ignore[attr-defined]
        missing = verifier.verify_answers(["rfl"], [GOAL | {"header": "import Missing"}])[0]
        assert missing.status is Status.ERROR and "cannot be imported" in missing.reason
    finally:
        verifier.close()


def test_a_slow_header_is_elaborated_once_for_all_proofs_and_processes(
    on_path: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake takes 3 s for it. Two processes judge 16 proofs and are replaced after four."""
    orders: list[dict[str, Any]] = []
    ask = _Worker.ask

    def noted(worker: _Worker, order: dict[str, Any], limits: LeanLimits) -> dict[str, Any]:
        orders.append(order)
        return ask(worker, order, limits)

    monkeypatch.setattr(_Worker, "ask", noted)
    options = {"uses": 4}
    verifier = LeanVerifier(backend="repl", project=str(on_path.project), workers=2, backend_options=options)
    proofs = [f"theorem helper{n} : True := trivial\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl" for n in range(16)]
    try:
        started = time.monotonic()
        verdicts = verifier.verify_answers(proofs, [GOAL | {"header": "import Slow"}] * len(proofs))
        seconds = time.monotonic() - started
    finally:
        verifier.close()
    assert all(verdict.correct for verdict in verdicts)
    assert sum(order.get("cmd") == "import Slow\n" for order in orders) == 1
    assert 4 <= sum("unpickleEnvFrom" in order for order in orders) <= 6
    assert sum("cmd" in order for order in orders) == len(proofs) + 1
    assert seconds < 3 * len(proofs) / 2, "as long as a header for each proof takes"


def test_a_repl_that_hangs_dies_or_floods_is_replaced(on_path: FakeTools) -> None:
    limits = {"cpu_s": 20, "wall_factor": 0.1, "output_bytes": 100_000}
    verifier = LeanVerifier(backend="repl", project=str(on_path.project), limits=limits)
    try:
        cases = {"hang_for_ever": "backend", "die_now": "crashed", "flood_it": "output"}
        for word, method in cases.items():
            verdict = verifier.verify_answers([f"-- {word}\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl"], [GOAL])[0]
            assert verdict.method == method, verdict
            assert verdict.status is (Status.TIMEOUT if word == "hang_for_ever" else Status.JUDGED)
        noisy = verifier.verify_answers(["-- noise_first\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl"], [GOAL])[0]
        assert noisy.correct is True, noisy
    finally:
        verifier.close()


def test_parts_of_one_text_are_told_apart_by_their_lines() -> None:
    script = Script(
        (), "", "theorem c : p := sorry", "namespace A\nopen B\nsection\ntheorem g : p := x", "check\n", "S"
    )
    text = one_text(script)
    assert closers(script.candidate) == ["end", "end A"]
    assert text.text.split("\n")[text.candidate_line - 2] == "section S_1"
    values = [
        {"severity": "warning", "pos": {"line": 2, "column": 8}, "data": "declaration uses `sorry`"},
        {"severity": "error", "pos": {"line": text.candidate_line + 3, "column": 1}, "data": "bad"},
    ]
    run = text.run_of(snippet_messages(values), 1.0)
    assert run.challenge.is_sound and run.candidate is not None and run.candidate.errors[0].line == 4
    assert run.check is not None and "not reached" in run.check.errors[0].text
    assert snippet_messages([{"data": "x"}])[0].is_error


@pytest.mark.skipif(
    not (shutil.which("lean") and shutil.which("lake")), reason="needs a Lean toolchain: `lean` and `lake` on PATH"
)
def test_a_real_toolchain_judges(tmp_path: Path) -> None:
    """Only what `Init` has: no Mathlib is needed."""
    subprocess.run(["lake", "init", "smoke", "lib"], cwd=tmp_path, check=True, timeout=240)
    verifier = LeanVerifier(project=str(tmp_path))
    reference = {"statement": "theorem goal (a b : Nat) : a + b = b + a := by sorry"}
    answers = ["omega", "simp [Nat.add_comm]", "sorry", "rfl", "exact (by native_decide : False).elim"]
    started = time.monotonic()
    verdicts = verifier.verify_answers(answers, [reference] * len(answers))
    assert [verdict.correct for verdict in verdicts] == [True, True, False, False, False], verdicts
    assert time.monotonic() - started < 240
