"""Proofs judged per second by the Lean verifier with the bundled kernel, all layers on.

    .venv/bin/python benchmarks/lean_verifier.py --proofs 400 --statements 25 --workers 2
    .venv/bin/python benchmarks/lean_verifier.py --proofs 2000 --write rows.jsonl     rows for `reasonrl verify lean`

Every candidate is different, half of them are right, and none is in a cache; a statement is compiled once for all its
candidates. "own process": each module initialises Lean in a process of its own. "forked": each process is a fork of one
that has initialised Lean. The load before and after is that of the whole machine: figures are worth something only
where it is near 0 before.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path

from verifiers.lean.verifier import LeanVerifier


def problem(statement: int, candidate: int) -> tuple[str, str]:
    """A statement about conjunctions, and a candidate: the even ones are right."""
    depth = 1 + statement % 5
    name = f"swap_{statement}"
    left = " ".join(f"(h{number} : And p q)" for number in range(depth))
    text = f"theorem {name} (p q : Prop) {left} : And q p"
    term = f"⟨h{candidate % depth}.right, h{candidate % depth}.{'left' if candidate % 2 == 0 else 'right'}⟩"
    helper = f"theorem helper_{candidate} (p q : Prop) (h : And p q) : q := h.right\n"
    return f"{text} := sorry", f"{helper}{text} := {term}"


def problems(proofs: int, statements: int) -> list[tuple[str, str]]:
    return [problem(number % statements, number // statements) for number in range(proofs)]


def measure(label: str, proofs: int, statements: int, workers: int, *, warm: bool) -> None:
    verifier = LeanVerifier(backend="bundled", workers=workers, backend_options={"warm": warm}, cache_size=0)
    pairs = problems(proofs, statements)
    answers, references = [proof for _, proof in pairs], [{"statement": statement} for statement, _ in pairs]
    verifier.verify_answers(answers[:workers], references[:workers])  # starts the processes
    load_before = os.getloadavg()[0]
    started = time.perf_counter()
    verdicts = verifier.verify_answers(answers, references)
    seconds = time.perf_counter() - started
    counts = Counter(verdict.summary for verdict in verdicts)
    verifier.close()
    print(
        f"{label:<12} {proofs / seconds:6.1f} proofs/s  ({proofs} proofs of {statements} statements in {seconds:.1f} s,"
        f" {workers} workers; {dict(counts)}; load {load_before:.1f} -> {os.getloadavg()[0]:.1f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proofs", type=int, default=400)
    parser.add_argument("--statements", type=int, default=25)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="write the proofs as rows, and judge nothing")
    arguments = parser.parse_args()
    if arguments.write:
        rows = enumerate(problems(arguments.proofs, arguments.statements))
        lines = [json.dumps({"id": str(n), "formal_statement": one, "proof": proof}) for n, (one, proof) in rows]
        arguments.write.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    for label, warm in (("own process", False), ("forked", True)):
        measure(label, arguments.proofs, arguments.statements, arguments.workers, warm=warm)


if __name__ == "__main__":
    main()
