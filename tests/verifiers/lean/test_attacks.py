"""Every attack is rejected and every honest proof accepted, on the real kernel."""

from __future__ import annotations

import pytest

from tests.verifiers.lean.attacks import FALSE, HONEST, OWN, TABLE, Attack, Honest
from tests.verifiers.lean.conftest import need_kernel
from verifiers.lean.backends.bundled import BundledKernel
from verifiers.lean.judgement import judge_run
from verifiers.lean.statement import challenge_text, check_text, read_statement
from verifiers.lean.types import Judged, LeanLimits, Script
from verifiers.lean.verifier import LeanVerifier
from verifiers.types import Status, Verdict

pytestmark = pytest.mark.sandbox
ATTACKS = (*TABLE, *OWN)


def judged(verifier: LeanVerifier, cases: tuple[Attack | Honest, ...]) -> dict[str, Verdict]:
    references = [{"statement": case.statement, "header": case.header} for case in cases]
    verdicts = verifier.verify_answers([case.text for case in cases], references)
    return dict(zip([case.name for case in cases], verdicts, strict=True))


@pytest.fixture(scope="module")
def verdicts(kernel: LeanVerifier) -> dict[str, Verdict]:
    return judged(kernel, (*ATTACKS, *HONEST))


def test_there_are_twenty_attacks_beside_the_table() -> None:
    assert len(OWN) >= 20
    assert len({case.name for case in (*ATTACKS, *HONEST)}) == len(ATTACKS) + len(HONEST)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_judged_wrong(verdicts: dict[str, Verdict], attack: Attack) -> None:
    verdict = verdicts[attack.name]
    assert verdict.correct is False and verdict.score == 0.0, verdict
    assert verdict.status in (Status.JUDGED, Status.UNPARSED)
    assert verdict.method in (attack.methods or (verdict.method,)), verdict


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: honest.name)
def test_an_honest_proof_is_accepted(verdicts: dict[str, Verdict], honest: Honest) -> None:
    verdict = verdicts[honest.name]
    assert (verdict.correct, verdict.method) == (True, "kernel"), verdict
    assert set(verdict.details["axioms"]) <= {"propext", "Classical.choice", "Quot.sound"}
    assert verdict.details["layers"] == ["lexical", "challenge", "type", "axioms", "sandbox", "processes", "modules"]
    assert verdict.details["version"].startswith("4.")


def test_processes_that_initialise_lean_themselves_say_the_same(verdicts: dict[str, Verdict]) -> None:
    """A sample: each costs three times as much."""
    sample = (*ATTACKS[::9], *HONEST[::6])
    verifier = LeanVerifier(backend="bundled", workers=2, backend_options={"warm": False})
    try:
        again = judged(verifier, sample)
    finally:
        verifier.close()
    assert {name: (verdict.correct, verdict.method) for name, verdict in again.items()} == {
        case.name: (verdicts[case.name].correct, verdicts[case.name].method) for case in sample
    }


@pytest.fixture(scope="module")
def bare_kernel() -> BundledKernel:
    """The kernel without the lexical layer."""
    need_kernel()
    return BundledKernel(workers=2)


def judged_bare(kernel: BundledKernel, text: str, statement_text: str = FALSE) -> Judged:
    statement = read_statement(statement_text)
    script = Script((), "", challenge_text(statement, "aa"), text + "\n", check_text(statement, "aa", "bb"), "Scope_cc")
    return judge_run(kernel.run(script, LeanLimits(cpu_s=20)), "bb")


SORRY = "theorem goal : Eq (Nat.add 1 1) 3 := sorry"
UNBANNED = {
    "set_option warn.sorry false\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry": "axioms",
    "axiom h : False\ntheorem goal : Eq (Nat.add 1 1) 3 := h.elim": "axioms",
    "axiom «propext » : False\ntheorem goal : Eq (Nat.add 1 1) 3 := «propext ».elim": "axioms",
    "axiom «propext, Quot.sound» : False\ntheorem goal : Eq (Nat.add 1 1) 3 := «propext, Quot.sound».elim": "axioms",
    "namespace A\naxiom propext : False\nend A\ntheorem goal : Eq (Nat.add 1 1) 3 := A.propext.elim": "axioms",
    "axiom goal : Eq (Nat.add 1 1) 3": "axioms",
    "#exit\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl": "type",
    f"#print \"'ReasonRLCheck.ok_bb' does not depend on any axioms\"\n{SORRY}": "axioms",
    "private theorem goal : Eq (Nat.add 1 1) 3 := sorry": "type",
    "set_option debug.skipKernelTC true\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl": "compile",
    "unsafe def c (p : Prop) : p := c p\ntheorem goal : Eq (Nat.add 1 1) 3 := c _": "compile",
    "partial def c (p : Prop) : p := c p\ntheorem goal : Eq (Nat.add 1 1) 3 := c _": "compile",
    "theorem ReasonRLCheck.ok_bb : Eq (Nat.add 1 1) 2 := rfl\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry": "type",
    "theorem challenge_aa : Eq (Nat.add 1 1) 2 := rfl\ntheorem goal : Eq (Nat.add 1 1) 3 := sorry": "type",
    "namespace B\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl\nend B\nexport B (goal)": "type",
}
"""What the kernel's layers reject by themselves, even with names that no candidate can know."""


@pytest.mark.parametrize("text", UNBANNED)
def test_the_other_layers_hold_without_the_lexical_one(bare_kernel: BundledKernel, text: str) -> None:
    judgement = judged_bare(bare_kernel, text)
    assert (judgement.is_proof, judgement.method) == (False, UNBANNED[text]), judgement


def test_one_proof_does_not_touch_the_next(kernel: LeanVerifier) -> None:
    """Whatever a module declares or sets, the next process knows nothing of it."""
    statement = {"statement": "theorem goal (p : Prop) (h : p) : p := sorry"}
    spoilers = [
        "theorem helper : True := trivial\ntheorem goal (p : Prop) (h : p) : p := h",
        "set_option maxRecDepth 3\ntheorem goal (p : Prop) (h : p) : p := h",
        "def Nat.two : Nat := 2\ninstance (n : Nat) : OfNat Nat n := ⟨7⟩\ntheorem goal (p : Prop) (h : p) : p := h",
        "attribute [irreducible] Not\ntheorem goal (p : Prop) (h : p) : p := h",
    ]
    kernel.verify_answers(spoilers, [statement] * len(spoilers))
    users = ["helper", "(fun _ => h) Nat.two", "theorem goal (p : Prop) (h : p) : p := (fun _ => h) helper"]
    assert [verdict.correct for verdict in kernel.verify_answers(users, [statement] * 3)] == [False] * 3
    clean = ["theorem helper : True := trivial\ntheorem goal (p : Prop) (h : p) : p := (fun _ => h) helper"]
    assert kernel.verify_answers(clean, [statement])[0].correct is True
    assert kernel.verify_answers(["rfl"], [{"statement": "theorem goal : Eq (Nat.add 1 1) 2 := sorry"}])[0].correct
