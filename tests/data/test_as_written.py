"""A value is read as it was written, or it is refused with its place: never changed without a word."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.data import from_verl, load_problems
from reasonrl.data.files import read_rows
from reasonrl.data.json_text import ChangedByReading, parse_json
from reasonrl.data.mistakes import Mistakes
from reasonrl.data.numbers import shortest
from reasonrl.data.rows import jsonable
from reasonrl.errors import DataError


def message(path: Path, content: str | bytes | pa.Table, **options: Any) -> str:
    write(path, content)
    with pytest.raises(DataError) as caught:
        load_problems(str(path), **options)
    return str(caught.value)


def write(path: Path, content: str | bytes | pa.Table) -> Path:
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path)
    return path


@given(st.floats(width=32, allow_nan=False) | st.floats(width=16, allow_nan=False))
def test_the_shortest_text_of_a_narrow_float_is_that_of_numpy(value: float) -> None:
    assert shortest(value, 4) == float(str(np.float32(value))) or float(np.float32(value)).is_integer()
    with np.errstate(over="ignore"):
        if float(np.float16(value)) == value:
            assert np.float16(shortest(value, 2)) == np.float16(value)
            assert len(repr(shortest(value, 2))) <= len(repr(value))


NARROW = {
    "float32": pa.array([0.1, 0.7, 1e-45], pa.float32()),
    "float16": pa.array(np.array([0.1, 0.7, 3.0], np.float16)),
    "dictionary": pa.array([0.1, 0.7, 0.1], pa.float32()).dictionary_encode(),
}


@pytest.mark.parametrize("kind", NARROW)
def test_a_gold_answer_of_a_narrow_column(tmp_path: Path, kind: str) -> None:
    table = pa.table({"prompt": ["a", "b", "c"], "answer": NARROW[kind]})
    answers = [p.reference["answer"] for p in load_problems(str(write(tmp_path / "rows.parquet", table)))]
    assert answers[:2] == ["0.1", "0.7"]


@pytest.mark.parametrize(
    ("value", "width", "written"),
    [
        (np.float32(1e11), 4, 1e11),
        (np.float32(1e38), 4, 1e38),
        (np.float32(16777216), 4, 16777216),
        (np.float32(123456792), 4, 123456792),
        (np.float16(50000), 2, 50000),
        (np.float16(10008), 2, 10008),
        (np.float16(65504), 2, 65504),
    ],
)
def test_a_whole_number_that_a_narrow_float_does_not_hold(value: Any, width: int, written: float) -> None:
    assert shortest(float(value), width) == written


def test_narrow_floats_within_structs_lists_and_maps(tmp_path: Path) -> None:
    narrow = pa.float32()
    judge = pa.struct([("style", pa.string()), ("ground_truth", narrow)])
    table = pa.table(
        {
            "data_source": ["s"],
            "prompt": [[{"role": "user", "content": "q"}]],
            "reward_model": pa.array([{"style": "rule", "ground_truth": 0.1}], judge),
            "deep": pa.array([[[0.7], None]], pa.list_(pa.list_(narrow))),
            "fixed": pa.array([[0.1, 0.2]], pa.list_(narrow, 2)),
            "map": pa.array([[("k", 0.3)]], pa.map_(pa.string(), narrow)),
        }
    )
    problem = load_problems(str(write(tmp_path / "rows.parquet", table)))[0]
    assert problem.reference == {"answer": "0.1"}
    assert problem.meta == {"deep": [[0.7], None], "fixed": [0.1, 0.2], "map": [["k", 0.3]]}


def test_narrow_floats_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "org" / "sums").mkdir(parents=True)
    table = pa.table({"prompt": ["q"], "answer": pa.array([0.1], pa.float32())})
    write(tmp_path / "org" / "sums" / "train.parquet", table)
    assert load_problems("org/sums")[0].reference == {"answer": "0.1"}


def test_values_of_numpy_in_rows_of_a_function() -> None:
    row = {"prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": np.float32(0.1)}}
    row["extra_info"] = {"x": np.array([[0.1, 0.5]], np.float16), "wide": np.longdouble("0.1"), "n": np.int64(3)}
    problem = from_verl([row])[0]
    assert problem.reference == {"answer": "0.1"} and problem.meta == {"x": [[0.1, 0.5]], "wide": 0.1, "n": 3}
    assert jsonable(np.array(["2024-01-02T03:04:05.123456789"], "datetime64[ns]")) == ["2024-01-02T03:04:05.123456789"]
    assert jsonable({"d": Decimal("1E+2"), "s": {3, 1}}) == {"d": "100", "s": [1, 3]}


@pytest.mark.parametrize(
    "row",
    [
        '{"prompt": "a", "answer": "1", "answer": "2"}',
        '{"prompt": "a", "reference": {"answer": "1", "answer": "2"}}',
        '{"prompt": "a", "answer": "1", "deep": [{"x": {"answer": 1, "answer": 1}}]}',
        json.dumps({"prompt": "a", "reference": '{"answer": 1, "answer": 2}'}),
        json.dumps({"prompt": '[{"role": "user", "answer": 1, "answer": 2, "content": "x"}]', "answer": "1"}),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, row: str) -> None:
    good = '{"prompt": "a", "answer": "1"}'
    expected = "the key 'answer' is there twice"
    said = message(tmp_path / "rows.jsonl", f"{good}\n{row}\n")
    assert "1 mistake" in said and "line 2: " in said and expected in said
    said = message(tmp_path / "rows.json", f"[{good}, {row}]")
    assert "row 2: " in said and expected in said


def test_a_parquet_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    columns = [pa.array(["q"]), pa.array(["1"]), pa.array(["2"])]
    table = pa.Table.from_arrays(columns, names=["prompt", "answer", "answer"])
    assert "two columns have the same name: 'answer'" in message(tmp_path / "rows.parquet", table)
    twice = pa.StructArray.from_arrays(columns[1:], names=["answer", "answer"])
    table = pa.Table.from_arrays([columns[0], twice], names=["prompt", "reference"])
    assert "two columns have the same name: 'reference.answer'" in message(tmp_path / "rows.parquet", table)


def test_numbers_that_python_would_change(tmp_path: Path) -> None:
    long = "0.12345678901234567890123"
    golds = [f'"answer": {long}', f'"reference": {{"answer": {long}}}', f'"answer": 1{"0" * 400}']
    golds += ['"answer": 0.10', '"answer": 1e-7']
    text = "\n".join(f'{{"prompt": "{number}", {gold}}}' for number, gold in enumerate(golds))
    problems = load_problems(str(write(tmp_path / "rows.jsonl", text)))
    assert [p.reference["answer"] for p in problems] == [long, long, "1" + "0" * 400, "0.1", "0.0000001"]
    said = message(tmp_path / "rows.jsonl", '{"prompt": "a", "answer": 1, "x": [-1e400]}')
    assert "line 1: the number -1e400 is too large" in said
    with pytest.raises(ChangedByReading):
        parse_json("1e400")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_ordinary_json_is_what_python_reads(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value


HALVES = {
    "id": '{"id": "\\ud835", "prompt": "a", "answer": "1"}',
    "reference": '{"prompt": "a", "kind": "mine", "reference": {"x": ["\\udc00"]}}',
    "meta": '{"prompt": "a", "answer": "1", "meta": {"\\ud835": 1}}',
    "source": '{"prompt": "a", "answer": "1", "source": "\\ud835"}',
    "kind": '{"prompt": "a", "answer": "1", "kind": "\\ud835"}',
    "other": '{"prompt": "a", "answer": "1", "other": "\\ud835"}',
    "prompt": '{"prompt": [{"role": "\\ud835", "content": "a"}], "answer": "1"}',
}


@pytest.mark.parametrize("field", HALVES)
def test_half_a_surrogate_pair_in_any_field_is_refused_with_its_line(tmp_path: Path, field: str) -> None:
    said = message(tmp_path / "rows.jsonl", '{"prompt": "\\ud835\\udc00", "answer": "1"}\n' + HALVES[field])
    assert f"line 2: the field '{field}' holds half a surrogate pair" in said
    assert "row 1: the field" in message(tmp_path / "rows.json", f"[{HALVES[field]}]")
    said.encode()


def test_half_a_surrogate_pair_in_json_text_in_file_names_and_in_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = json.dumps({"prompt": "a", "reference": '{"answer": "\\ud835"}'})
    assert "line 1: the reference holds half a surrogate pair" in message(tmp_path / "rows.jsonl", row)
    for source, options in (("\udcff.jsonl", {}), ("gsm8k", {"options": {"path": "\udcff.jsonl"}})):
        with pytest.raises(DataError, match="not valid Unicode") as caught:
            load_problems(source, **options)  # type: ignore[arg-type]
        str(caught.value).encode()
    (tmp_path / "half_pair_rows.py").write_text(
        "from verifiers.types import Problem\n"
        "def rows():\n    return [Problem('\\ud835', 'a', 'mine', {'x': {1, 2}})]\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load_problems("half_pair_rows:rows")
    assert "the id '\\ud835' holds half" in str(caught.value)
    assert "the reference cannot be written as JSON: Object of type set" in str(caught.value)


def test_values_that_python_does_not_have_name_their_row(tmp_path: Path) -> None:
    late = pa.array([0, 2**45], pa.timestamp("s"))
    table = pa.table({"prompt": ["a", "b"], "answer": ["1", "2"], "late": late})
    assert "row 2: the value of 'late' cannot be read" in message(tmp_path / "rows.parquet", table)
    buffers = [pa.py_buffer(np.array([0, 1], np.int32)), pa.py_buffer(b"\xff")]
    table = pa.table({"prompt": pa.StringArray.from_buffers(1, *buffers), "answer": ["1"]})
    assert "row 1: the value of 'prompt' cannot be read: 'utf-8' codec" in message(tmp_path / "rows.parquet", table)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", b"\x1f\x8b\x08\x00", "is compressed with gzip"),
        ("rows.csv", b"\x28\xb5\x2f\xfd", "is compressed with zstd"),
        ("rows.jsonl.gz", b"\x1f\x8b\x08\x00", "Unpack the file first"),
        ("rows.jsonl", "a".encode("utf-16"), "is UTF-16"),
        ("rows.jsonl", b"PAR1", "is a parquet file"),
        ("rows.csv", 'prompt,answer\nq1,"1\nq2,2\n', "unexpected end of data"),
        ("rows.csv", 'prompt,answer\n"q"1,1\n', "expected after"),
        ("rows.csv", 'prompt,answer\nq, "1"\n', "line 2: a quote after a space does not quote"),
        ("rows.csv", "prompt,answer\nq\0,1\n", "line 2: NUL characters"),
        ("rows.csv", "p\0rompt,answer\nq,1\n", "line 1: NUL characters"),
        ("rows.jsonl", '{"prompt": "a", "answer": "1", "split": ["x"]}', "its splits are ['x']"),
    ],
)
def test_files_that_are_something_else(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    assert said in message(tmp_path / name, content, **({"split": "train"} if "splits" in said else {}))


def test_what_is_not_a_regular_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jsonl")
    for source, said in (
        (str(tmp_path / "pipe.jsonl"), "is a pipe or a device"),
        (str(tmp_path), "It is a folder; name a file in it."),
        ("x" * 300 + ".jsonl", "cannot be read: File name too long"),
        ("a\0b.jsonl", "is not the name of a file"),
        ("~no-such-user/rows.jsonl", "home directory"),
    ):
        with pytest.raises(DataError) as caught:
            load_problems(source)
        assert said in str(caught.value)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", '{"prompt": "a", "answer": "1"}\n' * 2)
    with pytest.raises(DataError, match="changed while it was read"):
        for _ in read_rows(path, Mistakes("rows")):
            with path.open("a") as file:
                file.write(" ")
