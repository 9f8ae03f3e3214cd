"""Proofs in Lean 4: a proof counts only if it proves the stated theorem. docs/lean.md."""
