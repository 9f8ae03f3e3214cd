"""The metamorphic tests and the adversary of the math verifier at ten times their size, from another seed."""

from __future__ import annotations

import pytest

from tests.verifiers.metamorphic.adversary import adversaries
from tests.verifiers.metamorphic.generate import generated
from tests.verifiers.metamorphic.survey import check
from tests.verifiers.test_math_metamorphic import KNOWN_REFUSALS

PAIRS = 20_000


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("cases", [generated, adversaries])
def test_the_math_verifier_is_right_on_20_000_pairs(cases) -> None:  # type: ignore[no-untyped-def]
    check(cases(PAIRS, seed=20), KNOWN_REFUSALS)
