"""Reference values that were made with verl 0.9.1, here and in the shared file of golden cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.algorithms.advantages import ADVANTAGES
from reasonrl.algorithms.kl import kl_estimate

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "trainer_algorithms.json"

GRPO = {
    "input": {"rewards": [1, 0, 0, 1], "groups": ["a", "a", "a", "a"]},
    "expected": {"grpo": [0.8660254, -0.8660254, -0.8660254, 0.8660254], "dr_grpo": [0.5, -0.5, -0.5, 0.5]},
    "tol": 1e-5,
}
KL = {"input": {"logprob": -1.0, "ref_logprob": -1.5}, "expected": {"k1": 0.5, "k2": 0.125, "k3": 0.10653066}, "tol": 1e-7}


def check_advantages(case: dict[str, Any]) -> None:
    rewards = torch.tensor(case["input"]["rewards"], dtype=torch.float32)
    names = sorted(set(case["input"]["groups"]))
    group = torch.tensor([names.index(name) for name in case["input"]["groups"]])
    checked = [name for name in case["expected"] if name in ADVANTAGES]
    assert checked
    for name in checked:
        # The case is for eps 0, ours is 1e-6: a relative difference of about 2e-6.
        expected = torch.tensor(case["expected"][name])
        torch.testing.assert_close(ADVANTAGES[name](rewards, group, None), expected, atol=max(case["tol"], 1e-5), rtol=0)


def check_kl(case: dict[str, Any]) -> None:
    logprob, reference = torch.tensor(case["input"]["logprob"]), torch.tensor(case["input"]["ref_logprob"])
    for kind, expected in case["expected"].items():
        assert abs(float(kl_estimate(logprob, reference, kind)) - expected) <= max(case["tol"], 1e-7)


def test_advantages_in_line() -> None:
    check_advantages(GRPO)


def test_kl_in_line() -> None:
    check_kl(KL)


@pytest.mark.parametrize(("name", "check"), [("grpo_base", check_advantages), ("kl_estimators", check_kl)])
def test_shared_golden_case(name: str, check: Any) -> None:
    if not GOLDEN.is_file():
        pytest.skip("the shared golden cases are not beside this checkout")
    cases = {case["id"]: case for case in json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]}
    check(cases[name])


def test_unknown_estimator_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="k1, k2 or k3"):
        kl_estimate(torch.zeros(1), torch.zeros(1), "k4")


def test_gradients_of_the_estimators() -> None:
    """k1 pushes every token alike, so its expected gradient is zero; k2's is d; k3's vanishes where the policies agree."""
    logprob = torch.tensor([-1.0, -2.0], requires_grad=True)
    reference = torch.tensor([-1.5, -2.0])
    expected = {"k1": [1.0, 1.0], "k2": [0.5, 0.0], "k3": [1.0 - 0.60653066, 0.0]}
    for kind, gradient in expected.items():
        (made,) = torch.autograd.grad(kl_estimate(logprob, reference, kind).sum(), logprob)
        torch.testing.assert_close(made, torch.tensor(gradient), atol=1e-6, rtol=0)


def test_one_collapsed_token_cannot_decide_k3() -> None:
    assert float(kl_estimate(torch.tensor(-100.0), torch.tensor(0.0), "k3")) == 10.0
