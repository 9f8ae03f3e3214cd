"""Losses, their gradients, their weights and corrections against the reference."""

from __future__ import annotations

import torch
from torch import Tensor

from reasonrl.algorithms.batch import pad_rows
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.critique_grpo import critique_grpo_loss
from reasonrl.algorithms.losses.disco import disco_loss, trust_region
from reasonrl.algorithms.losses.drpo import drpo_loss
from reasonrl.algorithms.losses.token_loss import token_loss
from reasonrl.algorithms.losses.trpa import trpa_loss
from reasonrl.algorithms.mismatch import Correction
from tests.golden import reference
from tests.golden.checks import cases_of, group_of, near, near_rows, padded, reals, settings_of
from tests.golden.files import Case


def check_token_loss(case: Case) -> None:
    given, expected = case["input"], case["expected"]
    logprobs = padded(given["logprobs"]).requires_grad_(True)
    old_logprobs, advantages, mask = (padded(given[key]) for key in ("old_logprobs", "advantages", "mask"))
    settings = settings_of(case, "clip_low", "clip_high", "dual_clip", "mirror_beta")
    losses, clipped = token_loss(case["method"], logprobs, old_logprobs, advantages, mask.bool(), **settings)
    near_rows(losses, expected["loss"])
    (gradient,) = torch.autograd.grad((losses * mask).sum(), logprobs)
    near_rows(gradient, expected["gradient"])
    if clipped is None:
        assert {value for row in expected["clipped"] for value in row} <= {None}
    else:
        near_rows(clipped, expected["clipped"])


def check_kl(case: Case) -> None:
    logprobs, ref_logprobs = reals(case["input"]["logprobs"]), reals(case["input"]["ref_logprobs"])
    logprobs.requires_grad_(True)
    for name in ("k1", "k2", "k3"):
        estimate = kl_estimate(logprobs, ref_logprobs, name)
        near(estimate, case["expected"][name])
        near(torch.autograd.grad(estimate.sum(), logprobs)[0], case["expected"][f"{name}_gradient"])


def check_mismatch(case: Case) -> None:
    train, rollout, mask = (padded(case["input"][key]) for key in ("train_logprobs", "rollout_logprobs", "mask"))
    correction = Correction(**settings_of(case, "name", "cap", "low", "high", "reject_above"))
    weights = correction.weights(train, rollout, mask.bool())
    assert weights is not None
    near_rows(weights, case["expected"])


@cases_of("losses")
def test_token_losses(case: Case) -> None:
    given = case["input"]
    if case["method"] in reference.TOKEN_LOSSES:
        check_token_loss(case)
    elif case["method"] == "critique_grpo":
        logprobs, advantages = padded(given["logprobs"]), padded(given["advantages"])
        near_rows(critique_grpo_loss(logprobs, advantages, **settings_of(case, "gamma")), case["expected"])
    elif case["method"] == "token_weights":
        mask = pad_rows(given["mask"], torch.long).bool()
        weights = token_weights(mask, given["mode"], given["max_new_tokens"])
        near_rows(weights, case["expected"])
        assert bool((weights[~mask] == 0).all())
    elif case["method"] == "kl":
        check_kl(case)
    else:
        check_mismatch(case)


def row_loss(case: Case, scores: Tensor) -> Tensor:
    given, method = case["input"], case["method"]
    if method == "trpa":
        return trpa_loss(scores, reals(given["rewards"]), group_of(case), **settings_of(case, "beta", "best"))
    correct = torch.tensor(given["correct"])
    if method == "disco":
        return disco_loss(scores, correct, group_of(case), **settings_of(case, "tau"))
    lengths = torch.tensor(given["lengths"])
    return drpo_loss(scores, correct, group_of(case), lengths, **settings_of(case, "max_length", "temperature", "tau"))


@cases_of("row_losses")
def test_losses_over_the_responses_of_a_prompt(case: Case) -> None:
    given = case["input"]
    if case["method"] == "trust_region":
        near(trust_region(reals(given["scores"]), reals(given["old_scores"])), case["expected"])
        return
    scores = reals(given["log_ratios" if case["method"] == "trpa" else "scores"]).requires_grad_(True)
    loss = row_loss(case, scores)
    near(loss, case["expected"]["loss"])
    near(torch.autograd.grad(loss, scores)[0], case["expected"]["gradient"])
