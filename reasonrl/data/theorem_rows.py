"""Theorems of Lean 4 as problems of kind "lean", and the shapes in which others publish them.

    {"statement", "header", "proof"}     the reference; only the statement is needed

Read as they are: rows with the theorem in `formal_statement` (miniF2F, ProofNet, Lean-Workbook, NuminaMath-LEAN,
DeepSeek-Prover-V1) or `lean4_statement` (PutnamBench); in a source of kind `lean` also `statement` and `code`.
"""

from __future__ import annotations

import re
from typing import Any

from reasonrl.data.values import is_blank

STATEMENTS = ("formal_statement", "lean4_statement", "code", "statement")
_TOLD_BY = STATEMENTS[:2]
"""Columns that nothing else has."""
_NAMES = ("id", "name", "problem_id", "uuid")
_PROOFS = ("proof", "formal_proof", "gold_proof")
_END = re.compile(r"\s*(?::=\s*(?:by\s+sorry|by|sorry)?)?\s*\Z")
_OTHER_GOLD = ("reference", "reward_model", "tests")


def read(row: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """The fields of a theorem; None for any other row. Raises ValueError for a row that lacks what its shape needs.

    Args:
        kind: of the source. "math" is that of a source which names none; its rows may be theorems. Rows of other kinds
            are not.
    """
    if kind not in ("lean", "math") or row.get("kind") not in (None, "lean"):
        return None
    if any(not is_blank(row.get(name)) for name in _OTHER_GOLD):
        return None
    names = STATEMENTS if "lean" in (kind, row.get("kind")) else _TOLD_BY
    column = next((name for name in names if name in row), None)
    if column is None:
        return None
    statement, header, remark = row[column], row.get("header") or "", row.get("informal_prefix") or ""
    for name, value in ((column, statement), ("header", header), ("informal_prefix", remark)):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a text, not {value!r:.60}")
    if not statement.strip():
        raise ValueError(f"{column} is empty")
    reference = {"statement": statement, "header": header}
    proof = next((name for name in _PROOFS if isinstance(row.get(name), str) and row[name].strip()), None)
    reference |= {"proof": row[proof]} if proof else {}
    used = {column, "header", "informal_prefix", "prompt", "kind", "source", *_NAMES, *_PROOFS}
    return {
        "id": next((row[name] for name in _NAMES if not is_blank(row.get(name))), None),
        "prompt": row["prompt"] if not is_blank(row.get("prompt")) else question(statement, header, remark),
        "prompt_form": None if not is_blank(row.get("prompt")) else "text",
        "kind": "lean",
        "source": row["source"] if isinstance(row.get("source"), str) else None,
        "reference": reference,
        "meta": {name: value for name, value in row.items() if name not in used},
    }


def question(statement: str, header: str = "", remark: str = "") -> str:
    """The theorem up to where its proof begins: header, the remark that says it in words, statement, `:= by`."""
    return f"{header}{remark}{_END.sub('', statement, count=1)} := by\n"
