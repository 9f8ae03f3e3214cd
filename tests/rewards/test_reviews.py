"""A critic in the reward: what it says, what that is worth, and runs with it."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.formats import load_format
from reasonrl.engines.base import RoleEngines, Sampling
from reasonrl.engines.served import ServedFailure, ServedRefusal
from reasonrl.environments.base import Episode, Review, Trajectory
from reasonrl.environments.reviews import Reviewer
from reasonrl.environments.roles import LocalSpeaker, PromptTooLong
from reasonrl.errors import RecipeError
from reasonrl.models.loading import load_model
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.rewards import ReviewerSpec
from reasonrl.rewards.reviews import DECAY, PRIOR, ReviewReward, shuffled
from reasonrl.setup.reviewers import check_formats
from reasonrl.stages.rl import RLStage
from tests.tiny_runs import context, tiny
from verifiers.types import Message, Problem, Status, Verdict

FORM = load_format("boxed_index")


class FakeCritic:
    """Says what it is given, in turn, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.chats, self.seeds = list(answers), list[Any](), list[int]()

    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        self.chats += chats
        self.seeds += seeds
        texts = [self.answers.pop(0) for _ in chats]
        return [Trajectory("critic", [], [], [], [], text, "stop") for text in texts]


class DeadCritic:
    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        raise ServedFailure("http://127.0.0.1:1/v1: gone")


def episode(text: str = "one\ntwo\nthree\nfour", correct: bool | None = True, problem: str = "p") -> Episode:
    status = Status.ERROR if correct is None else Status.JUDGED
    verdict = Verdict(correct, None if correct is None else float(correct), status, None, "test", "", 0.0)
    trajectory = Trajectory("policy", [5], [6], [True], [-1.0], text, "stop")
    return Episode(Problem(problem, "1 + 1", "math", {"answer": "2"}), 0, 0, [trajectory], {"correctness": verdict})


def review_of(reviewer: Reviewer, one: Episode) -> Review:
    asyncio.run(reviewer.review(one, 7, None))  # type: ignore[arg-type]
    return one.reviews["process"]


@pytest.mark.parametrize(
    ("answers", "by_steps", "accepted", "rejected", "unread", "score"),
    [
        ([r"\boxed{-1}"], True, 1, 0, 0, 1.0),
        ([r"\boxed{0}"], True, 0, 1, 0, 0.0),
        ([r"\boxed{2}"], True, 0, 1, 0, 0.5),
        ([r"\boxed{2}"], False, 0, 1, 0, 0.0),
        ([r"\boxed{9}"], True, 0, 0, 1, None),
        (["no verdict"], True, 0, 0, 1, None),
        ([r"\boxed{-1}", "?", r"\boxed{1}"], True, 1, 1, 1, 0.625),
        (["?", "?"], True, 0, 0, 2, None),
    ],
)
def test_what_critiques_say(
    answers: list[str], by_steps: bool, accepted: int, rejected: int, unread: int, score: float | None
) -> None:
    critic = FakeCritic(*answers)
    reviewer = Reviewer("process", critic, FORM, samples=len(answers), by_steps=by_steps)
    one = review_of(reviewer, episode())
    assert (one.accepted, one.rejected, one.unread, one.score) == (accepted, rejected, unread, score)
    assert one.text == answers[0] and one.failure is None
    assert len(set(critic.seeds)) == len(answers)
    assert "three" in critic.chats[0][0]["content"]


def test_a_blank_response_is_rejected_without_asking() -> None:
    critic = FakeCritic()
    one = review_of(Reviewer("process", critic, FORM), episode(" \n "))
    assert (one.rejected, one.unread, one.score, critic.chats) == (0, 0, 0.0, [])


def test_a_dead_server_masks_the_response() -> None:
    one = episode()
    review = review_of(Reviewer("process", DeadCritic(), FORM, samples=2), one)
    assert review.score is None and review.failure is not None and "gone" in review.failure
    reward().assign([one], step=1, drawn=0)
    assert one.reward_parts["process"] is None


class Flaky(FakeCritic):
    """Fails where an answer is `dead` or `long`."""

    async def say(self, chats: Sequence[list[Message]], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        if self.answers[0] in ("dead", "long"):
            raise ServedFailure("gone") if self.answers.pop(0) == "dead" else ServedRefusal("too long")
        return await super().say(chats, seeds, engines)


@pytest.mark.parametrize(
    ("answers", "accepted", "unread", "score", "failure"),
    [
        (["dead", r"\boxed{-1}", "dead"], 1, 0, 1.0, None),
        (["long", r"\boxed{-1}", "dead"], 1, 1, 1.0, None),
        (["long"], 0, 1, None, None),
        (["dead", "long"], 0, 1, None, None),
        (["dead", "dead"], 0, 0, None, "gone"),
    ],
)
def test_one_critique_that_fails_takes_no_other_with_it(
    answers: list[str], accepted: int, unread: int, score: float | None, failure: str | None
) -> None:
    one = review_of(Reviewer("process", Flaky(*answers), FORM, samples=len(answers)), episode())
    assert (one.accepted, one.rejected, one.unread, one.score, one.failure) == (accepted, 0, unread, score, failure)


def test_a_response_that_is_too_long_for_a_critic_in_this_process_is_unread() -> None:
    tokenizer = load_model("tiny-critic", device="cpu").tokenizer
    speaker = LocalSpeaker("reward.process", tokenizer, Sampling(40), positions=100)
    one = review_of(Reviewer("process", speaker, FORM), episode("1 + 1 = 2\n" * 30))
    assert (one.unread, one.score, one.failure) == (1, None, None)
    with pytest.raises(PromptTooLong, match=r"the reward.process's prompt has \d+ tokens; its model takes at most 99"):
        asyncio.run(speaker.say([[{"role": "user", "content": "1 + 1 = 2" * 30}]], [1], None))  # type: ignore[arg-type]


def reward(**options: Any) -> ReviewReward:
    return ReviewReward("process", ReviewerSpec(model="m", **options), seed=3)


def reviewed(review: Review, correct: bool | None = True, problem: str = "p") -> Episode:
    one = episode(correct=correct, problem=problem)
    one.reward_parts["correctness"] = None if correct is None else float(correct)
    one.reviews["process"] = review
    return one


ACCEPTED, REJECTED = Review(accepted=1, score=1.0), Review(rejected=1, score=0.0)
UNREAD = Review(unread=1)


def values(part: ReviewReward, episodes: list[Episode], step: int = 1) -> list[float | None]:
    part.assign(episodes, step=step, drawn=0)
    return [one.reward_parts["process"] for one in episodes]


def test_the_first_step_takes_the_critic_at_its_word() -> None:
    part = reward()
    half = Review(rejected=1, score=0.5)
    assert values(part, [reviewed(ACCEPTED), reviewed(half), reviewed(REJECTED)]) == [1.0, 0.5, 0.0]


def test_scores_become_the_share_that_the_verifier_finds_correct() -> None:
    part = reward()
    rows = [reviewed(ACCEPTED, True)] * 30 + [reviewed(ACCEPTED, False)] * 10 + [reviewed(REJECTED, True)] * 5
    rows += [reviewed(REJECTED, False)] * 20 + [reviewed(ACCEPTED, None)] * 50 + [reviewed(UNREAD, True)] * 9
    part.observe(rows)
    assert part.correct_if_accepted == pytest.approx((PRIOR + 30) / (PRIOR + 40))
    assert part.correct_if_rejected == pytest.approx(5 / (PRIOR + 25))
    accepted, rejected = values(part, [reviewed(ACCEPTED), reviewed(REJECTED)])
    assert accepted == pytest.approx(part.correct_if_accepted)
    assert rejected == pytest.approx(part.correct_if_rejected)


def test_a_critic_that_accepts_everything_pays_everybody_the_same_and_one_rejection_decides_nothing() -> None:
    part = reward()
    for _ in range(100):
        part.observe([reviewed(ACCEPTED, place % 4 == 0) for place in range(16)])
    assert part.correct_if_accepted == pytest.approx(0.25, abs=0.03) and part.correct_if_rejected == 0.0
    assert len(set(values(part, [reviewed(ACCEPTED)] * 4))) == 1
    before = part.worth
    part.observe([reviewed(REJECTED, True)])
    assert before - 1 / PRIOR <= part.worth < before, "the rollouts that are always counted keep their weight"


def test_a_critic_that_is_worse_than_chance_earns_nothing() -> None:
    part = reward()
    for _ in range(100):
        part.observe([reviewed(ACCEPTED, place % 4 == 0) for place in range(16)])
        part.observe([reviewed(REJECTED, place % 2 == 0) for place in range(16)])
    assert part.worth == 0.0, "and is never turned round"
    accepted, rejected = values(part, [reviewed(ACCEPTED), reviewed(REJECTED)])
    assert accepted == rejected


def test_blank_responses_say_nothing_about_the_critic() -> None:
    part, other = reward(), reward()
    rows = [reviewed(ACCEPTED, True), reviewed(REJECTED, False)] * 20
    part.observe(rows)
    other.observe([*rows, *[reviewed(Review(score=0.0), False)] * 30])
    assert part.state_dict() == other.state_dict()


def test_old_steps_count_less() -> None:
    part = reward()
    part.observe([reviewed(ACCEPTED, False)] * 10)
    for _ in range(14):
        part.observe([])
    assert part.state_dict()["accepted"] == pytest.approx(10 * DECAY**14)


def test_without_calibration_scores_stay_as_they_are() -> None:
    part = reward(calibrate=False)
    part.observe([reviewed(ACCEPTED, False)] * 50)
    assert values(part, [reviewed(ACCEPTED), reviewed(REJECTED)]) == [1.0, 0.0]


def test_an_unread_response_neither_gains_nor_loses() -> None:
    rows = [reviewed(ACCEPTED), reviewed(REJECTED), reviewed(UNREAD), reviewed(UNREAD, problem="q")]
    rows.append(reviewed(ACCEPTED, problem="r"))
    got = values(reward(), rows)
    assert got[2] == 0.5, "the mean of its group"
    assert got[3] == pytest.approx(2 / 3), "nothing of its group was read: the mean of all"
    assert values(reward(unread="mask"), rows)[2] is None
    part = reward()
    part.observe([reviewed(REJECTED, True)] * 8)
    assert values(part, [reviewed(UNREAD)]) == [part.correct_if_rejected]


def test_the_mean_for_unread_responses_is_over_those_that_take_part() -> None:
    rows = [reviewed(ACCEPTED) for _ in range(3)] + [reviewed(REJECTED, None), reviewed(REJECTED), reviewed(UNREAD)]
    rows[4].trajectories[0] = replace(rows[4].trajectories[0], finish_reason="length")
    assert values(reward(), rows)[-1] == pytest.approx(3 / 4), "one was not judged"
    masking = ReviewReward("process", ReviewerSpec(model="m"), seed=3, mask_truncated=True)
    assert values(masking, rows)[-1] == 1.0, "and one was cut off"


def test_shuffled_scores_are_those_of_others_to_the_same_problem() -> None:
    part = reward(shuffle=True)
    rows = [reviewed(Review(rejected=1, score=number / 20), problem=str(number % 2)) for number in range(20)]
    first = values(part, rows)
    for problem in range(2):
        assert sorted(first[problem::2]) == [number / 20 for number in range(problem, 20, 2)]  # type: ignore[type-var]
    assert all(value != number / 20 for number, value in enumerate(first))
    assert values(part, rows) == first and values(part, rows, step=2) != first


def test_a_shuffle_leaves_what_has_no_score_where_it_is() -> None:
    reviews = [ACCEPTED, Review(failure="gone"), REJECTED, Review(failure="gone"), UNREAD]
    for step in range(1, 6):
        got = values(reward(shuffle=True), [reviewed(review) for review in reviews], step)
        assert got == [0.0, None, 1.0, None, 0.5]


@given(st.integers(0, 60), st.integers(0, 2**64))
def test_a_shuffle_moves_everything(count: int, seed: int) -> None:
    moved = shuffled(range(count), seed)
    assert sorted(moved) == list(range(count))
    assert count == 1 or all(place != value for place, value in enumerate(moved))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()), max_size=40),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_values_are_bounded_and_rise_with_the_score(rows: list[Any], low: float, high: float) -> None:
    part = reward()
    part.observe([reviewed(Review(accepted=a, rejected=r, score=0.5), correct) for a, r, correct in rows])
    low, high = sorted((low, high))
    first, second = values(part, [reviewed(Review(rejected=1, score=low)), reviewed(Review(rejected=1, score=high))])
    assert first is not None and second is not None and -1e-9 <= first <= second <= 1 + 1e-9


def test_its_metrics() -> None:
    rows = [reviewed(ACCEPTED, True), reviewed(ACCEPTED, False), reviewed(REJECTED, False), reviewed(UNREAD, True)]
    rows.append(reviewed(ACCEPTED, None))
    metrics = reward().metrics(rows)
    assert metrics == {
        "review/process/accepted": 0.75,
        "review/process/unread": 0.2,
        "review/process/failed": 0.0,
        "review/process/agreement": pytest.approx(2 / 3),
        "review/process/worth": 1.0,
    }


# ---------------------------------------------------------------- recipes


def with_critic(**options: Any) -> dict[str, Any]:
    critic = {"model": "same", "format": "boxed_index", "max_new_tokens": 4, **options}
    critic = {key: value for key, value in critic.items() if value is not None}
    part = {"weight": 0.3, "critic": critic}
    return tiny(model={"path": "tiny-critic"}, reward={"correctness": 1.0, "process": part})


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (with_critic(format=None), "reward.process.critic.format"),
        (with_critic(model="http://127.0.0.1:1/v1", format=None), "reward.process.critic.format: missing"),
        (with_critic(samples=3), "3 greedy critiques are all the same"),
        (with_critic() | {"critique_grpo": {}}, "refinements of critique_grpo are not judged by a critic"),
        (with_critic() | {"kind": "sft", "sft": {"steps": 1}}, "a critic judges the rollouts of stages of kind rl"),
        (
            tiny(reward={"correctness": 1.0, "process": {"critic": "m", "function": "a:b"}}),
            "needs a verifier, a function or a critic, one of them; has function and critic",
        ),
        (tiny(reward={"correctness": 1.0, "process": {"weight": 0.3}}), "one of them; has none"),
    ],
)
def test_recipes_that_cannot_be(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match="reward") as error:
        parse_recipe(json.dumps(recipe), "test")
    assert message in str(error.value)


def test_another_baseline_than_the_groups_is_warned_of() -> None:
    for advantage, unread, is_said in (("reinforce_pp", "neutral", True), ("reinforce_pp", "mask", False)):
        recipe = with_critic(unread=unread)
        recipe["train"] = {**recipe.get("train", {}), "advantage": advantage}
        (stage,) = parse_recipe(json.dumps(recipe), "test").stages
        assert any("neutral is the mean of the group" in text for text in stage.warnings()) is is_said


def test_a_critic_of_last_steps_is_refused() -> None:
    (stage,) = parse_recipe(json.dumps(with_critic(format="answer_tag")), "test").stages
    with pytest.raises(RecipeError, match="answer_tag judges the last step of a solution alone"):
        check_formats(stage)


def test_a_critic_that_outweighs_the_verifier_is_warned_of() -> None:
    heavy = with_critic()
    heavy["reward"]["process"]["weight"] = 1.0
    (stage,) = parse_recipe(json.dumps(heavy), "test").stages
    assert any("a wrong response that the critic accepts" in text for text in stage.warnings())


def test_a_bare_text_is_the_model() -> None:
    (stage,) = parse_recipe(
        json.dumps(tiny(reward={"correctness": 1.0, "process": {"critic": "runs/x", "weight": 0.3}})), "test"
    ).stages
    critic = stage.reward["process"].critic
    assert (
        critic is not None and critic.model == "runs/x" and critic.calibrate and stage.reward["process"].weight == 0.3
    )


def test_a_model_that_is_no_critics_run_needs_a_format(tmp_path: Path) -> None:
    recipe = tiny(reward={"correctness": 1.0, "process": {"critic": "tiny-arithmetic", "weight": 0.3}})
    with pytest.raises(RecipeError, match="tiny-arithmetic is not a run that trained a critic"):
        RLStage(context(tmp_path, recipe))


def test_a_step_with_a_critic_and_what_it_keeps(tmp_path: Path) -> None:
    stage = RLStage(context(tmp_path, with_critic()))
    row = stage.run_step(1)
    assert row["review/process/unread"] > 0.5, "a random model writes no verdict"
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 16
    for sample in samples:
        assert set(sample["reviews"]["process"]) == {"accepted", "rejected", "unread", "score", "text", "failure"}
        assert sample["reward"] == pytest.approx(
            sample["reward_parts"]["correctness"] + 0.3 * sample["reward_parts"]["process"]
        )
    state = json.loads(json.dumps(stage.state_dict()))
    assert set(state["reviews"]["process"]) == {"accepted", "accepted_correct", "rejected", "rejected_correct"}
    other = RLStage(context(tmp_path / "other", with_critic()))
    other.load_state_dict(state)
    assert other.pipeline.reviews[0].state_dict() == state["reviews"]["process"]


def test_scripted_reviews_move_the_rewards(tmp_path: Path) -> None:
    """Responses that are equal to the verifier differ by what the critic says of them."""
    stage = RLStage(context(tmp_path, with_critic()))
    critic = FakeCritic(*[r"\boxed{-1}", r"\boxed{0}"] * 8)
    stage.reviewers = [Reviewer("process", critic, FORM)]
    row = stage.run_step(1)
    samples = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert statistics.fmean(sample["reward_parts"]["process"] for sample in samples) == pytest.approx(
        row["reward/process"]
    )
    assert {sample["reward_parts"]["process"] for sample in samples if sample["response"].strip()} == {0.0, 1.0}
    assert any(sample["advantage"] != 0 for sample in samples)
