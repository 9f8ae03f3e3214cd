"""Rows of parquet files. Each value is as it was written, or a mistake of its row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonrl.data.mistakes import Mistakes
from reasonrl.data.numbers import shortest
from reasonrl.data.rows import SourceRow, jsonable
from reasonrl.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Convert = Callable[[Any], Any]
BATCH_ROWS = 1000
_UNREADABLE = (ValueError, OverflowError, KeyError)
"""What pyarrow raises for text that is not UTF-8, for dates beyond Python's years and for unknown time zones."""


def parquet_rows(path: Path, mistakes: Mistakes) -> Iterator[SourceRow]:
    """The rows of a parquet file. A value that cannot be read is a mistake of its row.

    Raises:
        DataError: the file is not parquet, or two columns or two fields of a struct have the same name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            twice = repeated_name(list(file.schema_arrow))
            if twice:
                raise DataError(f"{path}: two columns have the same name: {twice!r}. Rename one or leave it out")
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for fields in _batch_rows(batch, number, mistakes):
                    number += 1
                    if fields is not None:
                        yield SourceRow(number, f"row {number}", jsonable(fields))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not readable as parquet: {error}") from error


def repeated_name(fields: list[pa.Field], prefix: str = "") -> str | None:
    """The first name that is there twice among columns, or among the fields of one struct, with its path in dots."""
    names = [field.name for field in fields]
    for field in fields:
        if names.count(field.name) > 1:
            return f"{prefix}{field.name}"
        inner = repeated_name(_children(field.type), f"{prefix}{field.name}.")
        if inner is not None:
            return inner
    return None


def exact_floats(kind: pa.DataType) -> Convert | None:
    """A function that turns the floats of a value of this type into their shortest form; None where it has no narrow
    floats. The value is what `to_pylist` gives.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_float32(kind) or types.is_float16(kind):
        width = 4 if types.is_float32(kind) else 2
        return lambda value: None if value is None else shortest(value, width)
    if isinstance(kind, pa.BaseExtensionType):
        return exact_floats(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return exact_floats(kind.value_type)
    if types.is_map(kind):
        return _exact_pairs(exact_floats(kind.key_type), exact_floats(kind.item_type))
    if types.is_struct(kind):
        return _exact_struct({field.name: exact_floats(field.type) for field in kind})
    if types.is_nested(kind) and kind.num_fields == 1:
        return _exact_list(exact_floats(kind.field(0).type))
    return None


def _exact_pairs(key: Convert | None, item: Convert | None) -> Convert | None:
    if key is None and item is None:
        return None
    return lambda value: value and [(key(k) if key else k, item(v) if item else v) for k, v in value]


def _exact_struct(inner: dict[str, Convert | None]) -> Convert | None:
    used = {name: convert for name, convert in inner.items() if convert is not None}
    if not used:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: used[name](item) if name in used else item for name, item in value.items()}

    return convert


def _exact_list(inner: Convert | None) -> Convert | None:
    if inner is None:
        return None
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else value


def _children(kind: pa.DataType) -> list[pa.Field]:
    import pyarrow as pa

    return [kind.field(i) for i in range(kind.num_fields)] if pa.types.is_nested(kind) else []


def _batch_rows(batch: pa.RecordBatch, before: int, mistakes: Mistakes) -> Iterator[dict[str, Any] | None]:
    """The rows of a batch; None for a row with a value that cannot be read."""
    unreadable: set[int] = set()
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values = column.to_pylist()
        except _UNREADABLE:
            values = []
            for index, cell in enumerate(column):
                try:
                    values.append(cell.as_py())
                except _UNREADABLE as error:
                    values.append(None)
                    unreadable.add(index)
                    mistakes.add(f"row {before + index + 1}", f"the value of {name!r} cannot be read: {error}")
        exact = exact_floats(column.type)
        columns.append(values if exact is None else [exact(value) for value in values])
    for index in range(batch.num_rows):
        values = [column[index] for column in columns]
        yield None if index in unreadable else dict(zip(batch.schema.names, values, strict=True))
