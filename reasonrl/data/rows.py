"""One row of a data source, and its values in JSON's types."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from reasonrl.data.numbers import listed

_MISSING = ("NAType", "NaTType")
"""The types of pandas for a value that is not there."""


class SourceRow(NamedTuple):
    """One row as it was in the source."""

    number: int
    """1-based: the line of a .jsonl or .csv file, the row of any other source."""
    where: str
    """The number in words: "line 3" or "row 3"."""
    fields: dict[str, Any]


def jsonable(value: Any) -> Any:
    """The value in JSON's types: arrays and sets become lists, dates and decimals text, and a narrow float the number
    that was written. Fields that hold bytes (images) are left out.
    """
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items() if not isinstance(item, bytes | bytearray)}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(item) for item in value), key=repr)
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta | UUID):
        return str(value)
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else float("nan")
    if hasattr(value, "tolist"):  # numpy scalars and arrays, as pandas gives them
        plain = listed(value)
        return plain if hasattr(plain, "tolist") else jsonable(plain)
    return value
