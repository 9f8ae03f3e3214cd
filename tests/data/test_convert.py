"""Conversion to verl's and TRL's rows and to files gives back exactly what went in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reasonrl.data import from_trl, from_verl, load_problems, to_trl, to_verl, write_problems
from reasonrl.errors import DataError
from verifiers.types import Problem

texts = st.text(max_size=12) | st.sampled_from(
    ["\u2028 line", "é😀", 'quo"te\n', "\x00", "{}", '{"a": 1}', "#### 5", "\\boxed{1}"]
)
words = texts.filter(lambda text: text.strip() and not set(text) & set("\u200b\u200c\u200d\u2060\ufeff"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": texts}),
    min_size=1,
    max_size=3,
).filter(lambda prompt: any(message["content"].strip().strip("\u200b\u200c\u200d\u2060\ufeff") for message in prompt))
answers = words | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
references = st.one_of(
    st.tuples(st.just("math"), st.fixed_dictionaries({"answer": answers}, optional={"unit": values})),
    st.tuples(
        st.just("reasoning_gym"),
        st.fixed_dictionaries({"dataset": words, "entry": st.fixed_dictionaries({"answer": values, "more": values})}),
    ),
    st.tuples(
        st.just("code"), st.fixed_dictionaries({"format": words, "tests": st.lists(words, min_size=1, max_size=2)})
    ),
    st.tuples(
        words.filter(lambda kind: kind not in ("math", "code", "lean", "reasoning_gym")),
        st.dictionaries(texts, values, min_size=1, max_size=3),
    ),
)
problem_lists = st.lists(
    st.builds(
        lambda id, prompt, judged, source, meta: Problem(id, prompt, judged[0], judged[1], source, meta),
        words,
        words | messages,
        references,
        texts,
        st.dictionaries(texts, values, max_size=3),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda problem: problem.id,
)
relaxed = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@given(problem_lists)
@relaxed
def test_rows_in_memory(problems: list[Problem]) -> None:
    assert from_verl(to_verl(problems)) == problems
    assert from_trl(to_trl(problems)) == problems


@pytest.mark.parametrize(
    ("suffix", "form"), [(".jsonl", "plain"), (".jsonl", "verl"), (".parquet", "verl"), (".parquet", "trl")]
)
@given(problems=problem_lists)
@relaxed
def test_real_files(problems: list[Problem], suffix: str, form: str, tmp_path: Path) -> None:
    path = write_problems(problems, tmp_path / f"rows{suffix}", form=form)
    assert load_problems(str(path)) == problems
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


MIXED = [
    Problem("a", "1 + 1", "math", {"answer": "2"}, "made", {"deep": {"x": [1, None]}}),
    Problem("b", [{"role": "user", "content": "2 + 2"}], "math", {"answer": "4"}, "made", {"other": {"y": 1.5}}),
]


def test_verl_rows_are_what_verl_wants() -> None:
    rows = to_verl(MIXED, split="test")
    for index, row in enumerate(rows):
        assert set(row) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
        assert all(set(message) == {"role", "content"} for message in row["prompt"])
        assert type(row["extra_info"]["index"]) is int and row["extra_info"]["index"] == index
        assert row["extra_info"]["split"] == "test"
        assert (
            row["reward_model"]["style"] == "rule"
            and json.loads(row["reward_model"]["ground_truth"]) == MIXED[index].reference
        )


def test_verl_rows_through_the_readers_of_verl(tmp_path: Path) -> None:
    """verl reads parquet with `datasets` and its older tools with pandas, whose rows hold numpy arrays."""
    import pyarrow.parquet as pq

    path = write_problems(MIXED, tmp_path / "rows.parquet", form="verl")
    frame = pq.read_table(path).to_pandas()
    rows: list[dict[str, Any]] = frame.to_dict("records")
    assert from_verl(rows) == MIXED
    assert load_problems(str(path), split="train") == MIXED


def test_trl_rows_never_mix_the_types_of_prompts() -> None:
    assert [type(row["prompt"]) for row in to_trl(MIXED)] == [list, list]
    assert [row["prompt"] for row in to_trl(MIXED[:1])] == ["1 + 1"]
    assert [row["answer"] for row in to_trl(MIXED)] == ["2", "4"]
    assert "answer" not in to_trl([Problem("c", "q", "mine", {"x": 1})])[0]


def test_what_json_would_change_is_refused() -> None:
    for meta in ({"pair": (1, 2)}, {1: "x"}, {"x": float("nan")}, {"x": {1, 2}}, {"x": "\ud800"}):
        with pytest.raises(DataError, match="problem 'a': meta"):
            to_verl([Problem("a", "q", "math", {"answer": "1"}, "", meta)])


def test_writing_refuses_bad_problems_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_problems(MIXED, tmp_path / "rows.jsonl")
    before = path.read_bytes()
    with pytest.raises(DataError, match="problem 2: the id 'a' is already used in problem 1"):
        write_problems([MIXED[0], MIXED[0]], path)
    with pytest.raises(DataError, match="the data set is empty"):
        write_problems([], path)
    with pytest.raises(DataError, match="meta cannot be written as JSON"):
        write_problems([Problem("a", "q", "math", {"answer": "1"}, "", {"x": {1}})], path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    for name, form in (("rows.txt", None), ("rows.parquet", "plain"), ("rows.jsonl", "arrow")):
        with pytest.raises(DataError, match=r"the suffix must be|must be one of"):
            write_problems(MIXED, tmp_path / name, form=form)


def test_a_failed_write_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_problems(MIXED, tmp_path / "rows.jsonl")
    assert list(tmp_path.iterdir()) == []
