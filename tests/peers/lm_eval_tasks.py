"""lm-eval's own tasks on saved responses.

A task file of two lines includes the one that lm-eval ships and names a local file as its data set: filters, metrics
and the reading of rows are lm-eval's, and nothing is downloaded. Needs the environment of `make venv-eval`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.peers.cases import Case


@dataclass(frozen=True, slots=True)
class PeerVerdict:
    """What another harness says of one response."""

    correct: bool
    read: str
    """What it read out of the response."""


def gsm8k(cases: Sequence[Case], folder: Path) -> dict[str, list[PeerVerdict]]:
    """Verdicts of the task gsm8k by filter: strict-match and flexible-extract."""
    rows = [{"question": case.problem, "answer": f"#### {case.gold}"} for case in cases]
    task, instances = _filtered("gsm8k", rows, cases, folder)
    return {
        name: [
            PeerVerdict(bool(task.process_results(one.doc, [one.filtered_resps[name]])["exact_match"]), text)
            for one in instances
            for text in [one.filtered_resps[name]]
        ]
        for name in ("strict-match", "flexible-extract")
    }


def math(cases: Sequence[Case], folder: Path) -> dict[str, list[PeerVerdict]]:
    """Verdicts of MATH: minerva (exact_match of minerva_math500), minerva math_verify, and hendrycks."""
    return {**_minerva(cases, folder), "hendrycks": _hendrycks(cases, folder)}


def _minerva(cases: Sequence[Case], folder: Path) -> dict[str, list[PeerVerdict]]:
    from lm_eval.tasks.minerva_math import utils
    from math_verify import parse

    task, instances = _filtered("minerva_math500", _math_rows(cases), cases, folder)
    verdicts: dict[str, list[PeerVerdict]] = {"minerva": [], "minerva math_verify": []}
    for one in instances:
        (response,) = one.resps
        scores = task.process_results(one.doc, [one.filtered_resps["none"]])
        answer = utils.normalize_final_answer(utils.get_unnormalized_answer(response))
        verdicts["minerva"].append(PeerVerdict(bool(scores["exact_match"]), answer))
        parsed = parse(response)
        verdicts["minerva math_verify"].append(
            PeerVerdict(bool(scores["math_verify"]), str(parsed[-1]) if parsed else "")
        )
    return verdicts


def _hendrycks(cases: Sequence[Case], folder: Path) -> list[PeerVerdict]:
    """Its answer is what stands between the first and the last dollar."""
    task, instances = _filtered("hendrycks_math500", _math_rows(cases), cases, folder)
    verdicts = []
    for one in instances:
        (response,) = one.resps
        scores = task.process_results(one.doc, [one.filtered_resps["none"]])
        parts = response.split("$")
        verdicts.append(PeerVerdict(bool(scores["exact_match"]), "$".join(parts[1:-1]) if len(parts) > 2 else response))
    return verdicts


def _math_rows(cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [
        {"problem": case.problem, "solution": f"The answer is $\\boxed{{{case.gold}}}$.", "answer": case.gold}
        for case in cases
    ]


def _filtered(name: str, rows: list[dict[str, Any]], cases: Sequence[Case], folder: Path) -> tuple[Any, list[Any]]:
    """The task over `rows`, and an instance for each case whose response went through the task's filters."""
    import lm_eval
    from lm_eval.api.instance import Instance
    from lm_eval.tasks import TaskManager

    (shipped,) = (Path(lm_eval.__file__).parent / "tasks").glob(f"*/{name}.yaml")
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = {
        "include": str(shipped),
        "task": f"{name}_saved",
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
        "training_split": None,
        "fewshot_split": None,
        "num_fewshot": 0,
    }
    file = folder / f"{name}_saved.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    (task,) = TaskManager(include_defaults=False, include_path=str(folder)).load([str(file)])["tasks"].values()
    docs = list(task.task_docs)
    assert len(docs) == len(cases)
    instances = [
        Instance("generate_until", doc, ("", {}), 0, (name, number, 1), resps=[case.response])
        for number, (doc, case) in enumerate(zip(docs, cases, strict=True))
    ]
    task._instances = instances
    task.apply_filters()
    return task, instances
