"""The nearest valid name for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The candidate most like `word`, whatever its case; None where no similarity (0 to 1) reaches `cutoff`."""
    by_lower_case = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(word.lower(), list(by_lower_case), n=1, cutoff=cutoff)
    return by_lower_case[matches[0]] if matches else None


def did_you_mean(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> str:
    """`did you mean 'x'?` with the nearest candidate; empty where none is near."""
    candidate = nearest(word, candidates, cutoff=cutoff)
    return "" if candidate is None else f"did you mean '{candidate}'?"
