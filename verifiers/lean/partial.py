"""Partial credit, for training alone: how far a proof that failed got. It is never counted as a proof."""

from __future__ import annotations

from verifiers.lean.candidate import Candidate
from verifiers.lean.judgement import AXIOMS
from verifiers.lean.tokens import Kind, Lines, tokens
from verifiers.lean.types import Judged

MOST = 0.5
"""No proof that fails comes to more."""
_CREDITED = ("compile", "axioms")
"""What may earn credit: an error in the text, or a `sorry`. Nothing that changed the statement or broke a rule."""
_SORRIES = frozenset(["sorry", "admit", "sorryAx", "stop"])


def partial_score(candidate: Candidate, judged: Judged) -> float:
    """In [0, MOST): the share of the proof's tokens that stand before its first error and its first `sorry`.

    The proof is the theorem's own, from its := on. Lines before the one of an error count.
    """
    if judged.method not in _CREDITED or set(judged.axioms or ()) - {"sorryAx"} - AXIOMS:
        return 0.0
    lines = Lines(candidate.text)
    proof = [each for each in tokens(candidate.text) if each.is_code and each.start >= candidate.proof_start]
    stops = [len(candidate.text)]
    if judged.error_line is not None:
        stops += [token.start for token in proof if lines.line(token.start) >= judged.error_line][:1]
        stops += [candidate.proof_start] * (judged.error_line < lines.line(candidate.proof_start))
    stops += [token.start for token in proof if token.kind is Kind.WORD and token.text in _SORRIES]
    reached = sum(token.end <= min(stops) for token in proof)
    return MOST * reached / (len(proof) + 1)
