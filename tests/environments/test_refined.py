"""Critique-GRPO's refinements: who is refined, which rows join, what they are trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from critics.formats import load_format
from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.refined import Refiner, choose_refinements, require_answers, wrong_episodes
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.errors import DataError, RecipeError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages.rl import RLStage
from tests.environments.scripted import TOKENIZER, ScriptedEngine
from tests.environments.test_critique import BrokenSpeaker
from tests.tiny_runs import context, merged
from verifiers.types import Problem, Status, Verdict


def judged(correct: bool | None, *, problem: str = "p", rollout: int = 0, text: str = "12 + 7 = 18") -> Episode:
    status = Status.ERROR if correct is None else Status.JUDGED
    verdict = Verdict(correct, None if correct is None else float(correct), status, None, "test", "", 0.0)
    ids = TOKENIZER(text)["input_ids"]
    own = Trajectory("policy", [5, 6], ids, [True] * len(ids), [-1.0] * len(ids), text, "stop")
    return Episode(
        Problem(problem, "12 + 7", "math", {"answer": "19"}), rollout, rollout, [own], {"correctness": verdict}
    )


def test_who_is_refined() -> None:
    groups = [[judged(True), judged(False)], [judged(False), judged(False)], [judged(None), judged(False)]]
    assert [place for place, _ in wrong_episodes(groups, "all_wrong")] == [1, 1]
    assert [place for place, _ in wrong_episodes(groups, "all")] == [0, 1, 1, 2], (
        "what could not be judged is not called wrong"
    )


def test_right_refinements_come_first_and_empty_or_unjudged_ones_never() -> None:
    rows = [
        (0, judged(False, rollout=0)),
        (0, judged(True, rollout=1)),
        (0, judged(None)),
        (1, judged(False, rollout=3)),
        (1, judged(True, text="")),
    ]
    assert [(g, e.rollout) for g, e in choose_refinements(rows, 1)] == [(0, 1), (1, 3)]
    assert [(g, e.rollout) for g, e in choose_refinements(rows, 5)] == [(0, 1), (0, 0), (1, 3)]


def refiner(**options: Any) -> Refiner:
    return Refiner(LocalSpeaker("policy", TOKENIZER, Sampling(20)), load_format("overall_judgment"), **options)


def test_a_problem_without_an_answer_is_refused_where_critiques_give_it() -> None:
    with pytest.raises(DataError, match=r"with_answer: problem q has no answer in its reference \(it has target\)"):
        require_answers([judged(False).problem, Problem("q", "1", "mine", {"target": "1"})])


def test_the_row_stands_behind_the_bare_question() -> None:
    prompts: list[str] = []

    def policy(prompt: str, seed: int) -> str:
        prompts.append(prompt)
        return "12 + 7 = 19"

    wrong = judged(False)
    (made,) = refiner(with_answer=True).refine([wrong], ScriptedEngine(policy), {}, seed=(0,))
    assert (
        made is not None
        and made.trained_trajectory.prompt_ids == wrong.trained_trajectory.prompt_ids
        and made.text == "12 + 7 = 19"
    )
    assert "The solution is incorrect. The answer is 19." in prompts[0] and "12 + 7 = 18" in prompts[0]
    assert made.off_policy and set(made.trained_trajectory.logprobs) == {0.0} and all(made.trained_trajectory.loss_mask)


def test_a_critic_is_asked_and_a_broken_one_costs_the_refinement_alone() -> None:
    critic = LocalSpeaker("critic", TOKENIZER, Sampling(20), engine="critic")
    engines = {"critic": ScriptedEngine(lambda prompt, seed: "Look at 7.")}
    heard: list[str] = []
    policy = ScriptedEngine(lambda prompt, seed: heard.append(prompt) or "19")  # type: ignore[func-returns-value]
    (made,) = refiner(critic=critic).refine([judged(False)], policy, engines, seed=(0,))
    assert made is not None and "Look at 7." in heard[0] and made.guiding_critique == "Look at 7."
    wrong = judged(False)
    assert refiner(critic=BrokenSpeaker()).refine([wrong], policy, {}, seed=(0,)) == [None]
    assert "no answer within 1 s" in (wrong.refinement_failure or ""), "counted and told"


RECIPE: dict[str, Any] = {
    "name": "critique-grpo",
    "threads": 1,
    "device": "cpu",
    "model": {"path": "tiny-critic"},
    "verifier": {"name": "math", "mode": "lenient"},
    "data": {"train": {"source": "step_arithmetic", "options": {"size": 12, "terms": 2}}},
    "rollout": {"rollouts_per_prompt": 3, "max_new_tokens": 4},
    "train": {"steps": 1, "prompts_per_step": 4, "advantage": "dr_grpo"},
    "critique_grpo": {"trigger": "all_wrong", "refinements_kept": 2},
}


def test_rows_join_their_group_and_do_not_count_as_successes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = context(tmp_path, RECIPE)
    answers = {p.meta["question"]: p.reference["answer"] for p in made.data.train}

    def refine(self: Refiner, episodes: list[Episode], *arguments: Any, **more: Any) -> list[Episode]:
        """A fake: right in the first rollout of each problem, else wrong."""
        rows = []
        for episode in episodes:
            text = answers[episode.problem.meta["question"]] if episode.rollout == 0 else "0"
            ids = TOKENIZER(text)["input_ids"]
            row = Trajectory(
                "policy", episode.trained_trajectory.prompt_ids, ids, [True] * len(ids), [0.0] * len(ids), text, "stop"
            )
            rows.append(Episode(episode.problem, episode.rollout, 0, [row], guiding_critique="c"))
        return rows

    monkeypatch.setattr(Refiner, "refine", refine)
    before = [p.detach().clone() for p in made.model.parameters()]
    stage = RLStage(made)
    row = stage.run_step(1)
    assert row["rollouts/refined"] == 8 and row["rollouts/total"] == 12, (
        "two for each of four groups without a right response"
    )
    assert row["groups/mixed"] == 4 and row["accuracy/train"] == 0.0, (
        "the signal is the refinements'; the accuracy is the policy's"
    )
    assert all(rate == 0.0 for rate in stage.pipeline.prompts.rates.estimate(made.data.train) if rate is not None)
    assert any(not torch.equal(a, b) for a, b in zip(before, made.model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": {"advantage": "remax"}}, "advantage: remax cannot use refinements"),
        ({"train": {"credit": "tempo"}}, "credit: none"),
        ({"train": {"kl": {"coefficient": 0.1, "where": "reward"}}}, "train.kl.where: loss"),
        ({"train": {"unlikeliness": {"beta": 0.2}}}, "Leave them out"),
        ({"critic": {}}, "leave one of them out"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(yaml.safe_dump(merged(RECIPE, change)), "test")


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    data = {
        "train": {"source": "arithmetic", "options": {"size": 12}},
        "prompt": {"style": "text", "template": "{question} ="},
    }
    with pytest.raises(RecipeError, match="use a chat model"):
        context(tmp_path, {**RECIPE, "model": {"path": "tiny-arithmetic"}, "data": data})
