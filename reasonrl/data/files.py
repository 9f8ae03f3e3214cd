"""Reading rows out of .jsonl, .json, .parquet and .csv files, each with its place in the file.

Rows come one at a time, so that a limit reads no more than it needs. What cannot be parsed is noted as a mistake and
left out; the caller raises them all together.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from reasonrl.data.json_text import ChangedByReading, Repeats, holds, json_mistake, parse_json, repeated_key
from reasonrl.data.mistakes import Mistakes
from reasonrl.data.rows import SourceRow, jsonable
from reasonrl.errors import DataError
from reasonrl.words import nearest

__all__ = ["READERS", "SourceRow", "existing_file", "half_pair_mistake", "jsonable", "read_rows"]

_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
"""Where JSON may spell half a surrogate pair; without it no field needs a look."""
_BEGINNINGS = {
    b"\x1f\x8b": "is compressed with gzip. Unpack it first (gunzip)",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd. Unpack it first (zstd -d)",
    b"PK\x03\x04": "is a zip archive. Unpack it first",
    b"\xfd7zXZ": "is compressed with xz. Unpack it first (unxz)",
    b"BZh": "is compressed with bzip2. Unpack it first (bunzip2)",
    b"\xff\xfe": "is UTF-16. Save the file as UTF-8",
    b"\xfe\xff": "is UTF-16. Save the file as UTF-8",
}
"""First bytes that no readable file has."""
_PARQUET = b"PAR1"
_SPACED_QUOTES = re.compile(r'\s+"[^"]*"\s*')
"""A CSV field as some programs write it: the space and both quotes would be read as part of the text."""


def existing_file(source: str) -> bool:
    """Whether a file has this name, "~" being the home. False for what cannot be a file's name."""
    try:
        return Path(source).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):
        return False


def read_rows(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    """The rows of a file, by its suffix.

    Raises:
        DataError: at once when the file is missing or is not a regular file, or its first bytes are not those of what
            its suffix says; later when as a whole it cannot be read.
    """
    suffix = path.suffix.lower()
    kind = _file_mode(path)
    if stat.S_ISDIR(kind):
        raise DataError(f"{path} is a folder. Name a file in it ({_known()})")
    if not stat.S_ISREG(kind):
        raise DataError(
            f"{path} is a pipe or a device, but data is read more than once. Write its content to a file and name that"
        )
    if suffix not in READERS:
        raise DataError(f"{path}: cannot read files with the suffix {path.suffix!r}.{_unpack(path)} Use {_known()}")
    _check_beginning(path, suffix)
    return _readable(READERS[suffix](path, mistakes), path)


def _file_mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError as error:
        if path.is_symlink():
            raise DataError(f"{path} is a link to {os.readlink(path)}, which does not exist") from error
        if any(mark in path.name for mark in "*?["):
            raise DataError(f"{path} does not exist. Patterns are not read: write a list of sources") from error
        raise DataError(f"{path} does not exist.{_near(path)} A relative path starts in the current folder") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # a NUL in the name
        raise DataError(f"{str(path)!r} is not the name of a file: {error}") from error


def _known() -> str:
    return ", ".join(READERS)


def _unpack(path: Path) -> str:
    """Advice for a suffix of a compressed file."""
    packed = path.suffix.lower() in (".gz", ".zst", ".bz2", ".xz", ".zip")
    return " Unpack the file first." if packed else ""


def _near(path: Path) -> str:
    try:
        near = nearest(path.name, [file.name for file in path.parent.iterdir()])
    except OSError:
        return ""
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""


def _check_beginning(path: Path, suffix: str) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    reason = next((text for beginning, text in _BEGINNINGS.items() if head.startswith(beginning)), None)
    if reason is None and head.startswith(_PARQUET) and suffix != ".parquet":
        reason = "is a parquet file. Rename it to .parquet"
    if reason is not None:
        raise DataError(f"{path} {reason}")


def _readable(rows: Iterator[SourceRow], path: Path) -> Iterator[SourceRow]:
    try:
        before = _state(path)
        yield from rows
        if _state(path) != before:
            raise DataError(f"{path} changed while it was read. Try again when nothing writes to it")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _state(path: Path) -> tuple[int, int, int]:
    state = os.stat(path)
    return state.st_ino, state.st_size, state.st_mtime_ns


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
                value = parse_json(line.decode())
            except UnicodeDecodeError:
                mistakes.add(where, "not valid UTF-8. Save the file as UTF-8")
            except json.JSONDecodeError as error:
                mistakes.add(where, f"not valid JSON: {error.msg} (character {error.pos + 1})")
            except ChangedByReading as error:
                mistakes.add(where, str(error))
            except (
                ValueError,
                RecursionError,
            ) as error:  # a number with thousands of digits, or too deeply nested brackets
                mistakes.add(where, f"not readable JSON: {error}")
            else:
                halved = half_pair_mistake(value) if isinstance(value, dict) and _HALF_PAIR.search(line) else ""
                if halved:
                    mistakes.add(where, halved)
                elif isinstance(value, dict):
                    yield SourceRow(number, where, value)
                else:
                    mistakes.add(where, f"a JSON object {{...}} is expected, not {line.decode().strip()!r:.60}")


def half_pair_mistake(fields: dict[str, object]) -> str:
    """The first field with half a surrogate pair, in words; empty where there is none."""
    for name, value in fields.items():
        for part in (name, value):
            mistake = json_mistake(part)
            if mistake:
                return f"the field {name!r} {mistake}"
    return ""


def _json(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    repeats: Repeats = []
    try:
        rows = parse_json(text, repeats)
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
    may_be_halved = bool(_HALF_PAIR.search(text))
    for number, value in enumerate(rows, 1):
        where = f"row {number}"
        twice = next((key for holder, key in repeats if holds(value, holder)), None) if repeats else None
        halved = half_pair_mistake(value) if may_be_halved and isinstance(value, dict) else ""
        if twice is not None:
            mistakes.add(where, repeated_key(twice))
        elif halved:
            mistakes.add(where, halved)
        elif isinstance(value, dict):
            yield SourceRow(number, where, value)
        else:
            mistakes.add(where, f"an object {{...}} is expected, not {value!r:.60}")


def _parquet(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    from reasonrl.data.arrow import parquet_rows

    return parquet_rows(path, mistakes)


def _csv(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)  # else an open quote takes in all further rows
        try:
            header = next(reader, [])
            if any("\0" in name for name in header):
                raise DataError(f"{path}, line 1: NUL characters. The file is torn, or UTF-16. Save it as UTF-8")
            twice = sorted({name for name in header if header.count(name) > 1})
            if twice:
                raise DataError(f"{path}, line 1: two columns have the same name: {', '.join(map(repr, twice))}")
            start = reader.line_num + 1
            for values in reader:
                where, number, start = f"line {start}", start, reader.line_num + 1
                if not any(values):
                    continue
                if any("\0" in value for value in values):
                    mistakes.add(where, "NUL characters: the file is torn, or UTF-16. Save it as UTF-8")
                elif any(_SPACED_QUOTES.fullmatch(value) for value in values):
                    mistakes.add(where, "a quote after a space does not quote. Remove the space after the comma")
                elif len(values) == len(header):
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
