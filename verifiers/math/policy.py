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
    """34 is read out of "The largest n is 34", 3 out of "Jane started 3 hours ago", D out of "D, it cannot be A"."""
    worked_out: bool = True
    """An equation equals its right side: log_2 8 = 3 is 3."""
    missing_base: bool = True
    """The digits 4210 equal 4210 in base 7; but 4210 in base 7 does not equal the decimal number 4210."""
    list_order: Literal["any", "same"] = "any"
    """Whether a bare list "2, 3, 4" must come in the order of the reference. The members of (a, b), and of lists with
    labels or indices ("x = 2, y = 3", "(a) 2 (b) 3", "T(1), T(2) = 2, 3"), are in order in any case; those of {a, b}
    are not.
    """
    calculations: Literal["any", "wrong"] = "any"
    """Whether "24 - 9" may stand for 15. Where questions are calculations themselves, "any" pays a policy for writing
    the question down again: write "wrong" there. A fraction, a sign, a percentage and 3 * 10^5 are numbers in any case.
    """
    unevaluated: Literal["wrong", "mask"] = "wrong"
    """A final answer that takes more work to evaluate than `effort.MAX_TERMS` terms, or an integral or a limit that the
    reference does not have: wrong, or not judged.
    """

    def both_ways(self) -> MathPolicy:
        """The same without the four fields that have a direction: they read something into the answer, never into the
        reference.
        """
        return replace(self, quoted_words=False, sentences=False, worked_out=False, missing_base=False)

    def __post_init__(self) -> None:
        if self.percent not in ("either", "fraction", "number"):
            raise ValueError(f"percent is {self.percent!r}; write either, fraction or number")
        if self.list_order not in ("any", "same"):
            raise ValueError(f"list_order is {self.list_order!r}; write any or same")
        if self.calculations not in ("any", "wrong"):
            raise ValueError(f"calculations is {self.calculations!r}; write any or wrong")
        if self.unevaluated not in ("wrong", "mask"):
            raise ValueError(f"unevaluated is {self.unevaluated!r}; write wrong or mask")
        if self.rounding_digits is not None and self.rounding_digits < 1:
            raise ValueError(f"rounding_digits is {self.rounding_digits}; write a number above 0, or null for never")
