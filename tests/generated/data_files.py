"""Data files in which one row, or the whole file, is wrong; and the same rows in other spellings."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from hypothesis import strategies as st

from tests.generated.case import Case, Outcome
from tests.generated.recipes import NAME, as_json
from tests.tiny_runs import tiny

ROWS = [{"id": f"r{i}", "prompt": f"{i} + {i + 1}", "answer": str(2 * i + 1)} for i in range(5)]
NAN, INF = float("nan"), float("inf")
USER = {"role": "user", "content": "1 + 2"}

WRONG_FIELDS: tuple[tuple[str, Any], ...] = (
    *(
        ("prompt", value)
        for value in (None, "", "  \n", 5, 1.5, True, [], {}, [5], [{}], [None], ["1 + 2"], {"role": "user"})
    ),
    *(("prompt", [{"role": role, "content": "1 + 2"}]) for role in ("", "usr", None, 5)),
    *(("prompt", [{"role": "user", "content": content}]) for content in (None, 5, {"a": 1}, [{"type": "image"}])),
    ("prompt", [{"role": "user"}]),
    ("prompt", [{"content": "1 + 2"}]),
    ("prompt", [{"role": "system", "content": "Add."}]),
    ("prompt", "1 + 2 \ud835"),
    ("prompt", [{"role": "user", "content": "\udc00"}]),
    ("answer", None),
    ("answer", ""),
    ("answer", []),
    ("answer", {}),
    ("answer", [1, 2]),
    ("answer", True),
    ("answer", NAN),
    ("answer", INF),
    ("answer", "\ud835"),
    ("id", "\ud835"),
    ("id", ""),
    ("id", "r4"),
    ("id", []),
    ("id", {"a": 1}),
    ("kind", "critique"),
    ("kind", 5),
    ("kind", ["math"]),
    ("reference", "{"),
    ("reference", "5"),
    ("reference", [1]),
    ("reference", {}),
    ("reference", {"answer": "\udfff"}),
    ("reference", {"answer": None}),
    ("reference", {"answer": {"a": 1}}),
)
"""What is wrong in row 2, whatever the command."""

WRONG_LINES = (
    b'{"id": "a", "prompt": "1 + 2", "answer": "3", "answer": "4"}',
    b'{"id": "a", "prompt": "1 + 2", "reference": {"answer": "3", "answer": "4"}}',
    b'{"id": "a", "prompt": "1 + 2", "answer": "3"',
    b'{"id": "a", "prompt": "1 + 2", "answer": "3"} {}',
    b'{"id": "a", "prompt": "1 + 2", "answer": 3,}',
    b"{'id': 'a'}",
    b"[]",
    b"[1, 2]",
    b"5",
    b"null",
    b'"text"',
    b"{}",
    b'{"id": "a"}',
    b'{"prompt": "1 + 2"}',
    b'{"answer": "3"}',
    b'{"prompt": "1 + 2", "answer": NaN}',
    b'{"prompt": "1 + 2", "answer": -Infinity}',
    b'{"prompt": "1 + 2", "answer": 1e999}',
    b'{"prompt": "1 + 2", "answer": ' + b"1" * 5000 + b"}",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"\x00" * 20,
    b'{"prompt": "1 \xff 2", "answer": "3"}',
    b'{"prompt": "1 \x00 2", "answer": "3"}',
    b'{"prompt": "\\u0000", "answer": "3"',
)

WRONG_FILES: tuple[tuple[str, bytes], ...] = (
    ("rows.jsonl", b""),
    ("rows.jsonl", b"\n\n\n"),
    ("rows.jsonl", b"\xef\xbb\xbf"),
    ("rows.jsonl", b"[]"),
    ("rows.json", b""),
    ("rows.json", b"{}"),
    ("rows.json", b"[]"),
    ("rows.json", b"[5]"),
    ("rows.json", b"[{}"),
    ("rows.json", b"null"),
    ("rows.json", b"[" * 5000),
    ("rows.json", b'[{"prompt": "1", "prompt": "2", "answer": "2"}]'),
    ("rows.csv", b""),
    ("rows.csv", b"prompt,answer\n"),
    ("rows.csv", b"prompt;answer\n1 + 2;3\n"),
    ("rows.csv", b"prompt,answer,answer\n1 + 2,3,4\n"),
    ("rows.csv", b"prompt,answer\n1 + 2,3,4\n"),
    ("rows.csv", b"prompt,answer\n1 + 2\n"),
    ("rows.csv", b'prompt,answer\n"1 + 2,3\n'),
    ("rows.csv", b"prompt,answer\n1 + 2,\n"),
    ("rows.csv", b"1 + 2,3\n"),
    ("rows.csv", b"prompt,answer\n\x00,\x00\n"),
    ("rows.csv", b"prompt,answer\n\xff,3\n"),
    ("rows.csv", "prompt,answer\n1 + 2,3\n".encode("utf-16")),
    ("rows.parquet", b""),
    ("rows.parquet", b"PAR1"),
    ("rows.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1"),
    ("rows.txt", b"1 + 2\n"),
    ("rows.jsonl.gz", b"\x1f\x8b\x00"),
    ("rows.JSONL", b""),
    ("rows", b"{}"),
    ("rows.yaml", b"- prompt: 1\n"),
    ("rows.jsonl/inside", b""),
    ("rows.parquet/inside", b""),
    ("rows.csv/inside", b""),
)


def jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def recipe_of(file: str) -> bytes:
    recipe = tiny(
        data={"train": {"source": file}, "heldout": {}, "prompt": {"style": "text", "template": "{question} ="}}
    )
    recipe["data"]["train"] = {"source": file}
    recipe["data"]["heldout"] = {}
    return yaml.safe_dump(recipe).encode()


@st.composite
def a_command(draw: st.DrawFn, file: str) -> tuple[str, ...]:
    """One of the commands that read problems out of a file."""
    command = draw(
        st.sampled_from(
            [
                ("data", "show", file, "--limit", "10"),
                ("data", "convert", file, "out/rows.jsonl"),
                ("data", "convert", file, "rows-2.parquet", "--to", "verl"),
                ("train", NAME, "--dry-run", "--offline"),
                ("eval", "tiny-arithmetic", "--recipe", NAME, "--data", file, "--n", "0", "--offline"),
            ]
        )
    )
    return draw(as_json(command))


def case(draw: st.DrawFn, about: str, file: str, content: bytes, words: tuple[str, ...]) -> Case:
    parts = Path(file).parts
    arguments = draw(a_command(parts[0]))
    return Case(about, arguments, {NAME: recipe_of(parts[0]), file: content}, "refused", words)


@st.composite
def wrong_rows(draw: st.DrawFn) -> Case:
    name, value = draw(st.sampled_from(WRONG_FIELDS))
    rows = [dict(row) for row in ROWS]
    rows[1][name] = value
    if name == "reference":
        del rows[1]["answer"]
    about = f"row 2 has {name} {ascii(value)[:60]}"
    if draw(st.booleans()):
        return case(draw, about, "rows.json", json.dumps(rows).encode(), ("row 2", "rows.json:2", "[1]", "2:"))
    return case(draw, about, "rows.jsonl", jsonl(rows), ("line 2", "row 2", "rows.jsonl:2"))


@st.composite
def wrong_lines(draw: st.DrawFn) -> Case:
    line = draw(st.sampled_from(WRONG_LINES))
    place = draw(st.integers(0, len(ROWS)))
    lines = jsonl(ROWS).splitlines()
    content = b"\n".join([*lines[:place], line, *lines[place:], b""])
    words = (f"line {place + 1}", f"row {place + 1}", f"rows.jsonl:{place + 1}", "rows.jsonl")
    return case(draw, f"line {place + 1} is {line[:60]!r}", "rows.jsonl", content, words)


@st.composite
def wrong_files(draw: st.DrawFn) -> Case:
    file, content = draw(st.sampled_from(WRONG_FILES))
    return case(draw, f"{file} is {content[:60]!r}", file, content, ("rows",))


def parquet(rows: list[dict[str, Any]], **types: pa.DataType) -> bytes:
    columns = {key: pa.array([row[key] for row in rows], types.get(key)) for key in rows[0]}
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _csv(rows: list[dict[str, Any]], end: str = "\n", quote: str = '"') -> bytes:
    lines = [",".join(rows[0]), *(",".join(f"{quote}{value}{quote}" for value in row.values()) for row in rows)]
    return (end.join(lines) + end).encode()


SPELLINGS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "json": ("rows.json", lambda: json.dumps(ROWS, indent=2).encode()),
    "bom": ("rows.jsonl", lambda: b"\xef\xbb\xbf" + jsonl(ROWS)),
    "crlf": ("rows.jsonl", lambda: jsonl(ROWS).replace(b"\n", b"\r\n")),
    "no end of line": ("rows.jsonl", lambda: jsonl(ROWS).rstrip()),
    "blank lines": ("rows.jsonl", lambda: jsonl(ROWS).replace(b"\n", b"\n\n")),
    "spaces": ("rows.jsonl", lambda: jsonl(ROWS).replace(b'": ', b'" :  ')),
    "numbers": ("rows.jsonl", lambda: jsonl([{**row, "answer": int(row["answer"])} for row in ROWS])),
    "floats": ("rows.jsonl", lambda: jsonl([{**row, "answer": float(row["answer"])} for row in ROWS])),
    "references": (
        "rows.jsonl",
        lambda: jsonl([{"id": r["id"], "prompt": r["prompt"], "reference": {"answer": r["answer"]}} for r in ROWS]),
    ),
    "references as text": (
        "rows.jsonl",
        lambda: jsonl(
            [{"id": r["id"], "prompt": r["prompt"], "reference": json.dumps({"answer": r["answer"]})} for r in ROWS]
        ),
    ),
    "solutions": (
        "rows.jsonl",
        lambda: jsonl([{"id": r["id"], "prompt": r["prompt"], "solution": f"So\n#### {r['answer']}"} for r in ROWS]),
    ),
    "questions": (
        "rows.jsonl",
        lambda: jsonl([{"id": r["id"], "question": r["prompt"], "answer": r["answer"]} for r in ROWS]),
    ),
    "csv": ("rows.csv", lambda: _csv(ROWS)),
    "csv, crlf": ("rows.csv", lambda: _csv(ROWS, "\r\n")),
    "csv, bare": ("rows.csv", lambda: _csv(ROWS, quote="")),
    "csv, bom": ("rows.csv", lambda: b"\xef\xbb\xbf" + _csv(ROWS)),
    "parquet": ("rows.parquet", lambda: parquet(ROWS)),
    "parquet, large strings": ("rows.parquet", lambda: parquet(ROWS, prompt=pa.large_string())),
    "parquet, int8": (
        "rows.parquet",
        lambda: parquet([{**r, "answer": int(r["answer"])} for r in ROWS], answer=pa.int8()),
    ),
    "parquet, float32": (
        "rows.parquet",
        lambda: parquet([{**r, "answer": float(r["answer"])} for r in ROWS], answer=pa.float32()),
    ),
    "parquet, decimal": (
        "rows.parquet",
        lambda: parquet([{**r, "answer": int(r["answer"])} for r in ROWS], answer=pa.decimal128(5, 0)),
    ),
}


def same_problems(folder: Path, outcome: Outcome) -> str | None:
    """The converted file holds the five problems, with their answers as numbers at least."""
    lines = (folder / "out/rows.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    rows = [json.loads(line) for line in lines]
    pairs = [(row["id"], row["prompt"], float(row["reference"]["answer"])) for row in rows]
    expected = [(row["id"], row["prompt"], float(row["answer"])) for row in ROWS]
    return None if pairs == expected else f"read as {pairs}"


@st.composite
def other_spellings(draw: st.DrawFn) -> Case:
    about = draw(st.sampled_from(sorted(SPELLINGS)))
    file, content = SPELLINGS[about]
    folder = draw(st.sampled_from(["", "my data/", "дані/", "a.jsonl/"]))
    arguments = draw(as_json(("data", "convert", f"{folder}{file}", "out/rows.jsonl")))
    return Case(f"the same rows: {about}", arguments, {f"{folder}{file}": content()}, "right", (), same_problems)


def _shown(field: str, value: Any) -> Callable[[Path, Outcome], str | None]:
    def right(folder: Path, outcome: Outcome) -> str | None:
        row = json.loads((folder / "out/rows.jsonl").read_text(encoding="utf-8").split("\n")[1])
        actual = row["reference"]["answer"] if field == "answer" else row[field]
        return None if actual == value else f"{field} {value!r} became {actual!r}"

    return right


@st.composite
def any_text(draw: st.DrawFn) -> Case:
    """Text with any characters is a question, an answer or an id: it comes out as it went in, or is refused."""
    field = draw(st.sampled_from(["id", "prompt", "answer"]))
    value = draw(st.text(min_size=1, max_size=20).filter(str.strip))
    rows = [dict(row) for row in ROWS]
    rows[1][field] = value
    raw = draw(st.booleans())
    text = "".join(json.dumps(row, ensure_ascii=not raw) + "\n" for row in rows)
    arguments = ("data", "convert", "rows.jsonl", "out/rows.jsonl")
    files = {"rows.jsonl": text.encode()}
    words = ("rows.jsonl", "line 2", "row 2")
    return Case(f"{field} {value!a}", arguments, files, "either", words, _shown(field, value))


@st.composite
def floats(draw: st.DrawFn) -> Case:
    """A number of a parquet column is the answer as it is written in its own precision."""
    import numpy as np

    precision = draw(st.sampled_from(["float16", "float32", "float64"]))
    width = int(precision[5:])
    value = draw(st.floats(allow_nan=False, allow_infinity=False, width=width))  # type: ignore[call-overload]
    rows = [{**row, "answer": float(row["answer"])} for row in ROWS]
    rows[1]["answer"] = value
    types = {"float16": pa.float16(), "float32": pa.float32(), "float64": pa.float64()}
    columns = {
        "id": pa.array([row["id"] for row in rows]),
        "prompt": pa.array([row["prompt"] for row in rows]),
        "answer": pa.array(np.array([row["answer"] for row in rows], precision), types[precision]),
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)

    def right(folder: Path, outcome: Outcome) -> str | None:
        row = json.loads((folder / "out/rows.jsonl").read_text(encoding="utf-8").split("\n")[1])
        actual = row["reference"]["answer"]
        expected = np.dtype(precision).type(value)
        if np.dtype(precision).type(actual) != expected:
            return f"{expected!r} became {actual!r}"
        written = Decimal(str(expected))
        if value.is_integer() or Decimal(actual) == written:
            return None
        return f"{expected!r} became {actual!r}, which has other digits"

    arguments = ("data", "convert", "rows.parquet", "out/rows.jsonl")
    return Case(f"{precision} {value!r}", arguments, {"rows.parquet": stream.getvalue()}, "right", (), right)


JUDGED = (
    b'{"id": "a", "gold": "3", "response": "\\\\boxed{3}"}\n',
    b'{"gold": "3", "pred": "3", "equivalent": true, "form": "answer"}\n',
)


def second_row_is_an_error(folder: Path, outcome: Outcome) -> str | None:
    """`verify` writes a verdict for each row: one that cannot be read is neither right nor wrong."""
    lines = (folder / "out.jsonl").read_text(encoding="utf-8").split("\n")
    verdict = json.loads(lines[1])
    return None if verdict["correct"] is None and verdict["reason"] else f"row 2 is judged: {lines[1]}"


@st.composite
def judged_rows(draw: st.DrawFn) -> Case:
    """Inputs of `verify` and `audit`, with one wrong line, or one wrong value of a field."""
    verify = draw(st.booleans())
    row = json.loads(JUDGED[not verify])
    name = draw(st.sampled_from([key for key in row if key not in ("form", "id")]))
    whole = draw(st.booleans())
    value = draw(st.sampled_from([None, [], {}, [1], {"a": 1}, "\ud835"]))
    line = draw(st.sampled_from(WRONG_LINES)) if whole else json.dumps({**row, name: value}).encode()
    content = JUDGED[not verify] + line + b"\n"
    arguments = (
        ("verify", "math", "--input", "rows.jsonl", "--output", "out.jsonl") if verify else ("audit", "rows.jsonl")
    )
    about = f"{arguments[0]}: {line[:70]!r}"
    expected, right = ("either", second_row_is_an_error) if verify else ("refused", None)
    words = ("line 2", "row 2", "rows.jsonl")
    return Case(about, draw(as_json(arguments)), {"rows.jsonl": content}, expected, words, right)  # type: ignore[arg-type]
