"""Generated data files: the right problems, or one DataError that names the file and each bad row.

Rows of all kinds are mixed and written as .jsonl, .json, .csv or .parquet; then the bytes of files are damaged. The
variable REASONRL_EXAMPLES sets the number of files for each test (100 unless set).
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from reasonrl.data import load_problems
from reasonrl.errors import DataError
from verifiers.types import Problem

many = settings(
    max_examples=int(os.environ.get("REASONRL_EXAMPLES", "100")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class Cell:
    """A value as JSON text and what it must be read as; `bad` cells must be refused."""

    text: str
    value: Any = None
    bad: bool = False


def good(value: Any, read: Any = None) -> Cell:
    return Cell(json.dumps(value), value if read is None else read)


def bad(text: str) -> Cell:
    return Cell(text, bad=True)


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() and text.strip()[0] not in "[{\"'"
)
roles = st.sampled_from(["system", "user", "assistant", "tool"])
messages = st.lists(st.fixed_dictionaries({"role": roles, "content": words}), min_size=1, max_size=3)
prompts = st.one_of(
    words.map(good),
    words.map(lambda text: good(f"[1, 2] {text}")),
    st.sampled_from(['{"a": 1}', "[]", "[[1]]", '[{"name": 1}]', "a\u2028b\nc\r\td", "\U0001d400"]).map(good),
    messages.map(good),
    messages.map(lambda value: good(json.dumps(value), read=value)),
)  # fmt: skip
UNLIKE_MESSAGES = ("[{'role': 'user', 'content': 'a'}]", '[{"role": "user", ', '{"messages": []}')
BAD_PROMPTS = (
    *('""', '" "', "3", "null", "true", "[]", '["a"]', '[{"role": "user"}]', '{"role": "user", "role": "user"}'),
    *('"\\ud835"', '[{"role": "user", "content": "\\udc00"}]', '[{"role": "usr", "content": "a"}]'),
    *map(json.dumps, UNLIKE_MESSAGES),
)
BAD_GOLDS = ("null", "NaN", "-Infinity", "1e999", "true", '""', '"  "', "[1]", "{}", '"\\ud835"', '{"a": 1, "a": 2}')
BAD_METAS = ('{"\\ud835": 1}', '{"a": ["\\udfff"]}', '{"a": {"b": 1, "b": 1}}', '{"a": 1e999}')
decimals = st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**9), st.integers(1, 10**30))
golds = st.one_of(
    words.filter(lambda text: "####" not in text).map(good),
    st.integers(-(10**60), 10**60).map(lambda number: Cell(str(number), Decimal(number))),
    decimals.map(lambda text: Cell(text, Decimal(text))),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: Cell(repr(number), Decimal(repr(number)))),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=5,
)
metas = st.dictionaries(words, json_values, max_size=2).map(good)


@st.composite
def rows(draw: st.DrawFn, number: int) -> dict[str, Cell]:
    """A row by its columns. At most one of its cells is bad."""
    wrong = draw(st.sampled_from(["", "", "", "", "prompt", "answer", "meta"]))
    row = {
        "prompt": draw(st.sampled_from(BAD_PROMPTS).map(bad) if wrong == "prompt" else prompts),
        "answer": draw(st.sampled_from(BAD_GOLDS).map(bad) if wrong == "answer" else golds),
    }
    if wrong == "meta" or draw(st.booleans()):
        row["meta"] = draw(st.sampled_from(BAD_METAS).map(bad) if wrong == "meta" else metas)
    elif draw(st.booleans()):  # a column of our name that holds something else goes to meta
        row["meta"] = Cell("[1]", {"meta": [1]})
    if draw(st.booleans()):
        row["id"] = good(f"{draw(words)}-{number}")
    return dict(draw(st.permutations(list(row.items()))))


tables = st.integers(1, 4).flatmap(lambda count: st.tuples(*(rows(number) for number in range(count))))


def expected(row: dict[str, Cell], default_id: str) -> Problem:
    answer = row["answer"].value
    return Problem(
        row["id"].value if "id" in row else default_id,
        row["prompt"].value,
        "math",
        {"answer": answer},
        "rows",
        row["meta"].value if "meta" in row else {},
    )


def same(problem: Problem, wanted: Problem) -> bool:
    answer, gold = problem.reference["answer"], wanted.reference["answer"]
    if isinstance(gold, Decimal):
        assert isinstance(answer, str) and Decimal(answer) == gold, (answer, gold)
        return same(problem, Problem(wanted.id, wanted.prompt, "math", problem.reference, wanted.source, wanted.meta))
    assert problem == wanted
    return True


def load(name: str, content: bytes) -> tuple[list[Problem], str]:
    """The problems of a file, or the message that refuses it, without its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            return load_problems(str(path)), ""
        except DataError as error:
            said = str(error)
            assert name in said and said.encode(), said
            return [], said


def check(name: str, content: bytes, table: tuple[dict[str, Cell], ...], place: str, first: int = 1) -> None:
    problems, said = load(name, content)
    wrong = [number for number, row in enumerate(table, first) if any(cell.bad for cell in row.values())]
    event("refused" if wrong else "read")
    if not wrong:
        assert not said, said
        wanted = [expected(row, f"rows/{number}") for number, row in enumerate(table, first)]
        assert len(problems) == len(wanted) and all(map(same, problems, wanted))
    elif "not readable JSON" not in said:  # a .json file as a whole
        count = said.split(" mistake")[0].rpartition(" ")[2]
        assert int(count) >= len(wrong) and f"{place} {wrong[0]}" in said, said
        listed = {int(line.split()[1].rstrip(":")) for line in said.splitlines()[1:] if line.split()[0] == place}
        assert listed <= set(wrong), said


def line_of(row: dict[str, Cell]) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {cell.text}" for name, cell in row.items()) + "}"


@many
@given(tables)
def test_json_lines(table: tuple[dict[str, Cell], ...]) -> None:
    check("rows.jsonl", "".join(line_of(row) + "\n" for row in table).encode(), table, "line")


@many
@given(tables)
def test_json_lists(table: tuple[dict[str, Cell], ...]) -> None:
    check("rows.json", f"[{', '.join(map(line_of, table))}]".encode(), table, "row")


texts = st.tuples(words, st.one_of(words.filter(lambda text: "####" not in text), decimals), words | st.just(""))


@many
@given(st.lists(texts, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_csv(table: list[tuple[str, str, str]], end: str, mark: bool) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end).writerows([["prompt", "answer", "topic"], *table])
    problems, said = load("rows.csv", buffer.getvalue().encode("utf-8-sig" if mark else "utf-8"))
    assert not said, said
    assert [(p.prompt, p.reference["answer"], p.meta) for p in problems] == [
        (prompt, answer, {"topic": topic}) for prompt, answer, topic in table
    ]


TYPES = {
    "float16": (pa.float16(), st.integers(-999, 999).map(lambda n: Decimal(n) / 100)),
    "float32": (pa.float32(), st.integers(-(10**6), 10**6).map(lambda n: Decimal(n) / 1000)),
    "float64": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False).map(lambda x: Decimal(repr(x)))),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1).map(Decimal)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1).map(Decimal)),
    "decimal128": (pa.decimal128(20, 5), st.integers(-(10**19), 10**19).map(lambda n: Decimal(n).scaleb(-5))),
}


@st.composite
def typed_columns(draw: st.DrawFn) -> tuple[pa.DataType, list[Decimal | None]]:
    kind, numbers = draw(st.sampled_from(list(TYPES.values())))
    return kind, draw(st.lists(st.none() | numbers, min_size=1, max_size=4))


@many
@given(typed_columns(), st.sampled_from(["plain", "verl", "reference", "dictionary"]))
def test_parquet(column: tuple[pa.DataType, list[Decimal | None]], form: str) -> None:
    kind, numbers = column
    is_float, is_decimal = pa.types.is_floating(kind), pa.types.is_decimal(kind)
    values = [n if n is None or is_decimal else float(n) if is_float else int(n) for n in numbers]
    golds = pa.array(values, kind)
    prompts = [f"q{number}" for number in range(len(values))]
    columns: dict[str, Any] = {"prompt": prompts, "answer": golds}
    if form == "verl":
        columns = {"prompt": prompts, "reward_model": pa.StructArray.from_arrays([golds], ["ground_truth"])}
    elif form == "reference":
        columns = {"prompt": prompts, "reference": pa.StructArray.from_arrays([golds], ["answer"])}
    elif form == "dictionary" and not pa.types.is_float16(kind):
        columns["answer"] = golds.dictionary_encode()
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    problems, said = load("rows.parquet", buffer.getvalue())
    empty = [number for number, value in enumerate(values, 1) if value is None]
    event(f"{kind} {form} {'refused' if empty else 'read'}")
    if empty:
        assert f"{len(empty)} mistake" in said and f"row {empty[0]}" in said, said
    else:
        assert not said, said
        assert [Decimal(str(problem.reference["answer"])) for problem in problems] == numbers


INSERTED = (b"\0", b'"', b"\xff", b"\xef\xbb\xbf", b"\n", b"{", b",", b"\r")
damages = st.one_of(
    st.tuples(st.just("cut"), st.integers(0, 400), st.just(b"")),
    st.tuples(st.just("insert"), st.integers(0, 400), st.sampled_from(INSERTED)),
    st.tuples(st.just("replace"), st.integers(0, 400), st.binary(min_size=1, max_size=3)),
)


@many
@given(st.lists(texts, min_size=1, max_size=3), st.sampled_from(["jsonl", "json", "csv", "parquet"]), damages)
@example([("0", "0", "")], "parquet", ("replace", 248, b"\x80"))  # a column's path in the footer is not UTF-8
def test_damaged_files(table: list[tuple[str, str, str]], suffix: str, damage: tuple[str, int, bytes]) -> None:
    """What is still readable is text and JSON; all else is a DataError."""
    dicts = [dict(zip(("prompt", "answer", "topic"), row, strict=True)) for row in table]
    buffer = io.BytesIO()
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(dicts), buffer)
    elif suffix == "csv":
        lines = io.StringIO()
        csv.writer(lines).writerows([["prompt", "answer", "topic"], *table])
        buffer.write(lines.getvalue().encode())
    else:
        text = json.dumps(dicts) if suffix == "json" else "".join(json.dumps(row) + "\n" for row in dicts)
        buffer.write(text.encode())
    content, (what, position, extra) = buffer.getvalue(), damage
    position %= len(content)
    rest_from = {"cut": len(content), "insert": position, "replace": position + len(extra)}[what]
    after = extra + content[rest_from:]
    problems, said = load(f"rows.{suffix}", content[:position] + after)
    event("refused" if said else "read")
    assert bool(problems) != bool(said)
    for problem in problems:
        json.dumps([problem.id, problem.prompt, problem.reference, problem.meta], ensure_ascii=False).encode()
        assert len(problems) <= len(table) + 1
