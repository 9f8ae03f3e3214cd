"""Saved responses that we and another harness judge: a gold answer, what a model wrote, and whether it is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.math_verifier import DISPUTED

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "peers"
SHARED = ROOT.parent / "shared" / "data"
"""Data for development, beside a checkout. Where it is absent, the frozen sample and the generated cases are left."""


@dataclass(frozen=True, slots=True)
class Case:
    """One response to one problem."""

    id: str
    problem: str
    gold: str
    response: str
    correct: bool | None
    """Whether the response is right, by whoever wrote or labelled it; None where people differ."""
    origin: str
    """Where the response is from, or one of `MADE_UP`."""


MADE_UP = ("generated", "frozen", "wrapped")
"""Origins of responses of ours: by a layout, in tests/golden/peers, and bare answers of others in a layout."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def frozen_rows(name: str) -> list[dict[str, Any]]:
    """The frozen sample of a benchmark, with the verdicts of the other harness."""
    return read_rows(GOLDEN / f"{name}.jsonl")


def frozen_cases(name: str) -> list[Case]:
    """The frozen sample of a benchmark, without verdicts."""
    return [case_of(row) for row in frozen_rows(name)]


def case_of(row: dict[str, Any]) -> Case:
    """A row of a frozen sample."""
    return Case(row["id"], row["problem"], row["gold"], row["response"], row["correct"], "frozen")


def shared_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a file of the development data; [] where it is absent."""
    path = SHARED / name
    return read_rows(path) if path.is_file() else []


def equivalence_rows(*, gsm8k: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows of math_equivalence.jsonl with the number of their line: those of GSM8K, or all others."""
    for line, row in enumerate(shared_rows("math_equivalence.jsonl"), 1):
        if ("gsm8k" in row["source"]) == gsm8k:
            yield line, row


LABELS_IN_DOUBT = {48: "the reference is 11, the answer a chain of equations of which one is false"}
"""Lines of math_equivalence.jsonl whose label people may doubt, beside those of `benchmarks.math_verifier`."""


def labelled_cases(*, gsm8k: bool, wrap: str = "") -> list[Case]:
    """The responses of math_equivalence.jsonl, and with `wrap`, a layout with {x}, its bare answers too. [] where the
    file is absent. A label that is a matter of policy, or in doubt, is None.
    """
    cases = []
    for line, row in equivalence_rows(gsm8k=gsm8k):
        answer, gold = row["pred"], row["gold"]
        if row["form"] == "answer":
            # what would break the layout, or carries marks of its own
            if not wrap or any(mark in answer for mark in ("$", "\\boxed")) or answer.endswith("\\"):
                continue
            answer = wrap.format(x=answer)
        if "\\boxed" in gold or gold.count("{") != gold.count("}"):  # lm-eval cannot read such a gold
            continue
        label = None if row["policy"] or line in DISPUTED or line in LABELS_IN_DOUBT else row["equivalent"]
        origin = "wrapped" if row["form"] == "answer" else row["source"]
        cases.append(Case(f"line {line}", f"Line {line}.", gold, answer, label, origin))
    return cases
