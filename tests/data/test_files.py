"""Reading files: what is accepted, and what a user is told of one that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reasonrl.data import load_problems
from reasonrl.errors import DataError

ROWS = [{"id": "a", "problem": "1 + 1", "answer": "2"}, {"id": "b", "problem": "2 + 2", "answer": "4"}]


def lines(path: Path, *rows: object) -> str:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return str(path)


def message(source: str, **arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        load_problems(source, **arguments)  # type: ignore[arg-type]
    return str(caught.value)


def test_the_same_rows_from_every_suffix(tmp_path: Path) -> None:
    jsonl = lines(tmp_path / "rows.jsonl", *ROWS)
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "rows.csv").write_text("id,problem,answer\na,1 + 1,2\nb,2 + 2,4\n")
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "rows.parquet")
    expected = load_problems(jsonl)
    assert [(p.id, p.prompt, p.reference, p.kind, p.source, p.meta) for p in expected] == [
        ("a", "1 + 1", {"answer": "2"}, "math", "rows", {}),
        ("b", "2 + 2", {"answer": "4"}, "math", "rows", {}),
    ]
    for suffix in (".json", ".csv", ".parquet"):
        assert load_problems(str(tmp_path / f"rows{suffix}")) == expected


def test_json_lines_under_the_suffix_json(tmp_path: Path) -> None:
    assert len(load_problems(lines(tmp_path / "rows.json", *ROWS))) == 2


def test_ids_are_the_line_numbers_and_blank_lines_count(tmp_path: Path) -> None:
    source = lines(
        tmp_path / "train.jsonl", {"question": "1+1", "answer": 2}, "", {"question": "1+2", "answer": 3.0, "id": None}
    )
    assert [(p.id, p.reference["answer"]) for p in load_problems(source)] == [("train/1", "2"), ("train/3", "3")]


def test_every_mistake_is_listed_with_its_line_and_nothing_is_loaded(tmp_path: Path) -> None:
    source = lines(
        tmp_path / "bad.jsonl",
        ROWS[0],
        "{not json",
        {"problem": "  ", "answer": "1"},
        {"problem": "x", "answer": ""},
        ROWS[0],
        "[1, 2]",
        {"problem": "x", "answer": [1]},
        {"problem": "x", "answer": float("nan")},
        {"problem": "x", "answer": True},
        '{"problem": "\\ud800", "answer": 1}',
    )
    said = message(source)
    assert said.startswith(f"{source}: 9 mistakes, nothing was loaded:")
    for part in (
        "line 2: not valid JSON: Expecting property name",
        "line 3: the prompt is empty",
        "line 4: the answer is missing or empty",
        "line 5: the id 'a' is already used in line 1",
        "line 6: a JSON object {...} is expected, not '[1, 2]'",
        "line 7: the answer must be a string or a number, not a list ([1])",
        "line 8: the answer must be",
        "line 9: the answer must be a string or a number, not a boolean (True)",
        "line 10: the field 'problem' holds half a surrogate pair",
    ):
        assert part in said


def test_the_first_ten_different_mistakes_and_the_count(tmp_path: Path) -> None:
    said = message(
        lines(
            tmp_path / "bad.jsonl",
            *[{"id": "same", "problem": "x", "answer": n} for n in range(3)],
            *["{" + "x" * n for n in range(20)],
        )
    )
    assert "22 mistakes" in said
    duplicates = lines(tmp_path / "twice.jsonl", *[{"id": i % 15, "problem": "x", "answer": 1} for i in range(30)])
    said = message(duplicates)
    assert "15 mistakes" in said and said.count("already used") == 10 and "... and 5 more" in said
    same = message(lines(tmp_path / "same.jsonl", *[{"problem": "", "answer": 1}] * 7))
    assert "line 1 and 6 more: the prompt is empty" in same


def test_unicode_line_ends_inside_a_text_do_not_end_the_line(tmp_path: Path) -> None:
    prompt = "a\u2028b\x85c\x0cd\re"
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps({"prompt": prompt, "answer": "1"}, ensure_ascii=False).encode() + b"\r\n"
    )
    assert load_problems(str(path))[0].prompt == prompt


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"problem": "ok", "answer": "1"}\n{"problem": "\xff", "answer": "1"}\n')
    assert "line 2: not valid UTF-8" in message(str(path))
    csv = tmp_path / "rows.csv"
    csv.write_bytes(b"problem,answer\n\xff,1\n")
    assert "not valid UTF-8" in message(str(csv))


@pytest.mark.parametrize("line", ["1" * 5000, "[" * 100_000])
def test_hostile_json(tmp_path: Path, line: str) -> None:
    assert "line 1: not readable JSON" in message(lines(tmp_path / "rows.jsonl", line))


def test_files_that_are_not_there_or_not_readable(tmp_path: Path) -> None:
    lines(tmp_path / "train.jsonl", *ROWS)
    said = message(str(tmp_path / "trian.jsonl"))
    assert "does not exist" in said and "Did you mean" in said and "train.jsonl" in said
    (tmp_path / "folder.jsonl").mkdir()
    assert "is a folder" in message(str(tmp_path / "folder.jsonl"))
    (tmp_path / "rows.txt").write_text("x")
    assert "cannot read files with the suffix '.txt'. Use .jsonl, .json, .parquet, .csv" in message(
        str(tmp_path / "rows.txt")
    )
    (tmp_path / "rows.parquet").write_text("not parquet")
    assert "not readable as parquet" in message(str(tmp_path / "rows.parquet"))
    (tmp_path / "rows.json").write_text('{"data": []}')
    assert "a list of objects" in message(str(tmp_path / "rows.json")) and "keys data" in message(
        str(tmp_path / "rows.json")
    )
    (tmp_path / "torn.json").write_text('[{"problem": ')
    assert "not valid JSON" in message(str(tmp_path / "torn.json"))


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    assert "the data set is empty" in message(str(tmp_path / name))


def test_csv_places_and_widths(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('problem,answer\n"two\nlines",1\n\nunquoted, comma,2\n,3\n')
    said = message(str(path))
    assert (
        "line 5: 3 fields, but the header names 2" in said
        and "line 6: the prompt is empty" in said
        and "2 mistakes" in said
    )
    path.write_text("problem,problem,answer\nx,y,1\n")
    assert "two columns have the same name: 'problem'" in message(str(path))


def test_limit_takes_the_first_rows_and_does_not_read_the_rest(tmp_path: Path) -> None:
    source = lines(tmp_path / "rows.jsonl", *ROWS, "{broken")
    assert [p.id for p in load_problems(source, limit=1)] == ["a"]
    assert len(load_problems(source, limit=2)) == 2
    assert "line 3" in message(source, limit=3)
    assert "limit must be a whole number from 1" in message(source, limit=0)


def test_split_of_a_file_is_its_column(tmp_path: Path) -> None:
    source = lines(
        tmp_path / "rows.jsonl",
        *[{"problem": "x", "answer": n, "split": "test" if n % 3 == 0 else "train"} for n in range(9)],
    )
    assert [p.reference["answer"] for p in load_problems(source, split="test")] == ["0", "3", "6"]
    assert len(load_problems(source, split="train", limit=2)) == 2
    assert "its splits are test, train" in message(source, split="dev")
    assert "no row has a column 'split'" in message(lines(tmp_path / "plain.jsonl", *ROWS), split="test")


def test_parquet_values_that_json_has_not(tmp_path: Path) -> None:
    from datetime import date
    from decimal import Decimal

    row = {
        "problem": "x",
        "answer": Decimal("1.50"),
        "day": date(2024, 1, 2),
        "image": b"\x89PNG",
        "price": Decimal("2.5"),
        "tags": ["a", None],
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    problem = load_problems(str(tmp_path / "rows.parquet"))[0]
    assert problem.reference == {"answer": "1.50"} and problem.meta == {
        "day": "2024-01-02",
        "price": "2.5",
        "tags": ["a", None],
    }


def test_rows_of_school_and_competition_mathematics(tmp_path: Path) -> None:
    """The columns of GSM8K and MATH with ids, sources and licences: two sources in one file, LaTeX in both texts."""
    rows = [
        {"id": f"{source}/{i}", "source": source, "problem": text, "answer": answer, "licence": "MIT"}
        for source, text, answer in [
            ("grade_school", "Ada has 3 boxes of 24 pens. How many pens?", "72"),
            ("competition", "Find $x$ with $2x + \\frac{1}{2} = 3$.", "\\frac{5}{4}"),
        ]
        for i in range(3)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    problems = load_problems(str(path))
    assert [problem.id for problem in problems] == [row["id"] for row in rows]
    assert [problem.source for problem in problems] == ["grade_school"] * 3 + ["competition"] * 3
    assert problems[0].reference == {"answer": "72"} and problems[-1].reference == {"answer": "\\frac{5}{4}"}
    assert problems[-1].prompt == rows[-1]["problem"]


def test_a_source_that_is_not_a_file_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("gone.jsonl").symlink_to("never.jsonl")
    assert message("gone.jsonl") == "gone.jsonl is a link to never.jsonl, which does not exist"
    assert message("*.jsonl") == "*.jsonl does not exist. Patterns are not read: write a list of sources"
    for address in ("https://some.host/train.jsonl", "hf://datasets/org/name", "file:///tmp/train.jsonl"):
        assert f"data source {address!r} is an address. Download the file and name it" in message(address)
    assert "'/dev/null' is not known. It is a pipe or a device; write its content to a file" in message("/dev/null")
