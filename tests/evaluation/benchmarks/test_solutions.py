"""Benchmarks of critics: rows as they are published, and subsets by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import DataError, UsageError
from reasonrl.evaluation.benchmarks import BENCHMARKS, CRITIC_BENCHMARKS, find_benchmark
from reasonrl.evaluation.benchmarks.loading import load_benchmark

STEPS = ["1 + 1 = 2.", "So the answer is 3."]
PROCESSBENCH = {"problem": "1 + 1?", "steps": STEPS, "final_answer_correct": False, "label": 1, "generator": "m"}
PUBLISHED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "processbench": (
        PROCESSBENCH | {"id": "olympiadbench-17"},
        "processbench_olympiadbench",
        {"first_error": 1, "correct": False},
    ),
    "bigbench_mistake": (
        {"input": "1 + 1?", "steps": STEPS, "answer": "3", "target": "2", "mistake_index": 1},
        "bigbench_mistake",
        {"first_error": 1, "correct": False},
    ),
    "prm800k": (
        {
            "question": {"problem": "1 + 1?", "ground_truth_answer": "2"},
            "label": {
                "steps": [{"completions": [{"text": "It is 3.", "rating": -1}], "chosen_completion": 0}],
                "finish_reason": "found_error",
            },
        },
        "prm800k",
        {"first_error": 0},
    ),
    "criticbench": (
        {
            "id": 3,
            "question": "1 + 1?",
            "answer": "2",
            "response": "It is 3.",
            "response_label": 0,
            "question_source": "gsm8k",
            "question_type": "math",
            "prompt_info_dict": {},
        },
        "criticbench_math",
        {"correct": False, "answer": "2"},
    ),
}


def write(folder: Path, row: dict[str, Any]) -> str:
    (folder / "copy.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    return str(folder / "copy.jsonl")


@pytest.mark.parametrize("name", CRITIC_BENCHMARKS)
def test_published_rows_are_read(name: str, tmp_path: Path) -> None:
    row, suite, labels = PUBLISHED[name]
    (problem,) = load_benchmark(find_benchmark(name, for_critics=True), path=write(tmp_path, row)).problems
    assert problem.kind == "critique" and (problem.meta.get("suite") or problem.source) == suite
    assert {key: problem.reference[key] for key in labels} == labels


def test_each_command_names_the_other() -> None:
    with pytest.raises(UsageError, match="processbench is a benchmark of reasonrl critic eval"):
        find_benchmark("processbench")
    with pytest.raises(UsageError, match="gsm8k is a benchmark of reasonrl eval"):
        find_benchmark("gsm8k", for_critics=True)
    assert not set(BENCHMARKS) & set(CRITIC_BENCHMARKS)


def test_what_is_not_on_the_hub_says_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"bigbench_mistake is not on the hub: get the repository WHGTyen"):
        load_benchmark(find_benchmark("bigbench_mistake", for_critics=True))
    with pytest.raises(DataError, match="response_label must be true or false"):
        row = PUBLISHED["criticbench"][0] | {"response_label": "maybe"}
        load_benchmark(find_benchmark("criticbench", for_critics=True), path=write(tmp_path, row))
    with pytest.raises(DataError, match=r"the repository openai/prm800k, prm800k/data"):
        load_benchmark(find_benchmark("prm800k", for_critics=True), path=write(tmp_path, {"text": "x"}))
