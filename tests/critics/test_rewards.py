"""Rewards of the papers, number by number (checklist: 1, 2, 4 to 8), and what terms do with what could not be
judged.
"""

from __future__ import annotations

import itertools

import pytest

from critics import rewards
from critics.rewards import (
    Discriminability,
    FormatGate,
    FormatRead,
    Gate,
    Helpfulness,
    IndexMatch,
    LabelWeight,
    LeakPenalty,
    Minimum,
    Piecewise,
    Validation,
    WeightedSum,
    sneaky_reward,
)
from tests.critics.episodes import CORRECT, INCORRECT, episode

RIGHT_HELPS, RIGHT_FAILS = episode(False, INCORRECT, [True]), episode(False, INCORRECT, [False])
WRONG_HELPS, UNREAD = episode(False, CORRECT, [True]), episode(False, None, [False])


def test_critique_rl_phase_two() -> None:
    code = rewards.critique_rl(2, variant="code")
    assert [code(e) for e in (RIGHT_HELPS, RIGHT_FAILS, WRONG_HELPS, UNREAD)] == [1.2, 0.2, -1.0, -1.0]
    paper = rewards.critique_rl(2)
    assert [paper(e) for e in (RIGHT_HELPS, RIGHT_FAILS, WRONG_HELPS, UNREAD)] == [1.2, 0.2, 1.0, 0.0]


def test_critique_rl_phase_one() -> None:
    four = (RIGHT_HELPS, RIGHT_FAILS, WRONG_HELPS, UNREAD)
    assert [rewards.critique_rl(1)(e) for e in four] == [1, 1, 0, 0]
    assert [rewards.critique_rl(1, variant="code")(e) for e in four] == [1, 1, -1, -1]
    for wrong in ({"phase": 3}, {"phase": 1, "variant": "mine"}):
        with pytest.raises(ValueError, match=r"must be 1 or 2|must be paper or code"):
            rewards.critique_rl(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "table"),
    [
        ("correction", {(True, True): 0.2, (True, False): 0.0, (False, True): 1.0, (False, False): 0.0}),
        ("delta", {(True, True): 0.0, (True, False): -1.0, (False, True): 1.0, (False, False): 0.0}),
        ("refine", {(True, True): 1.0, (True, False): 0.0, (False, True): 1.0, (False, False): 0.0}),
    ],
)
def test_modes_of_helpfulness(mode: str, table: dict[tuple[bool, bool], float]) -> None:
    term = Helpfulness(mode)  # type: ignore[arg-type]
    assert {
        (z, after): term(episode(z, CORRECT, [after])) for z, after in itertools.product((True, False), repeat=2)
    } == table


def test_modes_of_the_code_of_critique_rl() -> None:
    """r_correction and r_delta in the released stage II: what remains for a right judgement is the mode + 0.2."""
    cases = [
        episode(False, INCORRECT, [True]),
        episode(True, CORRECT, [True]),
        episode(False, INCORRECT, [False]),
        WRONG_HELPS,
    ]
    made = [rewards.critique_rl(2, variant="code", mode="correction")(e) for e in cases]
    assert made == pytest.approx([1.2, 0.4, 0.2, -1.0])
    cases = [
        episode(False, INCORRECT, [True]),
        episode(True, CORRECT, [True]),
        episode(True, CORRECT, [False]),
        WRONG_HELPS,
    ]
    assert [rewards.critique_rl(2, variant="code", mode="delta")(e) for e in cases] == pytest.approx(
        [1.2, 0.2, -0.8, -1.0]
    )


def test_refcritic() -> None:
    three_of_four = episode(False, INCORRECT, [True, True, True, False])
    assert rewards.refcritic(1.0)(three_of_four) == 0.875
    assert rewards.refcritic(0.0)(three_of_four) == 1.0
    assert rewards.refcritic(1.0)(RIGHT_FAILS) == 0.5
    assert rewards.refcritic(1.0, when="all")(WRONG_HELPS) == 0.5
    assert rewards.refcritic(1.0)(episode(True, INCORRECT, [False])) == 0.0
    # A solution that is called correct is handed in as it stands: R_r is whether it was.
    assert rewards.refcritic(1.0)(episode(True, CORRECT)) == 1.0
    assert rewards.refcritic(1.0)(episode(False, CORRECT)) == 0.0


def test_the_game() -> None:
    rule = Validation()
    assert rule.accepts(0.75, 0.0) and rule.accepts(1.0, 0.0)
    assert not rule.accepts(0.74, 0.0) and not rule.accepts(1.0, 0.01)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        rule.accepts(1.5, 0.0)
    assert [sneaky_reward(True, False), sneaky_reward(True, True), sneaky_reward(False, None)] == [1.0, -1.0, -1.0]
    assert sneaky_reward(False, False) == -1.0, "a step that does no harm earns nothing, whoever is fooled"
    assert sneaky_reward(True, True, detected_reward=0.0) == 0.0
    critic = rewards.spc_critic()
    spoilt = {"steps": 2, "first_error": 1}
    assert critic(episode(None, CORRECT, **spoilt)) == -1.0 and critic(episode(None, INCORRECT, **spoilt)) == 1.0
    paired = {"steps": 2, "first_error": -1}
    assert critic(episode(None, CORRECT, **paired)) == 1.0 and critic(episode(None, INCORRECT, **paired)) == -1.0
    assert critic(episode(None, None, **spoilt)) == -1.0, "an unread critique loses"


def test_criticlean_ctrl_llava_and_crl() -> None:
    assert rewards.criticlean()(RIGHT_HELPS) == 1.0 and rewards.criticlean()(WRONG_HELPS) == 0.0
    assert Minimum([lambda e: 1.0, lambda e: 0.0])(RIGHT_HELPS) == 0.0, "right, but not in the format"
    assert (
        rewards.ctrl()(UNREAD) == 0.0
        and rewards.ctrl(missing=-1.0)(UNREAD) == -1.0
        and rewards.ctrl()(WRONG_HELPS) == 1.0
    )
    assert [rewards.llava_critic(a, f) for a, f in ((1, 1), (1, 0), (0, 1))] == pytest.approx([1.0, 0.9, 0.1])
    crl = rewards.critique_coder(factor=0.8)
    assert crl(RIGHT_HELPS) == 0.8 and rewards.critique_coder()(RIGHT_HELPS) == 1.0 and crl(UNREAD) == 0.0
    assert rewards.deepcritic()(episode(False, INCORRECT, first_error=1, named=1)) == 1.0
    assert rewards.deepcritic()(episode(False, INCORRECT, first_error=1, named=0)) == 0.0


def test_gc_rl_weights() -> None:
    weight = LabelWeight(0.1)
    of_correct, of_incorrect = weight(episode(True, CORRECT)), weight(episode(False, INCORRECT))
    assert of_correct == pytest.approx(3.5) and of_incorrect == pytest.approx(0.3889, abs=1e-4)
    assert 0.1 * of_correct == pytest.approx(0.35) and 0.9 * of_incorrect == pytest.approx(0.35)
    assert weight(episode(True, INCORRECT)) == 0.0 and weight(episode(None, CORRECT)) is None
    # Unweighted, recall on correct solutions carries a NEGATIVE coefficient where few are: 0.7 (2p - 1).
    p, recall = 0.1, 1.0
    assert 0.7 * (2 * p - 1) * recall == pytest.approx(-0.56)
    with pytest.raises(ValueError, match="nothing to balance"):
        LabelWeight(1.0)


def test_what_cannot_be_judged_masks_and_is_never_zero() -> None:
    nobody_knows = episode(False, INCORRECT, [None])
    assert Helpfulness()(nobody_knows) is None
    assert Helpfulness()(episode(False, INCORRECT, [None, True])) == 1.0, "the refinements that were judged count"
    assert Helpfulness()(episode(False, INCORRECT, [])) is None, "an actor that answered nothing"
    assert rewards.critique_rl(2)(nobody_knows) is None and rewards.refcritic(1.0)(nobody_knows) is None
    assert Gate(Helpfulness())(episode(None, CORRECT)) is None and Discriminability()(episode(None, CORRECT)) is None
    assert Minimum([Discriminability(), FormatRead()])(episode(None, CORRECT)) is None
    assert IndexMatch()(episode(False, INCORRECT)) is None
    # With weight 0 a term is not asked.
    assert rewards.refcritic(0.0)(nobody_knows) == 1.0


def test_an_unread_critique_has_the_reward_that_is_stated() -> None:
    assert Discriminability(unparsed=-0.5)(UNREAD) == -0.5 and FormatRead(failed=-1.0)(UNREAD) == -1.0
    assert (
        FormatGate(Helpfulness(), failed=-1.0)(UNREAD) == -1.0
        and IndexMatch(unparsed=-1.0)(episode(False, None, first_error=0)) == -1.0
    )


def test_who_is_refined() -> None:
    assert Helpfulness(when="judged_incorrect")(episode(True, CORRECT)) == 1.0
    assert Helpfulness(when="oracle_incorrect")(episode(True, INCORRECT)) == 1.0
    assert Helpfulness(when="oracle_incorrect")(episode(False, CORRECT, [True])) == 1.0
    assert Helpfulness(when="judged_incorrect")(episode(False, None, [True])) == 1.0, (
        "unread is refined on, as 'incorrect' is"
    )
    for wrong in ({"mode": "best"}, {"when": "never"}):
        with pytest.raises(ValueError, match="one of"):
            Helpfulness(**wrong)  # type: ignore[arg-type]


def test_leak_penalty_and_sums() -> None:
    leaking = episode(False, INCORRECT, [True], feedback="The answer is 8.")
    honest = episode(False, INCORRECT, [True], feedback="Look at step 2 again.")
    assert LeakPenalty(0.5)(leaking) == -0.5 and LeakPenalty(0.5)(honest) == 0.0
    both = WeightedSum([(1.0, Helpfulness()), (1.0, LeakPenalty(0.5))])
    assert both(leaking) == 0.5 and both(honest) == 1.0


def test_schedules() -> None:
    schedule = Piecewise([(0, 0.0), (100, 1.0)])
    assert [schedule.at(step) for step in (1, 100, 101, 500)] == [0.0, 0.0, 1.0, 1.0]
    for points in ([], [(5, 1.0)], [(0, 1.0), (9, 2.0), (3, 1.0)]):
        with pytest.raises(ValueError, match="must begin at 0"):
            Piecewise(points)
