"""Refinements on controls in place of a critique: of the same solutions, as often, as on the critic's own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest

from critics.formats import load_format
from critics.rewards import RefineWhen
from reasonrl.engines.base import RoleEngines
from reasonrl.engines.served import ServedFailure
from reasonrl.environments.base import Trajectory
from reasonrl.evaluation.controls import Controls
from tests.environments.scripted import ScriptedEngine
from tests.environments.test_critique import FINAL, problem
from verifiers.loading import load_verifier
from verifiers.types import Message

FORMAT = load_format("step_sentence", instruction="Check.", refine_instruction="Again.")
PROBLEMS = [problem("a", right=True), problem("b", right=True), problem("c"), problem("d")]
CRITIQUES = [f"{FINAL}{word}" for word in ("Correct", "Wrong", "Correct", "Wrong")]


class FakeActor:
    """Mends every second time, and counts."""

    def __init__(self, fails: bool = False) -> None:
        self.asked, self.fails = 0, fails

    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        if self.fails:
            raise ServedFailure("gone")
        answers = []
        for _ in chats:
            self.asked += 1
            answers.append(Trajectory("actor", [], [], [], [], f"= {14 if self.asked % 2 else 13}", "stop"))
        return answers


def metrics(actor: FakeActor, when: RefineWhen, refinements: int) -> dict[str, float]:
    engine = ScriptedEngine(lambda prompt, seed: "")
    with closing(load_verifier("math", mode="lenient")) as verifier:
        controls = Controls(FORMAT, actor, engine, {}, verifier, refinements, when)
        return controls.metrics(PROBLEMS, CRITIQUES, "k", (1,))


@pytest.mark.parametrize(
    ("when", "refined", "accuracy"),
    [("all", 4, 0.5), ("judged_incorrect", 2, 0.5), ("oracle_incorrect", 2, 0.75)],
)
def test_solutions_are_refined_as_on_the_critics_own_critiques(when: RefineWhen, refined: int, accuracy: float) -> None:
    """Half of the refinements are right; a solution that is not refined counts as it is."""
    actor = FakeActor()
    got = metrics(actor, when, refinements=4)
    assert actor.asked == 3 * 4 * refined, "three controls"
    for name in ("empty", "shuffled", "indicative"):
        assert got[f"k_refine_{name}"] == pytest.approx(accuracy)
        assert got[f"k_refine_{name}_failed"] == 0.0


def test_an_actor_that_does_not_answer_leaves_its_problems_out() -> None:
    got = metrics(FakeActor(fails=True), "judged_incorrect", refinements=1)
    assert got["k_refine_empty"] == 0.5 and got["k_refine_empty_failed"] == 0.5
    assert "k_refine_empty" not in metrics(FakeActor(fails=True), "all", refinements=1)
