"""Math answers: find the final answer (`extract`), compare it (`compare`), and both as a verifier (`verifier`)."""

from verifiers.math.verifier import MathVerifier

__all__ = ["MathVerifier"]
