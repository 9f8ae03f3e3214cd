"""Ids of several sources of one set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reasonrl.data import load_problems
from reasonrl.data.sources import with_new_ids
from reasonrl.errors import DataError
from verifiers.types import Problem


def joined(*sources: tuple[str, list[Problem]]) -> list[str]:
    taken: set[str] = set()
    ids = []
    for source, problems in sources:
        new = [problem.id for problem in with_new_ids(problems, taken, source)]
        taken |= set(new)
        ids += new
    assert len(taken) == len(ids)
    return ids


def file(path: Path, *rows: dict[str, object]) -> tuple[str, list[Problem]]:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"prompt": "q", "answer": "1", **row}) + "\n" for row in rows))
    return str(path), load_problems(str(path))


def test_files_of_one_name_without_ids(tmp_path: Path) -> None:
    one, two = file(tmp_path / "one" / "train.jsonl", {}, {}), file(tmp_path / "two" / "train.jsonl", {}, {}, {})
    other = file(tmp_path / "other.jsonl", {})
    assert joined(one, two, one, other) == [
        "train/1", "train/2", "train@2/1", "train@2/2", "train@2/3", "train@3/1", "train@3/2", "other/1"
    ]  # fmt: skip


def test_generators_with_different_seeds() -> None:
    options = {"size": 50, "terms": 2, "operations": "+"}
    sources = [("arithmetic", load_problems("arithmetic", options=options, seed=seed)) for seed in (0, 1)]
    assert {problem.id for problem in sources[0][1]} & {problem.id for problem in sources[1][1]}
    ids = joined(*sources)
    assert ids[:50] == [problem.id for problem in sources[0][1]]
    assert all(id_.startswith("arithmetic@2/") for id_ in ids[50:])


def test_ids_that_the_user_wrote_are_never_changed(tmp_path: Path) -> None:
    one, two = file(tmp_path / "a.jsonl", {"id": "x"}), file(tmp_path / "b.jsonl", {}, {"id": "x"})
    with pytest.raises(DataError, match="the id 'x' is already used by an earlier source"):
        joined(one, two)
    mixed = file(tmp_path / "c" / "a.jsonl", {"id": "y"}, {})
    assert joined(file(tmp_path / "a.jsonl", {}, {}), mixed) == ["a/1", "a/2", "y", "a@2/2"]
