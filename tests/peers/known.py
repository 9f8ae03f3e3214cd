"""Verdicts of ours that look wrong, by case, with what happens. Each of them is in the tests as it is: a test fails as
soon as none of an entry is wrong any more, so that the list stays true.
"""

from __future__ import annotations

import re

LOOKS_WRONG = {
    r"gsm8k phrase, then a remark, .*": (
        "'The answer is 12. This took 3 steps.': the phrase is not read, because a sentence follows it, and 3 is"
    ),
    r"gsm8k form minus 8, .*": "'The answer is minus 8': 'minus' in front of a number is not read, 'twelve' is",
    r"gsm8k denied, 0, right": "'The answer is not 0': the letters of 'not' are read as factors, and the product is 0",
    r"gsm8k-43": "'The answer is 750 m$^2$.': a unit with its power in dollars is read as a product",
    r"math formula last, \\text\{(Tuesday|even)\}, .*": (
        "'With $t = 2$ this becomes $\\text{even}$.': the last formula is taken for a unit, and t = 2 is read"
    ),
}
"""Pattern of ids -> what is read, and how."""


def looks_wrong(case_id: str) -> str | None:
    """What is wrong with our verdict on a case; None for most."""
    return next((text for pattern, text in LOOKS_WRONG.items() if re.fullmatch(pattern, case_id)), None)


def check_list(wrong: set[str], judged: set[str]) -> None:
    """Asserts that every wrong verdict is listed, and that every entry about a judged case has a wrong one."""
    unlisted = sorted(case for case in wrong if looks_wrong(case) is None)
    assert not unlisted, f"verdicts that look wrong and are not in tests/peers/known.py: {unlisted}"
    for pattern in LOOKS_WRONG:
        concerned = {case for case in judged if re.fullmatch(pattern, case)}
        assert not concerned or concerned & wrong, f"no longer wrong, take it off the list: {pattern}"
