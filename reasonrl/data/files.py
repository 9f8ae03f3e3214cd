"""Reading rows out of .jsonl, .json, .parquet and .csv files, each with its place in the file.

Rows come one at a time, so that a limit reads no more than it needs. What cannot be parsed is noted as a mistake and
left out; the caller raises them all together.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from reasonrl.data.mistakes import Mistakes
from reasonrl.errors import DataError
from reasonrl.words import nearest


class SourceRow(NamedTuple):
    """One row as it was in the source."""

    number: int
    """1-based: the line of a .jsonl or .csv file, the row of any other source."""
    where: str
    """The number in words: "line 3" or "row 3"."""
    fields: dict[str, Any]


def read_rows(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    """The rows of a file, by its suffix.

    Raises:
        DataError: at once when the file is missing or is a folder, or as a whole cannot be read as what its suffix
            says.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file in it ({', '.join(READERS)})")
    if not path.exists():
        neighbours = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = nearest(path.name, neighbours)
        hint = f" Did you mean {str(path.parent / near)!r}?" if near else ""
        raise DataError(f"{path} does not exist.{hint} A relative path starts in the current folder")
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path}: cannot read files with the suffix {path.suffix!r}. Use {', '.join(READERS)}")
    return _readable(READERS[path.suffix.lower()](path, mistakes), path)


def _readable(rows: Iterator[SourceRow], path: Path) -> Iterator[SourceRow]:
    try:
        yield from rows
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _jsonl(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    # Read as bytes: only \n ends a line. Text mode would also accept a lone \r, and splitlines() a dozen other
    # characters.
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            where = f"line {number}"
            try:
                value = json.loads(line.decode())
            except UnicodeDecodeError:
                mistakes.add(where, "not valid UTF-8. Save the file as UTF-8")
            except json.JSONDecodeError as error:
                mistakes.add(where, f"not valid JSON: {error.msg} (character {error.pos + 1})")
            except (
                ValueError,
                RecursionError,
            ) as error:  # a number with thousands of digits, or too deeply nested brackets
                mistakes.add(where, f"not readable JSON: {error}")
            else:
                if isinstance(value, dict):
                    yield SourceRow(number, where, value)
                else:
                    mistakes.add(where, f"a JSON object {{...}} is expected, not {line.decode().strip()!r:.60}")


def _json(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        # JSON lines under another suffix, as often seen
        if error.msg == "Extra data" and text.lstrip().startswith(b"{"):
            yield from _jsonl(path, mistakes)
            return
        raise DataError(
            f"{path}: not valid JSON: {error.msg} (line {error.lineno}, character {error.colno})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not readable JSON: {error}") from error
    if not isinstance(rows, list):
        keys = f" with the keys {', '.join(rows)}"[:200] if isinstance(rows, dict) else ""
        raise DataError(f"{path}: a list of objects [{{...}}, ...] is expected, not one {type(rows).__name__}{keys}")
    for number, value in enumerate(rows, 1):
        if isinstance(value, dict):
            yield SourceRow(number, f"row {number}", value)
        else:
            mistakes.add(f"row {number}", f"an object {{...}} is expected, not {value!r:.60}")


def _parquet(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for fields in batch.to_pylist():
                    number += 1
                    yield SourceRow(number, f"row {number}", jsonable(fields))
    except pa.ArrowException as error:
        raise DataError(f"{path}: not readable as parquet: {error}") from error


def _csv(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise DataError(f"{path}, line 1: two columns have the same name: {', '.join(map(repr, twice))}")
            start = reader.line_num + 1
            for values in reader:
                where, number, start = f"line {start}", start, reader.line_num + 1
                if not any(values):
                    continue
                if len(values) == len(header):
                    yield SourceRow(number, where, dict(zip(header, values, strict=True)))
                else:
                    mistakes.add(
                        where,
                        f"{len(values)} fields, but the header names {len(header)}. Quote fields that hold commas",
                    )
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}. Save long or unusual texts as .jsonl") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}, after line {reader.line_num}: not valid UTF-8. Save the file as UTF-8") from error


READERS: dict[str, Callable[[Path, Mistakes], Iterator[SourceRow]]] = {
    ".jsonl": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _csv,
}


def jsonable(value: Any) -> Any:
    """The value in JSON's types: arrays become lists, dates and decimals text; fields that hold bytes (images) are left
    out.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items() if not isinstance(item, bytes | bytearray)}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, as pandas gives them
        return jsonable(value.tolist())
    return value
