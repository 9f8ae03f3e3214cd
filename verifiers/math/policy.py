"""What counts as the same answer where reasonable people differ. Stated here, not hidden in the code that compares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class MathPolicy:
    """Defaults are those of a lenient human grader who has seen the question."""

    percent: Literal["either", "fraction", "number"] = "either"
    """50% equals 0.5 ("fraction"), 50 ("number": the question asked for a percentage), or both."""
    rounding_digits: int | None = 3
    """A decimal equals a fraction or an irrational number that it is cut or rounded from, if it has a decimal point and
    at least this many significant digits: 85.71 for 600/7. Also the other way round, when the reference is the decimal.
    None: never.
    """
    missing_units: bool = True
    """10 equals 10 cm, and 45 equals 45 degrees. Two known units that differ never are (cm and m)."""
    assignments: bool = True
    """5 equals x = 5, and 2x + 1 equals f(x) = 2x + 1."""
    rename_parameters: bool = True
    """k pi equals n pi: the letter of the free integer of a general solution (k, n, m, l, t, s beside pi or degrees),
    and whether a constant is c or C, is not part of the answer.
    """
    quoted_words: bool = True
    """A name or a phrase of two content words equals a reference that is a whole sentence around it: Petya for "Petya
    will receive the last token." Never when the sentence denies something.
    """
    sentences: bool = True
    """34 is read out of "The largest n is 34", 3 out of "Jane started 3 hours ago", and C out of "(C) 12 dollars"."""
    worked_out: bool = True
    """An equation equals its right side: log_2 8 = 3 is 3."""
    missing_base: bool = True
    """The digits 4210 equal 4210 in base 7; but 4210 in base 7 does not equal the decimal number 4210."""
    order_of_lists: Literal["ignored", "kept"] = "ignored"
    """Bare lists and sets; the members of (a, b) are always in order."""

    def both_ways(self) -> MathPolicy:
        """The same without the four fields that have a direction: they read something into the answer, never into the
        reference.
        """
        return replace(self, quoted_words=False, sentences=False, worked_out=False, missing_base=False)

    def __post_init__(self) -> None:
        if self.percent not in ("either", "fraction", "number"):
            raise ValueError(f"percent is {self.percent!r}; write either, fraction or number")
        if self.order_of_lists not in ("ignored", "kept"):
            raise ValueError(f"order_of_lists is {self.order_of_lists!r}; write ignored or kept")
        if self.rounding_digits is not None and self.rounding_digits < 1:
            raise ValueError(f"rounding_digits is {self.rounding_digits}; write a number above 0, or null for never")
