"""Fake folders of `reasonrl eval --benchmarks --output`: numbers of a random generator in the true shape, so that the
pages can be tested without a model. `test_real_results.py` checks that the shape is the true one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrl.evaluation.results import result_of
from tests.runs.fake_run import fake_sample, fake_verdict, write_rows

VERSIONS = {"reasonrl": "0.1.0", "torch": "2.9.0", "vllm": None}
PAD = "Let us see. The shop has 12 boxes, and each box holds 3 pens, so there are 36 pens.\n\n"


def fake_results(
    folder: Path,
    sets: Mapping[str, int],
    *,
    n: int = 1,
    skill: float = 0.5,
    seed: int = 0,
    model: str = "fake-1b",
    finished: bool = True,
    length: int = 3,
    unlike: Mapping[str, Any] | None = None,
) -> Path:
    """A folder with answers to `sets` (name -> number of problems). Problem 7 of each set is named q/7: ids repeat.

    Args:
        skill: the chance of a right answer; each problem is as hard in all folders.
        finished: else there is settings.json, and no results.json.
        unlike: facts of every benchmark that replace the usual ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {name: [fake_row(name, i, j, n, skill, seed, length) for i in range(count) for j in range(n)]
            for name, count in sets.items()}  # fmt: skip
    facts = fake_facts(sets, n=n, model=model, seed=seed, unlike=unlike)
    write_json(folder / "settings.json", facts)
    write_rows(folder / "samples.jsonl", [row for answers in rows.values() for row in answers])
    if finished:
        results = {name: result_of(name, answers, same=lambda a, b: a == b, most_tokens=512).to_json()
                   for name, answers in rows.items()}  # fmt: skip
        write_json(
            folder / "results.json",
            {**facts, "results": results, "versions": VERSIONS, "contamination": "not known: the model is not a run"},
        )
    return folder


def fake_row(
    set_name: str, problem: int, rollout: int, n: int, skill: float, seed: int, length: int = 3
) -> dict[str, Any]:
    hardness = random.Random(f"{set_name} {problem}").uniform(-0.45, 0.45)
    source = random.Random(f"{set_name} {problem} {rollout} {seed}")
    gold, draw = str(problem + 12), source.random()
    right = source.random() < min(0.98, max(0.02, skill + hardness))
    status = "timeout" if draw < 0.02 else "unparsed" if draw < 0.08 and not right else "judged"
    tokens = source.randint(20, 480)
    answer = gold if right else str(problem + 12 + source.randint(1, 9))
    ending = "" if status == "unparsed" else f"The answer is \\boxed{{{answer}}}."
    return fake_sample(
        kind="eval",
        step=0,
        set=set_name,
        mode="greedy" if n == 1 else "sampled",
        problem_id=f"q/{problem}",
        problem_kind="math",
        rollout=rollout,
        prompt=f"<|user|>A shop of {set_name} has {problem} pens and gets 12 more. How many pens does it have?\n"
        "Please reason step by step, and put your final answer within \\boxed{}.<|assistant|>",
        response=PAD * source.randint(1, length) + ending,
        finish_reason="length" if status == "unparsed" or draw > 0.97 else "stop",
        response_tokens=tokens,
        verdicts={"correctness": fake_verdict(right, extracted=answer, status=status)},
        reference={"answer": gold},
        reward=float(right),
    )


def fake_facts(
    sets: Mapping[str, int], *, n: int, model: str, seed: int, unlike: Mapping[str, Any] | None
) -> dict[str, Any]:
    benchmarks = {
        name: {
            "title": name.upper(),
            "data": f"{name}.jsonl",
            "data_hash": random.Random(f"{name} {count}").randbytes(16).hex(),
            "prompt": "boxed",
            "prompt_hash": random.Random(name).randbytes(16).hex(),
            "verifier": {"name": "math", "mode": "lenient"},
            "sampling": {
                "samples_per_problem": n,
                "temperature": 0.0 if n == 1 else 0.6,
                "top_p": 1.0,
                "top_k": 0,
                "max_new_tokens": 512,
                "stop": [],
            },
            "left_out": [],
            "licence": "MIT",
            "notes": [f"{count} problems; {name.upper()} has 1,319, so this is another set or a part"],
            **(unlike or {}),
        }
        for name, count in sets.items()
    }
    return {"model": model, "seed": seed, "benchmarks": benchmarks}


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
