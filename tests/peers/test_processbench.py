"""ProcessBench F1 against the formula of its authors, on 1,700 made-up judgements."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from reasonrl.evaluation.critic_benchmark import figures_by_subset
from tests.peers.cases import shared_rows
from tests.peers.comparison import COMPARISONS
from tests.peers.critiques import criticised
from tests.peers.process_bench import f1, read_index

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]
ROWS = {"gsm8k": (106, 94), "math": (293, 207), "olympiadbench": (323, 177), "omnimath": (372, 128)}
"""Solutions with and without an error, where the labels of half of ProcessBench are not there."""
REPLIES = (
    "\\boxed{{{index}}}",
    "Paragraph 0 states \\boxed{{x}}.\nSo: $\\boxed{{{index}}}$",
    "It is \\boxed{{ {index} }}.",
)
UNREAD = ("There is no mistake.", "\\boxed{none}", "")


def labelled_rows() -> list[dict[str, Any]]:
    """Those of the development data, else rows with the same numbers of labels."""
    if rows := shared_rows("processbench.jsonl"):
        return rows
    draw, rows = random.Random(0), []
    for part, (wrong, right) in ROWS.items():
        for number in range(wrong + right):
            steps = [f"Step {place} of solution {number}." for place in range(draw.randint(2, 15))]
            label = draw.randrange(len(steps)) if number < wrong else -1
            row = {"id": f"{part}-{number}", "problem": f"{part} {number}?", "steps": steps, "label": label}
            rows.append(row | {"final_answer_correct": label == -1})
    return rows


def judgements(rows: list[dict[str, Any]]) -> list[int | None]:
    """Half of them the label, a few unread, the others any step or none."""
    draw = random.Random(1)
    named: list[int | None] = []
    for row in rows:
        kind = draw.random()
        others = [index for index in range(-1, len(row["steps"]) + 1) if index != row["label"]]
        named.append(row["label"] if kind < 0.5 else None if kind < 0.58 else draw.choice(others))
    return named


def test_f1_is_that_of_the_formula(tmp_path: Path) -> None:
    rows = labelled_rows()
    named = judgements(rows)
    draw = random.Random(2)
    texts = [draw.choice(UNREAD) if i is None else draw.choice(REPLIES).format(index=i) for i in named]
    assert [read_index(text) for text in texts] == named
    figures = figures_by_subset(criticised(rows, texts, tmp_path))

    subsets = [f"processbench_{row['id'].rpartition('-')[0]}" for row in rows]
    lines, scores = [], []
    for subset, count in Counter(subsets).items():
        places = [place for place, name in enumerate(subsets) if name == subset]
        acc1, acc2, score = f1([named[i] for i in places], [rows[i]["label"] for i in places])
        values = [figures[subset][name]["estimate"] for name in ("error accuracy", "correct accuracy", "f1")]
        assert values == pytest.approx([acc1 / 100, acc2 / 100, score / 100], abs=1e-12)
        assert figures[subset]["solutions"] == count
        scores.append(score)
        lines.append(f"  {subset}: F1 {score:.4f} of {count:,} judgements, both ways")
    mean = sum(scores) / len(scores)
    assert figures["mean of subsets"]["f1"]["estimate"] == pytest.approx(mean / 100, abs=1e-12)
    assert len(rows) == 1700 and len(scores) == 4
    COMPARISONS.append(f"processbench, {len(rows):,} judgements: mean F1 {mean:.4f}, both ways\n" + "\n".join(lines))
