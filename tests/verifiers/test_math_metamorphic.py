"""The verdict stays through rewrites that keep an answer, and changes with those that change it: 2,000 generated pairs.

`.venv/bin/python -m tests.verifiers.metamorphic.survey 2000` prints what fails, by transformation.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.verifiers.metamorphic.case import FAMILIES, Case
from tests.verifiers.metamorphic.generate import generated
from tests.verifiers.metamorphic.hedges import HEDGES
from tests.verifiers.metamorphic.layout import LAYOUTS
from tests.verifiers.metamorphic.survey import cases_of_rows, check
from tests.verifiers.metamorphic.wording import WORDINGS

PAIRS = 2_000
ROWS = "METAMORPHIC_ROWS"
"""The environment variable that names a JSONL file with gold, pred, equivalent: its answers are rewritten as well."""

KNOWN_REFUSALS: dict[str, str] = {}
"""Transformations whose right answers are refused, with the reason: at most 0.5% of the answers in all."""


def test_there_are_enough_transformations_of_both_kinds() -> None:
    rewrites = [step for family in FAMILIES for step in family.transformations]
    names = [step.name for step in rewrites]
    assert len(set(names)) == len(names)
    assert sum(step.keeps for step in rewrites) + len(LAYOUTS) + len(WORDINGS) >= 100
    assert sum(not step.keeps for step in rewrites) + len(HEDGES) >= 100


def test_the_same_seed_gives_the_same_cases_of_every_kind() -> None:
    cases = generated(PAIRS, seed=1)
    assert cases == generated(PAIRS, seed=1)
    assert min(sum(case.equal for case in cases), sum(not case.equal for case in cases)) > 0.3 * PAIRS
    assert {case.mode for case in cases} == {"bare", "lenient", "strict"}
    assert any(len(case.trail) >= 3 for case in cases)


def test_a_wrong_verdict_fails_with_the_shortest_case() -> None:
    right = Case("5", "5", True, "bare", ("integer",))
    refused = [Case("5", answer, True, "bare", ("integer", "digit")) for answer in ("6 + 1", "6")]
    with pytest.raises(AssertionError, match=r"0 accepted, 2 refused\ninteger > digit\n    gold '5'  bare '6'\n"):
        check([right, *refused])
    with pytest.raises(AssertionError, match="2 refused, at most 0"):
        check([right, *refused], {"digit": "a known fault"})
    with pytest.raises(AssertionError, match="1 accepted, 0 refused"):
        check([right, Case("5", "The answer is 5.0.", False, "strict", ("integer",))], {"integer": "a known fault"})
    check([right, Case("5", "6", False, "bare", ("integer",))])


def test_generated_answers_get_the_verdict_that_they_were_made_for() -> None:
    check(generated(PAIRS, seed=1), KNOWN_REFUSALS)


@pytest.mark.skipif(ROWS not in os.environ, reason=f"{ROWS} names no file")
def test_rows_of_a_file_keep_their_verdict() -> None:
    check(cases_of_rows(Path(os.environ[ROWS]), PAIRS, seed=1), KNOWN_REFUSALS)
