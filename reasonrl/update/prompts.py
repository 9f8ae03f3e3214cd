"""Steps 1, 2 and 5 of an update: which problems come next, how many rollouts each gets, and what is remembered.

All state of curriculum, success history and value model is here. It goes into the checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from reasonrl.budgets.knapsack import KnapsackBudget
from reasonrl.budgets.uniform import UniformBudget
from reasonrl.curricula.dump import DumpCurriculum
from reasonrl.curricula.history import SuccessHistory
from reasonrl.curricula.pcl import PCLCurriculum
from reasonrl.curricula.rates import Features, SuccessRates
from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.curricula.value_model import ValueModel
from reasonrl.recipe.schema import Recipe
from verifiers.types import Problem


class PromptSource:
    """Curriculum, budget and success rates of a recipe.

    Args:
        problems: the pool that is drawn from.
        seed: of the order of the problems.
        features: gives the value model [n, H] of n problems under the present policy; None where there is no model.
    """

    def __init__(
        self, recipe: Recipe, problems: Sequence[Problem], seed: int, features: Features | None = None
    ) -> None:
        rates = recipe.success_rates
        source = recipe.rate_source
        value_model = None if source == "history" else ValueModel(window=rates.value_window, ridge=rates.ridge)
        history = SuccessHistory(window=rates.window, min_count=rates.min_count)
        self.rates = SuccessRates(
            source, history=history, value_model=value_model, features=features, trust=rates.trust_rollouts
        )
        self.curriculum = _curriculum(recipe, problems, seed, self.rates)
        per_prompt, budget = recipe.rollout.rollouts_per_prompt, recipe.budget
        self.knapsack = (
            KnapsackBudget(per_prompt, low=budget.low, high=budget.high) if budget.name == "knapsack" else None
        )
        self._uniform = UniformBudget(per_prompt)

    def begin_step(self) -> None:
        """Call once per step, before anything is chosen: features and predictions of the earlier policy are dropped."""
        self.rates.begin_step()
        if isinstance(self.curriculum, PCLCurriculum):
            self.curriculum.begin_step()

    def choose(self, count: int) -> list[Problem]:
        """Step 1: the problems that come next."""
        return self.curriculum.select(count)

    def allocate(self, problems: Sequence[Problem]) -> list[int]:
        """Step 2: how many rollouts each problem gets."""
        rates = self.rates.estimate(problems)  # needed without a knapsack too: a baseline may want the prediction
        if self.knapsack is None:
            return self._uniform.allocate([problem.id for problem in problems])
        return self.knapsack.allocate(rates)

    def predictions(self, problems: Sequence[Problem]) -> list[float | None]:
        """What the value model predicted of each problem in this step; None where it did not."""
        return [self.rates.predictions.get(problem.id) for problem in problems]

    def observe(self, problems: Sequence[Problem], successes: Sequence[Sequence[bool]]) -> None:
        """Step 5: the judged rollouts of each problem, correct or not, before any filter."""
        self.rates.observe(problems, successes)

    def observe_advantages(self, problems: Sequence[Problem], advantages: Tensor) -> None:
        """After step 8, for a curriculum that lives on advantages [B]: those of every rollout, also of the ones that a
        filter left out (0), or a source that teaches nothing would count as one that was never seen.
        """
        if isinstance(self.curriculum, DumpCurriculum):
            self.curriculum.observe_advantages(problems, advantages.tolist())

    def state_dict(self) -> dict[str, Any]:
        return {"curriculum": self.curriculum.state_dict(), "rates": self.rates.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.curriculum.load_state_dict(state["curriculum"])
        self.rates.load_state_dict(state["rates"])

    def tensors(self) -> dict[str, Tensor]:
        """The part of the state that is not JSON."""
        return self.rates.tensors()

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        self.rates.load_tensors(tensors)


def _curriculum(
    recipe: Recipe, problems: Sequence[Problem], seed: int, rates: SuccessRates
) -> UniformCurriculum | PCLCurriculum | DumpCurriculum:
    spec = recipe.curriculum
    if spec.name == "pcl":
        return PCLCurriculum(
            problems, seed, rates, candidates_per_prompt=spec.candidates_per_prompt, target_rate=spec.target_rate
        )
    if spec.name == "dump":
        return DumpCurriculum(problems, seed, window=spec.window, temperature=spec.temperature)
    return UniformCurriculum(problems, seed)
