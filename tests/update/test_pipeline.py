"""The pipeline that both trainers call, on rollouts that are written by hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import yaml

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import TrainingError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.update.pipeline import UpdatePipeline
from reasonrl.update.prepared import group_rows
from reasonrl.update.rollouts import StepRollouts
from tests.environments.scripted import TOKENIZER
from tests.tiny_runs import tiny
from verifiers.types import Problem, Status, Verdict

PARTS = [RewardPart("correctness", 1.0)]
PROBLEMS = [Problem(str(i), f"{i} + {i} =", "math", {"answer": str(2 * i)}, "test", {}) for i in range(8)]


def recipe(**train: Any) -> Recipe:
    return parse_recipe(yaml.safe_dump(tiny(train=train)), "test").stages[0]


def episode(problem: Problem, rollout: int, score: float | None, tokens: int = 3) -> Episode:
    status = Status.ERROR if score is None else Status.JUDGED
    correct = None if score is None else score == 1.0
    verdict = Verdict(correct, score, status, None, "test", "the judge broke" if score is None else "", 0.0)
    trajectory = Trajectory(
        "policy", [1, 2], list(range(5, 5 + tokens)), [True] * tokens, [-1.0] * tokens, str(score), "stop"
    )
    return Episode(problem, rollout, rollout, [trajectory], {"correctness": verdict}, {"correctness": score})


def rollouts(*groups: list[float | None]) -> StepRollouts:
    step_rollouts = StepRollouts()
    episodes = [
        episode(problem, i, score)
        for problem, scores in zip(PROBLEMS, groups, strict=False)
        for i, score in enumerate(scores)
    ]
    problems = PROBLEMS[: len(groups)]
    counts = [len(scores) for scores in groups]
    step_rollouts.add(problems, counts, episodes, PARTS, predicted=[None] * len(groups))
    return step_rollouts


def pipeline(**train: Any) -> UpdatePipeline:
    return UpdatePipeline(recipe(**train), PROBLEMS, PARTS, TOKENIZER)


def test_samples_keep_the_advantages_before_selection() -> None:
    """Step 9 changes what the loss gets, on every backend; what is saved is what `replay` computes again."""
    subject = pipeline(clip_advantages=0.1, credit="tempo", steps=3)
    step_rollouts = rollouts([1.0, 0.0, 0.0], [1.0, 1.0])
    prepared = subject.prepare(step_rollouts, step=1)
    assert float(prepared.token_advantages.abs().max()) > 0.5
    assert float(prepared.selected_advantages.abs().max()) == pytest.approx(0.1)
    record = subject.record(step_rollouts, prepared, step=1)
    saved = torch.tensor([row["token_advantages"] for row in record.samples])
    torch.testing.assert_close(saved, prepared.token_advantages, atol=1e-6, rtol=0)
    assert [row["advantage"] for row in record.samples] == pytest.approx(prepared.rollout_advantages.tolist())


def test_what_could_not_be_judged_takes_part_in_nothing() -> None:
    subject = pipeline(steps=3)
    step_rollouts = rollouts([1.0, 0.0, None], [None, 1.0])
    prepared = subject.prepare(step_rollouts, step=1)
    assert prepared.trainable.tolist() == [True, True, False, False, False], "a single judged row is no group"
    assert prepared.rollout_advantages[2:].tolist() == [0.0, 0.0, 0.0]
    record = subject.record(step_rollouts, prepared, step=1)
    assert record.metrics["accuracy/train"] == pytest.approx(2 / 3)
    assert record.metrics["rollouts/error"] == 2
    assert any("the judge broke" in warning for warning in record.warnings)


def test_where_nothing_was_judged_means_are_left_out() -> None:
    subject = UpdatePipeline(
        parse_recipe(yaml.safe_dump(tiny(health={"max_unjudged_share": 1.0})), "test").stages[0],
        PROBLEMS,
        PARTS,
        TOKENIZER,
    )
    step_rollouts = rollouts([None, None])
    metrics = subject.record(step_rollouts, subject.prepare(step_rollouts, step=1), step=1).metrics
    assert not {"reward/mean", "reward/std", "reward/correctness", "accuracy/train"} & metrics.keys()
    assert metrics["rollouts/unjudged_share"] == 1.0


def test_a_step_that_could_not_be_judged_ends_the_run() -> None:
    subject = pipeline(steps=3)
    step_rollouts = rollouts([None, None, None], [1.0])
    prepared = subject.prepare(step_rollouts, step=7)
    stop = subject.record(step_rollouts, prepared, step=7).stop
    assert isinstance(stop, TrainingError)
    assert re.search(r"step 7: 3 of 4 rollouts could not be judged .*the judge broke", str(stop))


def test_a_kl_penalty_in_the_reward_needs_the_reference() -> None:
    subject = pipeline(kl={"coefficient": 0.5, "estimator": "k1", "where": "reward"}, steps=3)
    step_rollouts = rollouts([1.0, 0.0])
    with pytest.raises(ValueError, match="log-probs of the reference"):
        subject.prepare(step_rollouts, step=1)
    prepared = subject.prepare(step_rollouts, step=1, ref_logprobs=torch.full((2, 3), -1.5))
    assert prepared.shaped_rewards.tolist() == pytest.approx([1.0 - 0.75, -0.75])
    assert prepared.batch.rewards.tolist() == [1.0, 0.0], "what was observed stays raw"


def test_refill_asks_for_as_many_prompts_as_groups_lack_signal() -> None:
    subject = pipeline(prompts_per_step=4, refill={"enabled": True, "max_rounds": 1}, steps=3)
    step_rollouts = StepRollouts()
    assert subject.prompts_wanted(step_rollouts) == 4
    step_rollouts = rollouts([1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0])
    assert subject.prompts_wanted(step_rollouts) == 2
    step_rollouts.rounds = 2
    assert subject.prompts_wanted(step_rollouts) == 0, "no more rounds than the recipe allows"
    assert pipeline(steps=3).prompts_wanted(rollouts([1.0, 1.0])) == 0, "without refill one round is all"


def test_updated_tokens_are_those_of_rows_with_an_advantage() -> None:
    subject = pipeline(steps=3)
    prepared = subject.prepare(rollouts([1.0, 0.0], [1.0, 1.0]), step=1)
    assert prepared.updated_tokens(moves_all_tokens=False).any(1).tolist() == [True, True, False, False]
    assert prepared.updated_tokens(moves_all_tokens=True).all(1).tolist() == [True] * 4


def test_the_state_restores_prompts_moments_and_health() -> None:
    first, second = pipeline(advantage="dcpo", steps=3), pipeline(advantage="dcpo", steps=3)
    first.prompts.choose(3)
    step_rollouts = rollouts([1.0, 0.0, 0.0])
    first.record(step_rollouts, first.prepare(step_rollouts, step=1), step=1)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    again = [subject.prepare(step_rollouts, step=2).rollout_advantages for subject in (first, second)]
    assert torch.equal(*again) and bool((again[0] != 0).any())
    assert [p.id for p in first.prompts.choose(4)] == [p.id for p in second.prompts.choose(4)]


def test_updates_are_cut_in_whole_groups() -> None:
    group = torch.tensor([0, 0, 1, 2, 2, 3])
    parts = group_rows(group, 2)
    assert [part.tolist() for part in parts] == [
        [True, True, False, True, True, False],
        [False, False, True, False, False, True],
    ]
    assert bool(group_rows(group, 1)[0].all())


def test_greedy_responses_that_could_not_be_judged_are_in_the_health_of_a_run() -> None:
    """Each of them masks the whole group of its prompt (ReMax)."""

    def step(greedy_scores: list[float | None]) -> StepRollouts:
        groups: list[list[float | None]] = [[1.0, 0.0], [1.0, 0.0]]
        played = StepRollouts()
        episodes = [
            episode(p, i, score) for p, scores in zip(PROBLEMS, groups, strict=False) for i, score in enumerate(scores)
        ]
        greedy = [episode(problem, 0, score) for problem, score in zip(PROBLEMS, greedy_scores, strict=False)]
        played.add(PROBLEMS[:2], [2, 2], episodes, PARTS, predicted=[None, None], greedy=greedy)
        return played

    subject = pipeline(advantage="remax")
    sound = step([1.0, 0.0])
    assert subject.record(sound, subject.prepare(sound, step=1), step=1).warnings == []
    broken = step([None, 0.0])
    record = subject.record(broken, subject.prepare(broken, step=2), step=2)
    assert record.metrics["rollouts/total"] == 4
    assert record.metrics["rollouts/error"] == 0
    (warning,) = record.warnings
    assert "8.3% of the rollouts of the last 2 steps could not be judged" in warning
    assert "1 broke: the judge broke" in warning
    strict = UpdatePipeline(
        parse_recipe(
            yaml.safe_dump(tiny(train={"advantage": "remax"}, health={"max_unjudged_share": 0.2})), "t"
        ).stages[0],
        PROBLEMS,
        PARTS,
        TOKENIZER,
    )
    lost = step([None, None])
    record = strict.record(lost, strict.prepare(lost, step=1), step=1)
    assert isinstance(record.stop, TrainingError) and "2 of 6 rollouts could not be judged" in str(record.stop)
    assert record.metrics["step"] == 1 and len(record.samples) == 4, "the rows that show why"
