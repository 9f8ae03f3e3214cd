"""Budgets and curricula against the reference."""

from __future__ import annotations

import torch

from reasonrl.budgets.knapsack import allocate, cost, task_value
from reasonrl.curricula.dump import ucb_scores, ucb_weights
from reasonrl.curricula.history import SuccessHistory
from reasonrl.curricula.pcl import select
from reasonrl.curricula.rates import SuccessRates
from reasonrl.curricula.value_model import ValueModel
from tests.golden.checks import cases_of, near, settings_of
from tests.golden.files import Case
from verifiers.types import Problem


@cases_of("budgets")
def test_budgets(case: Case) -> None:
    given, expected = case["input"], case["expected"]
    if case["method"] == "knapsack_value":
        near([task_value(count, rate) for count, rate in given["pairs"]], expected)
    elif case["method"] == "knapsack_cost":
        for estimate in ("probability", "expectation"):
            costs = [cost(rate, estimate=estimate, **settings_of(case, "alpha")) for rate in given["rates"]]
            near(costs, expected[estimate])
    else:
        counts = allocate(given["rates"], given["total"], **settings_of(case, "low", "high", "default"))
        assert counts == expected["counts"]
        assert given["total"] - sum(counts) == expected["unspent"]


class FixedPrediction(ValueModel):
    """Predicts one number for every prompt."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def predict(self, features: torch.Tensor) -> list[float | None]:
        return [self.value] * len(features)


def blended(case: Case) -> float | None:
    given, problem = case["input"], Problem("p", "1 + 1?", "math", {"answer": "2"})
    rates = SuccessRates(
        "blend",
        history=SuccessHistory(min_count=1),
        value_model=FixedPrediction(given["predicted"]),
        features=lambda problems: torch.zeros(len(problems), 1),
        **settings_of(case, "trust"),
    )
    rates.history.update("p", [i < given["successes"] for i in range(given["count"])])
    return rates.estimate([problem])[0]


def rate(case: Case) -> float | None:
    history = SuccessHistory(**settings_of(case, "window", "min_count"))
    for batch in case["input"]["batches"]:
        history.update("p", [success == 1 for success in batch])
    return history.rate("p")


def predictions(case: Case) -> list[float | None]:
    given = case["input"]
    model = ValueModel(ridge=given["ridge"], min_count=1)
    for features, success_rate, count in zip(given["features"], given["rates"], given["counts"], strict=True):
        model.observe(torch.tensor([features], dtype=torch.float64), [success_rate], [count])
    return model.predict(torch.tensor(given["ask"], dtype=torch.float64))


@cases_of("curricula")
def test_curricula(case: Case) -> None:
    given, expected, method = case["input"], case["expected"], case["method"]
    if method == "pcl_select":
        assert select(given["values"], given["m"], **settings_of(case, "tau")) == expected
    elif method == "dump":
        scores = ucb_scores(given["mean_advantages"], given["counts"])
        near(scores, expected["ucb"])
        near(ucb_weights(scores, **settings_of(case, "temperature")), expected["weights"])
    else:
        value = {"success_rate": rate, "blend": blended, "value_model": predictions}[method](case)
        if expected is None:
            assert value is None
        else:
            near(value, expected)
