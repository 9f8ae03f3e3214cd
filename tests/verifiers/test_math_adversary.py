"""2,000 responses that a policy could learn to write for credit are paid nothing in strict mode."""

from __future__ import annotations

import collections

from tests.verifiers.metamorphic.adversary import adversaries
from tests.verifiers.metamorphic.survey import judged

RESPONSES = 2_000


def test_the_attacks_differ_and_hold_what_they_attack() -> None:
    cases = adversaries(RESPONSES, seed=1)
    assert len(cases) == RESPONSES
    assert len({(case.gold, case.answer) for case in cases}) > 0.9 * RESPONSES
    assert len({case.trail for case in cases}) >= 100
    assert cases == adversaries(RESPONSES, seed=1)


def test_no_attack_is_paid() -> None:
    cases = adversaries(RESPONSES, seed=1)
    paid = sorted(
        (case for case, verdict in zip(cases, judged(cases), strict=True) if verdict.correct is not False),
        key=lambda case: case.length,
    )
    kinds = collections.Counter(case.trail[-1] for case in paid)
    shown = "\n".join(f"{case.trail[-1]}: gold {case.gold!r}, response {case.answer!r}" for case in paid[:20])
    assert not paid, f"{len(paid)} of {len(cases)} are paid or not judged: {dict(kinds)}\n{shown}"
