"""Theorems to be proved in Lean 4: miniF2F (arXiv:2109.00110), ProofNet (arXiv:2302.12433), PutnamBench
(arXiv:2407.11214).

A row holds the theorem in `formal_statement` with its `header`, or both in `code` (also `lean4_statement`), and its
name. Each set exists in several texts that share a name: `results.json` has the hash of the one that was read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reasonrl.data import theorem_rows
from reasonrl.evaluation.benchmarks.base import Benchmark, Prompt

_THEOREM = Prompt(
    "chat",
    "Prove this theorem in Lean 4. Write the whole theorem with its proof in one block of Lean code.\n\n"
    "```lean4\n{question}\n```",
)
_COMPLETION = Prompt(
    "text",
    "Complete the following Lean 4 code:\n\n```lean4\n{question}",
    (),
    ("\n```",),
    {"mode": "lenient"},
)
"""Whole-proof models such as DeepSeek-Prover-V1.5 go on where the prompt ends."""


def _row(row: dict[str, Any]) -> dict[str, Any]:
    fields = theorem_rows.read({name: value for name, value in row.items() if name != "prompt"}, "lean")
    if fields is None:
        raise KeyError(theorem_rows.STATEMENTS[0])
    return {name: value for name, value in fields.items() if value is not None and name != "meta"}


def _of_split(split: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: row.get("split") in (None, split)


def _benchmark(name: str, title: str, split: str | None, published: str, licence: str, *notes: str) -> Benchmark:
    return Benchmark(
        name=name,
        title=title,
        hub=None,
        published=published,
        licence=licence,
        kind="lean",
        prompts={"chat": _THEOREM, "completion": _COMPLETION},
        verifier={"name": "lean"},
        row=_row,
        keeps=None if split is None else _of_split(split),
        also_named=(name,),
        max_new_tokens=2048,
        notes=(
            "Needs Lean with Mathlib: --set verifier.project=FOLDER, or verifier.url=ADDRESS (docs/lean.md).",
            *notes,
        ),
    )


_MINIF2F = "minif2f.jsonl of DeepSeek-Prover-V1.5, or yangky11/miniF2F-lean4, from GitHub"
_TEXTS = "Texts of this set differ: some statements of older copies are false or vacuous, and others have mended them."

MINIF2F = _benchmark("minif2f", "miniF2F, test", "test", _MINIF2F, "Apache-2.0", _TEXTS)
MINIF2F_VALID = _benchmark("minif2f_valid", "miniF2F, validation", "valid", _MINIF2F, "Apache-2.0", _TEXTS)
PROOFNET = _benchmark(
    "proofnet",
    "ProofNet, test",
    "test",
    "proofnet.jsonl of DeepSeek-Prover-V1.5, from GitHub",
    "MIT",
    "Some of its statements are wrong formalisations.",
)
PUTNAMBENCH = _benchmark(
    "putnambench",
    "PutnamBench",
    None,
    "trishullab/PutnamBench from GitHub, as rows with name and code",
    "Apache-2.0",
    "Its maintainers ask that proofs are not published.",
)
