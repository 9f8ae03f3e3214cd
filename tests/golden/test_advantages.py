"""Advantages, credit of tokens, shaped rewards and selection against the reference."""

from __future__ import annotations

from collections.abc import Callable

import torch

from reasonrl.algorithms.batch import length_mask, pad_rows
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.length import overlong_penalty
from reasonrl.algorithms.moments import PromptMoments
from reasonrl.algorithms.selection import clip_advantages, high_entropy_tokens, most_spread_rows
from reasonrl.algorithms.tempo import tempo_advantages
from reasonrl.algorithms.unlikeliness import unlikeliness_rewards
from tests.golden.checks import cases_of, group_of, near, near_rows, padded, reals, rewards_of, settings_of
from tests.golden.files import Case


@cases_of("advantages")
def test_advantages(case: Case) -> None:
    name, given = case["method"], case["input"]
    rewards, judged = rewards_of(case)
    arguments = settings_of(case, "eps", "part_weights", "smoothed")
    if "lengths" in given:
        arguments["lengths"] = torch.tensor(given["lengths"])
    for key in ("greedy_rewards", "predictions"):
        if key in given:
            arguments[key] = reals(given[key])
    if "reward_parts" in given:
        arguments["reward_parts"] = {part: reals(column) for part, column in given["reward_parts"].items()}
    expected = case["expected"]
    if name == "dcpo":
        moments = {key: PromptMoments(*values) for key, values in given["past"].items()}
        arguments |= {"problem_id": given["groups"], "moments": moments}
        expected = expected["advantages"]
    advantages = ADVANTAGES[name].load()(rewards, group_of(case), judged, **arguments)
    near(advantages, expected)
    assert bool((advantages[~judged] == 0).all())
    if name == "dcpo":
        assert moments.keys() == case["expected"]["moments"].keys()
        for key, values in case["expected"]["moments"].items():
            near([moments[key].visits, moments[key].mean, moments[key].std], values)


def tempo(case: Case, rewards: torch.Tensor, judged: torch.Tensor) -> None:
    given = case["input"]
    real = length_mask([len(row) for row in given["tokens"]])
    written = given.get("policy_tokens")
    mask = real if written is None else padded(written).bool()
    for padding in (0, 2):  # both are tokens of some cases: padding must never be taken for one
        advantages = tempo_advantages(
            pad_rows(given["tokens"], torch.long, padding),
            mask,
            rewards,
            group_of(case),
            judged=judged,
            token_mask=real,
            **settings_of(case, "norm_by_std", "eps"),
        )
        near_rows(advantages, case["expected"])
        assert bool((advantages[~mask] == 0).all())


def unlikeliness(case: Case) -> torch.Tensor:
    rewards, judged = rewards_of(case)
    logprobs = reals(case["input"]["mean_logprobs"])
    return unlikeliness_rewards(rewards, logprobs, group_of(case), judged=judged, **settings_of(case, "beta"))


def check_unlikeliness(case: Case) -> None:
    shaped, (_, judged) = unlikeliness(case), rewards_of(case)
    near(shaped[judged], [value for value in case["expected"] if value is not None])


def check_overlong(case: Case) -> None:
    lengths = torch.tensor(case["input"]["lengths"])
    near(overlong_penalty(lengths, **settings_of(case, "max_length", "buffer", "factor")), case["expected"])


CREDIT: dict[str, Callable[[Case], None]] = {
    "tempo": lambda case: tempo(case, *rewards_of(case)),
    "unlikeliness": check_unlikeliness,
    "unlikeliness_then_tempo": lambda case: tempo(case, unlikeliness(case), rewards_of(case)[1]),
    "overlong": check_overlong,
}


@cases_of("credit")
def test_credit_and_shaping(case: Case) -> None:
    CREDIT[case["method"]](case)


@cases_of("selection")
def test_selection(case: Case) -> None:
    given, expected = case["input"], case["expected"]
    if case["method"] == "clip_advantages":
        near(clip_advantages(reals(given["advantages"]), given["bound"]), expected)
    elif case["method"] == "most_spread_rows":
        assert most_spread_rows(reals(given["advantages"]), given["count"]).tolist() == expected
    else:
        mask = length_mask([len(row) for row in expected])
        advantages, entropy = padded(given["advantages"]), padded(given["entropy"])
        near_rows(high_entropy_tokens(advantages, entropy, mask, given["share"]), expected)
