"""PCL, DUMP, and the success rates that they and the budgets share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from reasonrl.curricula.dump import DumpCurriculum
from reasonrl.curricula.history import SuccessHistory
from reasonrl.curricula.pcl import PCLCurriculum, select
from reasonrl.curricula.rates import LOWEST, SuccessRates
from reasonrl.curricula.value_model import ValueModel
from verifiers.types import Problem


def problem(name: str, source: str = "a") -> Problem:
    return Problem(id=name, prompt=name, kind="math", reference={"answer": "1"}, source=source, meta={})


POOL = [problem(f"p{i:02}") for i in range(40)]


def truth(one: Problem) -> float:
    return int(one.id[1:]) / 39


def features(problems: Sequence[Problem]) -> Tensor:
    """What a good representation would be: the success rate is linear in it, with noise beside it."""
    generator = torch.Generator().manual_seed(len(problems))
    rates = torch.tensor([truth(one) for one in problems])
    return torch.cat([rates[:, None] * 3, torch.randn(len(problems), 7, generator=generator) * 0.1], 1)


def made_rates(source: str) -> SuccessRates:
    return SuccessRates(source, history=SuccessHistory(), value_model=ValueModel(min_count=8), features=features)  # type: ignore[arg-type]


def test_the_nearest_first_and_the_unknown_at_the_goal() -> None:
    assert select([0.9, None, 0.45, 0.1], 3) == [1, 2, 0]
    assert select([0.2, 0.8], 2) == [0, 1]
    with pytest.raises(ValueError, match="3 of 2"):
        select([0.1, 0.2], 3)
    with pytest.raises(ValueError, match="candidate 1"):
        select([0.1, float("nan")], 1)


def test_the_value_model_learns_which_prompts_are_hard() -> None:
    rates = made_rates("value")
    assert rates.estimate(POOL) == [None] * len(POOL)
    rates.observe(POOL, [[k < round(8 * truth(one)) for k in range(8)] for one in POOL])
    rates.begin_step()
    predicted = rates.estimate(POOL)
    errors = [abs(value - truth(one)) for value, one in zip(predicted, POOL, strict=True) if value is not None]
    assert len(errors) == len(POOL) and sum(errors) / len(errors) < 0.1
    assert all(LOWEST <= value <= 1 - LOWEST for value in predicted if value is not None)


def test_the_history_is_trusted_more_as_it_grows() -> None:
    rates = made_rates("blend")
    rates.observe(POOL, [[True] * 8] * len(POOL))  # everything looks easy
    rates.begin_step()
    hard = POOL[0]
    before = rates.estimate([hard])[0]
    rates.observe([hard], [[False] * 16])
    after = rates.estimate([hard])[0]
    assert before is not None and after is not None and before > 0.9 and after < 0.2


def test_a_window_that_shrinks_and_grows() -> None:
    history = SuccessHistory(window=4, min_count=2)
    history.update("p", [True])
    assert history.rate("p") is None
    history.update("p", [])
    history.update("p", [False, False])
    assert history.rate("p") == pytest.approx(1 / 3)
    history.update("p", [True, True, True, False])
    assert history.rate("p") == 0.75 and history.count("p") == 7


def test_pcl_takes_problems_that_are_half_solved() -> None:
    rates = made_rates("value")
    rates.observe(POOL, [[k < round(8 * truth(one)) for k in range(8)] for one in POOL])
    rates.begin_step()
    curriculum = PCLCurriculum(POOL, 0, rates, candidates_per_prompt=4)
    chosen = curriculum.select(8)
    assert len({one.id for one in chosen}) == 8
    assert all(0.2 < truth(one) < 0.8 for one in chosen)
    assert len(curriculum.select(40)) == 40  # as many as there are: nothing to choose from


def test_pcl_takes_no_problem_twice_in_a_step_that_spans_two_passes() -> None:
    pool = POOL[:30]
    curriculum = PCLCurriculum(pool, 0, made_rates("history"), candidates_per_prompt=4)
    for _ in range(20):
        curriculum.begin_step()
        chosen = curriculum.select(5) + curriculum.select(2)  # the second is a refill
        assert len({one.id for one in chosen}) == 7
    curriculum.begin_step()
    assert len(curriculum.select(40)) == 40  # more than there are


def test_dump_draws_from_the_source_that_teaches() -> None:
    pool = [problem(f"p{i}", "good" if i % 2 else "dull") for i in range(40)]
    curriculum = DumpCurriculum(pool, 0)
    first = Counter(one.source for one in curriculum.select(400))
    assert 150 < first["good"] < 250
    curriculum.observe_advantages(pool * 5, [1.0 if one.source == "good" else 0.0 for one in pool * 5])
    assert Counter(one.source for one in curriculum.select(400))["good"] > 390


def test_all_state_is_in_the_state() -> None:
    """Through JSON and tensors, as a checkpoint keeps it."""
    rates = made_rates("blend")
    rates.observe(POOL[:20], [[True, False] * 4] * 20)
    curriculum = PCLCurriculum(POOL, 3, rates)
    curriculum.select(4)
    dump = DumpCurriculum(POOL, 3)
    dump.select(5)
    dump.observe_advantages(POOL[:3], [0.5, -1.0, 0.0])
    fresh_rates = made_rates("blend")
    fresh, fresh_dump = PCLCurriculum(POOL, 3, fresh_rates), DumpCurriculum(POOL, 3)
    fresh_rates.load_state_dict(json.loads(json.dumps(rates.state_dict())))
    fresh_rates.load_tensors(rates.tensors())
    fresh.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    fresh_dump.load_state_dict(json.loads(json.dumps(dump.state_dict())))
    rates.begin_step()
    assert fresh_rates.estimate(POOL) == rates.estimate(POOL)
    assert fresh.select(6) == curriculum.select(6)
    assert fresh_dump.select(9) == dump.select(9) and fresh_dump.weights() == dump.weights()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="value model"):
        SuccessRates("value", history=SuccessHistory())
    with pytest.raises(ValueError, match="window"):
        SuccessHistory(window=0)
    with pytest.raises(ValueError, match="ridge"):
        ValueModel(ridge=0)
