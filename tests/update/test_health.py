"""A run that learns nothing says why, and what to change."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from reasonrl.algorithms.groups import GroupMix
from reasonrl.environments.base import Episode, Review, Trajectory
from reasonrl.errors import TrainingError
from reasonrl.recipe.monitoring import HealthSpec
from reasonrl.update.health import RunHealth, count_outcomes, explain_silence
from verifiers.types import Problem, Status, Verdict

MIXED = GroupMix(4, 2, 1, 1, 0)
WRONG = GroupMix(4, 0, 0, 4, 0)
OTHER = GroupMix(4, 0, 1, 3, 0)


def outcomes(**counts: int) -> Counter[str]:
    return Counter({"total": 10, "judged": 10, "unjudged": counts.get("timeout", 0) + counts.get("error", 0), **counts})


@pytest.mark.parametrize(
    ("counts", "mix", "words"),
    [
        ({"correct": 10}, GroupMix(4, 0, 4, 0, 0), "nothing left to learn here. Use harder problems"),
        ({"timeout": 4, "error": 2}, GroupMix(4, 0, 0, 0, 4), "could not be judged. Read the verdicts"),
        ({"truncated": 8}, WRONG, "80% of the responses are cut off before they end. Raise rollout.max_new_tokens"),
        ({"truncated": 8, "unfinished": 7, "unparsed": 7}, WRONG, "70% of the responses end within a thought"),
        ({"truncated": 8, "unfinished": 7}, WRONG, "they are cut off there. Raise rollout.max_new_tokens"),
        ({"unfinished": 7, "unparsed": 9}, WRONG, "without the tag that closes the thought. Start with a supervised"),
        ({"unfinished": 4, "unparsed": 9}, WRONG, "no answer can be read in 90% of the responses"),
        ({"unparsed": 6, "truncated": 2}, WRONG, "no answer can be read in 60% of the responses"),
        ({}, WRONG, "every rollout of every group is wrong. Use easier problems"),
        ({"correct": 3}, OTHER, "in every group all rollouts get the same reward"),
    ],
)
def test_each_kind_of_silence_has_its_own_explanation(counts: dict[str, int], mix: GroupMix, words: str) -> None:
    assert words in explain_silence(outcomes(**counts), mix)


MASKED = GroupMix(4, 0, 0, 0, 4)


@pytest.mark.parametrize(
    ("counts", "mix", "words"),
    [
        ({"none:mine": 10}, MASKED, "reward.mine returned None for every rollout, and None masks a rollout. Return a"),
        ({"none:mine": 10, "correct": 10}, MASKED, "reward.mine returned None for every rollout"),
        ({"none:mine": 10, "truncated": 9}, MASKED, "reward.mine returned None for every rollout"),
        ({"none:mine": 7, "none:other": 6}, MASKED, "reward.mine returned None for 70% of the rollouts"),
        ({"unjudged:fmt": 10, "error": 10}, MASKED, "reward.fmt: the verifier left every rollout unjudged"),
        ({"unjudged:correctness": 10, "timeout": 10}, MASKED, "look at verifier (timeout_s"),
        ({"unjudged:fmt": 10, "error": 10}, MASKED, "look at reward.fmt.verifier (timeout_s"),
        ({"none:mine": 10, "correct": 10}, GroupMix(4, 0, 4, 0, 0), "nothing left to learn here"),  # its weight is 0
        ({"none:mine": 10}, WRONG, "every rollout of every group is wrong"),
        ({"failed:process": 10}, MASKED, "reward.process: the server of the critic did not answer for every rollout"),
        ({"unread:process": 10}, MASKED, "no critique of every rollout could be read, and critic.unread: mask leaves"),
        ({"none:mine": 2, "truncated": 8}, MASKED, "80% of the responses are cut off"),
    ],
)
def test_a_reward_part_without_a_value_is_named(counts: dict[str, int], mix: GroupMix, words: str) -> None:
    assert words in explain_silence(outcomes(**counts), mix)


def test_the_warning_of_a_silent_run_names_the_part() -> None:
    health, resumed = RunHealth(HealthSpec(warn_after_steps_without_signal=2)), RunHealth(HealthSpec())
    counts = outcomes(**{"none:mine": 10})
    assert health.observe(1, MASKED, counts) is None
    assert "reward.mine returned None for every rollout" in (health.observe(2, MASKED, counts) or "")
    resumed.load_state_dict(json.loads(json.dumps(health.state_dict())))
    assert "reward.mine returned None for every rollout" in (resumed.observe(3, MASKED, counts) or "")


def test_rewards_that_are_none_are_counted_for_each_part() -> None:
    late = Verdict(None, None, Status.TIMEOUT, None, "test", "", 0.0)
    right = Verdict(True, 1.0, Status.JUDGED, None, "test", "", 0.0)

    def episode(correctness: Verdict, mine: float | None) -> Episode:
        trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
        parts = {"correctness": correctness.score, "mine": mine}
        return Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory], {"correctness": correctness}, parts)

    counts = count_outcomes([episode(right, 0.0), episode(right, None), episode(late, None)])
    assert counts["none:mine"] == 2
    assert counts["unjudged:correctness"] == 1
    assert not counts["none:correctness"] and not counts["unjudged:mine"]


def test_warnings_come_every_few_silent_steps_and_a_signal_resets_them() -> None:
    health = RunHealth(HealthSpec(warn_after_steps_without_signal=3))
    said = [health.observe(step, WRONG, outcomes()) for step in range(1, 7)]
    assert [bool(s) for s in said] == [False, False, True, False, False, True]
    assert "no signal for 3 steps" in (said[2] or "")
    assert health.observe(7, MIXED, outcomes()) is None
    assert [bool(health.observe(step, WRONG, outcomes())) for step in (8, 9, 10)] == [False, False, True]


def test_a_recipe_may_stop_a_silent_run() -> None:
    health = RunHealth(HealthSpec(stop_after_steps_without_signal=2))
    health.observe(1, WRONG, outcomes())
    with pytest.raises(TrainingError, match=r"step 2: stopped. no signal for 2 steps: every rollout"):
        health.observe(2, WRONG, outcomes())


def test_too_many_answers_that_cannot_be_judged_stop_the_run_even_if_groups_are_mixed() -> None:
    health = RunHealth(HealthSpec(max_unjudged_share=0.3, warn_unjudged_share=1.0))
    assert health.observe(1, MIXED, outcomes(timeout=3)) is None
    with pytest.raises(
        TrainingError, match=r"step 2: 4 of 10 rollouts could not be judged \(3 timed out, 1 broke: division by zero\)"
    ):
        health.observe(2, MIXED, outcomes(timeout=3, error=1), "division by zero")


def test_what_was_seen_is_in_the_checkpoint() -> None:
    spec = HealthSpec(warn_after_steps_without_signal=4)
    health, other = RunHealth(spec), RunHealth(spec)
    for step in range(1, 4):
        health.observe(step, WRONG, outcomes(truncated=7))
    other.load_state_dict(json.loads(json.dumps(health.state_dict())))
    assert other.observe(4, WRONG, outcomes()) == health.observe(4, WRONG, outcomes())
    assert other.state_dict() == health.state_dict()


def test_outcomes_are_counted_apart() -> None:
    def episode(status: Status, correct: bool | None, finish: str) -> Episode:
        verdict = Verdict(correct, None if correct is None else float(correct), status, None, "test", "", 0.0)
        trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", finish)
        return Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory], {"correctness": verdict})

    counts = count_outcomes(
        [
            episode(Status.JUDGED, True, "stop"),
            episode(Status.JUDGED, False, "length"),
            episode(Status.UNPARSED, False, "length"),
            episode(Status.TIMEOUT, None, "stop"),
            episode(Status.ERROR, None, "stop"),
        ]
    )
    assert counts == Counter(total=5, truncated=2, correct=1, judged=3, unparsed=1, timeout=1, error=1, unjudged=2)


def test_a_response_that_ends_within_a_thought_is_counted() -> None:
    def episode(text: str, correct: bool) -> Episode:
        verdict = Verdict(correct, float(correct), Status.JUDGED, None, "test", "", 0.0)
        trajectory = Trajectory("policy", [1], [2], [True], [0.0], text, "stop")
        return Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory], {"correctness": verdict})

    texts = [("<think>3", False), ("<think>hm</think>3", False), ("[THINK]3", False), ("3 <think>", True)]
    assert count_outcomes([episode(*item) for item in texts])["unfinished"] == 2


def test_a_share_of_time_outs_is_an_alarm_and_is_not_said_at_every_step() -> None:
    health = RunHealth(HealthSpec())
    said = [health.observe(step, MIXED, outcomes(timeout=1), "killed after 2.0 s") for step in range(1, 25)]
    assert [step for step, words in enumerate(said, 1) if words] == [1, 11, 21]
    assert "10.0% of the rollouts of the last 1 step could not be judged (in this one 1 timed out, 0 broke: killed" in (
        said[0] or ""
    )
    assert all(health.observe(step, MIXED, outcomes()) is None for step in range(25, 60))
    resumed = RunHealth(HealthSpec())
    resumed.load_state_dict(json.loads(json.dumps(health.state_dict())))
    assert resumed.observe(60, MIXED, outcomes(timeout=4)) is None  # 4 of 100 over ten steps
    assert resumed.observe(61, MIXED, outcomes(timeout=4)) is not None


@pytest.mark.parametrize(
    ("counts", "weights", "words"),
    [
        ({"same:mine=1": 10, "correct": 3}, {"correctness": 0.0, "mine": 1.0}, "reward.mine is 1 for every rollout"),
        ({"same:mine=1": 10}, {"correctness": 0.0, "mine": 1.0}, "reward.mine is 1 for every rollout, whether its"),
        (
            {"same:mine=1": 10, "same:fmt=0": 10},
            {"correctness": 0.0, "mine": 1.0, "fmt": 0.5},
            "reward.mine is 1 and reward.fmt is 0 for every rollout",
        ),
        ({"same:mine=1": 10}, {"correctness": 1.0, "mine": 1.0}, "every rollout of every group is wrong"),
        ({"same:mine=1": 10}, {"correctness": 0.0, "mine": 1.0, "fmt": 1.0}, "every rollout of every group is wrong"),
        ({"same:mine=1": 5, "same:mine=2": 5}, {"correctness": 0.0, "mine": 1.0}, "every rollout of every group"),
    ],
)
def test_a_reward_that_is_the_same_everywhere_is_named(
    counts: dict[str, int], weights: dict[str, float], words: str
) -> None:
    assert words in explain_silence(outcomes(**counts), WRONG, weights)


def test_parts_with_one_value_are_counted_step_by_step() -> None:
    right = Verdict(True, 1.0, Status.JUDGED, None, "test", "", 0.0)

    def episodes(*values: float | None) -> list[Episode]:
        trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
        return [
            Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory], {"correctness": right}, {"mine": value})
            for value in values
        ]

    assert count_outcomes(episodes(0.5, 0.5))["same:mine=0.5"] == 2
    assert not any(key.startswith("same:") for key in count_outcomes(episodes(0.5, 1.0)))
    assert not any(key.startswith("same:") for key in count_outcomes(episodes(None, None)))
    assert not any(key.startswith("same:") for key in count_outcomes(episodes(None, 1.0)))
    health = RunHealth(HealthSpec(warn_after_steps_without_signal=2), {"correctness": 0.0, "mine": 1.0})
    assert health.observe(1, WRONG, count_outcomes(episodes(0.5, 0.5))) is None
    assert "reward.mine is 0.5 for every rollout" in (
        health.observe(2, WRONG, count_outcomes(episodes(0.5, 0.5))) or ""
    )


def test_a_critic_that_did_not_answer_leaves_a_rollout_unjudged() -> None:
    right = Verdict(True, 1.0, Status.JUDGED, None, "test", "", 0.0)

    def episode(review: Review, value: float | None) -> Episode:
        trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
        parts = {"correctness": 1.0, "process": value}
        one = Episode(Problem("p", "q", "math", {}), 0, 0, [trajectory], {"correctness": right}, parts)
        one.reviews["process"] = review
        return one

    counts = count_outcomes(
        [episode(Review(accepted=1, score=1.0), 1.0), episode(Review(failure="gone"), None), episode(Review(), None)]
    )
    assert (counts["unjudged"], counts["judged"], counts["unanswered"]) == (1, 2, 1)
    assert (counts["failed:process"], counts["unread:process"], counts["none:process"]) == (1, 1, 0)
    counts_without = count_outcomes([episode(Review(failure="gone"), None)], {"correctness": 1.0, "process": 0.0})
    assert counts_without["unjudged"] == 0, "a critic of weight 0 masks nothing"
    health = RunHealth(HealthSpec(max_unjudged_share=0.2))
    with pytest.raises(TrainingError, match=r"1 had no critique from the critic's server: gone"):
        health.observe(1, MIXED, counts, "gone")
