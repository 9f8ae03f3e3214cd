"""Statements that a model has written: what compiles, what contradicts itself, what is trivial, on the real kernel."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from tests.verifiers.lean.conftest import need_kernel
from verifiers.errors import NoGoldResponse
from verifiers.lean.formalisation import LeanStatementVerifier, _findings
from verifiers.lean.statement import hypotheses, read_statement, without_conclusion
from verifiers.lean.types import Judged
from verifiers.loading import load_verifier
from verifiers.types import Status

SWAP = "theorem swap (p q : Prop) (h : And p q) : And q p"


@pytest.fixture(scope="module")
def judge() -> Iterator[LeanStatementVerifier]:
    need_kernel()
    verifier = load_verifier("lean_statement", mode="lenient", backend="bundled", workers=2)
    assert isinstance(verifier, LeanStatementVerifier)
    yield verifier
    verifier.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("end", ["", " :=", " := by", " := sorry", " := by sorry"])
def test_a_statement_that_compiles_is_right(judge: LeanStatementVerifier, end: str) -> None:
    verdict = judge.verify([f"In Lean:\n```lean4\n{SWAP}{end}\n```"], [{"header": "import MiniPrelude"}])[0]
    assert (verdict.correct, verdict.status, verdict.method) == (True, Status.JUDGED, "compile"), verdict
    assert verdict.details["compiles"] is True
    assert not verdict.details["trivial_by"] and not verdict.details["contradictory_by"]


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("text", "method", "words"),
    [
        ("theorem t (p : Prop) : And p r := sorry", "compile", "does not compile: Unknown identifier `r`"),
        ("theorem t : Nat.succ 0 := sorry", "compile", "does not compile"),
        ("axiom a : False\ntheorem t : False := sorry", "lexical", "axiom is not allowed"),
        ("macro_rules | `(x) => `(y)\ntheorem t : True := sorry", "lexical", "macro_rules is not allowed"),
        ("import Mathlib\ntheorem t : True := sorry", "imports", "imports Mathlib"),
        ("set_option autoImplicit true\ntheorem t : Eq r r := sorry", "lexical", "autoImplicit is the header's to set"),
        (
            "set_option relaxedAutoImplicit true in\ntheorem t : Eq r r",
            "lexical",
            "autoImplicit is the header's to set",
        ),
        ("theorem t (p : Prop) (h : p) (g : Not p) : Eq 1 2 := sorry", "contradictory", "'g h' proves False"),
        ("theorem t (p : Prop) (h : False) : p := sorry", "contradictory", "'h' proves False"),
        ("theorem t (p : Prop) (h : And p (Not p)) : Eq 1 2", "contradictory", "'h.right h.left' proves False"),
    ],
)
def test_what_is_wrong_with_a_statement_is_said(
    judge: LeanStatementVerifier, text: str, method: str, words: str
) -> None:
    verdict = judge.verify_answers([text], [{"header": "import MiniPrelude"}])[0]
    assert (verdict.correct, verdict.status, verdict.method) == (False, Status.JUDGED, method), verdict
    assert words in verdict.reason


@pytest.mark.sandbox
def test_a_definition_before_the_theorem_counts(judge: LeanStatementVerifier) -> None:
    text = "def twice (n : Nat) : Nat := Nat.add n n\ntheorem t (n : Nat) : Eq (twice n) (Nat.add n n) := sorry"
    findings = judge.examine(text)
    assert (findings.compiles, findings.trivial_by) == (True, "rfl")


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("response", "words"),
    [
        ("I cannot.", "no Lean"),
        ("```lean4\n-- nothing\n```", "no theorem with a name"),
        ("```lean4\nexample : True := sorry\n```", "no theorem with a name"),
        ("```lean4\ntheorem t : True := sorry\nlemma s : True := sorry\n```", "there are 2 theorems: t, s"),
        ("```lean4\ntheorem t : True := True.intro\n```", "goes on after its :="),
        ("```lean4\ntheorem t : Eq (sorry : Nat) 1 := sorry\n```", "`sorry` within its type"),
    ],
)
def test_what_is_no_statement_is_unparsed(judge: LeanStatementVerifier, response: str, words: str) -> None:
    verdict = judge.verify([response], [{}])[0]
    assert (verdict.correct, verdict.status) == (False, Status.UNPARSED)
    assert words in verdict.reason


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"header": "import Mathlib"}, "no module Mathlib"),
        ({"header": 3}, "the header is a int"),
        (None, "the reference is a NoneType"),
    ],
)
def test_what_is_not_the_models_fault_is_an_error(judge: LeanStatementVerifier, reference: Any, words: str) -> None:
    verdict = judge.verify_answers([SWAP], [reference])[0]
    assert (verdict.correct, verdict.status) == (None, Status.ERROR)
    assert words in verdict.reason


@pytest.mark.sandbox
def test_trivial_statements_are_told_and_refused_where_the_recipe_says_so(judge: LeanStatementVerifier) -> None:
    text = "theorem t (p : Prop) : p → p := sorry"
    assert judge.verify_answers([text], [{}])[0].details["trivial_by"] == "fun h => h"
    strict = LeanStatementVerifier(mode="whole", backend="bundled", refuse=["contradictory", "trivial"])
    again = pickle.loads(pickle.dumps(strict))
    strict.close()
    verdict, right = again.verify([text, f"{SWAP} := sorry"], [{}, {}])
    again.close()
    assert (verdict.correct, verdict.method) == (False, "trivial") and "'fun h => h' proves it" in verdict.reason
    assert right.correct is True


@pytest.mark.sandbox
def test_without_cheap_proofs_it_is_compiled_all_the_same() -> None:
    need_kernel()
    verifier = LeanStatementVerifier(mode="whole", backend="bundled", proofs=[], contradictions=[])
    right, wrong = verifier.verify_answers(["theorem t : Eq 1 1", "theorem t : Eq 1 x"], [{}, {}])
    verifier.close()
    assert (right.correct, wrong.correct, wrong.method) == (True, False, "compile")
    assert right.details["trivial_by"] == ""


@pytest.mark.sandbox
def test_layers_and_gold(judge: LeanStatementVerifier) -> None:
    verdict = judge.verify_answers(["theorem t (p : Prop) (h : False) : p"], [{}])[0]
    layers = judge.explain("theorem t (p : Prop) (h : False) : p", {}, verdict)
    assert [(layer.name, layer.says) for layer in layers] == [
        ("compile", "passed"),
        ("contradictory", "by 'h'"),
        ("trivial", "not found to be"),
    ]
    with pytest.raises(NoGoldResponse):
        judge.gold_response({})
    with pytest.raises(ValueError, match="1 responses for 2"):
        judge.verify(["x"], [{}, {}])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refuse": "trivial"}, "write a list out of"),
        ({"refuse": ["easy"]}, "write a list"),
        ({"proofs": "rfl"}, "proofs"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LeanStatementVerifier(backend="bundled", **options)


@pytest.mark.parametrize(
    ("signature", "names"),
    [
        (" (p q : Prop) (h : And p q) : And q p", ["h"]),
        (" {n : ℕ} (hn : 0 < n) (h₁ : ∀ x : ℕ, x < n) [Fact n.Prime] : n = 1", ["hn", "h₁"]),
        (" : 1 = 1", []),
        (" (f : ℕ → ℕ) (hf : ∀ x, f x = (x + 1)) : f 1 = 2", ["hf"]),
    ],
)
def test_hypotheses_are_what_nothing_speaks_of(signature: str, names: list[str]) -> None:
    statement = read_statement(f"theorem t{signature} := sorry")
    assert hypotheses(statement) == names
    changed = without_conclusion(statement)
    assert changed.signature.endswith(": False") and changed.name == "t"
    assert all(name in changed.signature for name in names)


@pytest.mark.parametrize("kind", ["trivial", "contradictory"])
@pytest.mark.parametrize(("is_timeout", "status"), [(False, Status.ERROR), (True, Status.TIMEOUT)])
def test_a_checker_that_fails_on_one_cheap_proof_is_no_verdict(kind: str, is_timeout: bool, status: Status) -> None:
    failed = Judged(None, "backend", "the server failed", is_timeout=is_timeout)
    findings = _findings([("trivial", "rfl", Judged(False, "compile", "no")), (kind, "h", failed)])
    assert (findings.status, findings.compiles, findings.reason) == (status, None, "the server failed")
