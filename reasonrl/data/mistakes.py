"""Collects the mistakes of a data set, so that a user reads all of them in one message."""

from __future__ import annotations

from collections.abc import Iterable

from reasonrl.errors import DataError
from reasonrl.words import nearest

SHOWN = 10


class Mistakes:
    """The mistakes found so far in one source. The same mistake in many rows takes one line of the message."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._rows: dict[str, list[str]] = {}

    def add(self, where: str, text: str) -> None:
        """Notes a mistake; `where` is the place in the source, such as "line 3"."""
        self._rows.setdefault(text, []).append(where)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values())

    def raise_if_any(self) -> None:
        """Raises DataError with the first ten different mistakes and the count of all."""
        if not self._rows:
            return
        lines = []
        for text, rows in list(self._rows.items())[:SHOWN]:
            more = f" and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            lines.append(f"  {rows[0]}{more}: {text}")
        if len(self._rows) > SHOWN:
            remaining = sum(len(rows) for rows in list(self._rows.values())[SHOWN:])
            lines.append(f"  ... and {remaining:,} more")
        count = len(self)
        raise DataError(
            f"{self.source}: {count:,} mistake{'s' if count > 1 else ''}, nothing was loaded:\n"
            + printable("\n".join(lines))
        )


def printable(text: str) -> str:
    """The text with halves of surrogate pairs spelt out, so that every terminal can show it."""
    return text.encode("utf-8", "backslashreplace").decode()


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` with the nearest known name; empty where none is near."""
    name = nearest(word, known)
    return "" if name is None else f" Did you mean {name!r}?"


def refuse_unknown(names: Iterable[str], known: Iterable[str], what: str, *, shown: Iterable[str] = ()) -> None:
    """Raises DataError for every name that is not in `known`. `what` opens the message; `shown` are options that were
    taken out before and are named too.
    """
    known = list(known)
    options = [*known, *shown]
    wrong = [f"unknown option {name!r}.{suggestion(name, options)}" for name in names if name not in known]
    if wrong:
        raise DataError(f"{what}: {' '.join(wrong)} Options: {', '.join(options) or 'none'}.")
