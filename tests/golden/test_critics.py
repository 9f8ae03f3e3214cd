"""Rewards and metrics of critics against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from critics import rewards
from critics.metrics import discrimination, process_bench, refinement_table
from critics.rewards import LabelWeight, Term
from critics.types import CriticEpisode, Judgement
from tests.critics.episodes import episode
from tests.golden.checks import cases_of, near
from tests.golden.files import Case

TERMS: dict[str, Callable[..., Term]] = {
    "critique_rl": rewards.critique_rl,
    "refcritic": rewards.refcritic,
    "ctrl": rewards.ctrl,
    "criticlean": rewards.criticlean,
    "crl": rewards.critique_coder,
    "deepcritic": rewards.deepcritic,
    "spc": rewards.spc_critic,
    "label_weight": LabelWeight,
}


def episodes_of(case: Case) -> list[CriticEpisode]:
    return [episode_of(row) for row in case["input"]["episodes"]]


def episode_of(row: dict[str, Any]) -> CriticEpisode:
    judgement = None if row["judgement"] is None else Judgement(row["judgement"])
    facts = {key: row[key] for key in ("steps", "first_error", "named") if key in row}
    return episode(row["correct"], judgement, row["refined"], **facts)


def check_reward(case: Case) -> None:
    term = TERMS[case["input"]["reward"]](**case["input"]["settings"])
    values = [term(critique) for critique in episodes_of(case)]
    assert [value is None for value in values] == [value is None for value in case["expected"]]
    near([v for v in values if v is not None], [v for v in case["expected"] if v is not None])


@cases_of("critics")
def test_critics(case: Case) -> None:
    given, expected = case["input"], case["expected"]
    if case["method"] == "critic_reward":
        check_reward(case)
    elif case["method"] == "sneaky_reward":
        settings = {key: given[key] for key in given if key != "outcomes"}
        near([rewards.sneaky_reward(*outcome, **settings) for outcome in given["outcomes"]], expected)
    else:
        table: Any
        if case["method"] == "process_bench":
            table = process_bench(given["predicted"], given["labels"])
        else:
            count = {"discrimination": discrimination, "refinement_table": refinement_table}[case["method"]]
            table = count(episodes_of(case))
        for name, value in expected.items():
            near(getattr(table, name), value)
