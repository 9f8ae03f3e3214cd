"""Rollouts that are drawn before a round asks for them: the same ones, each once."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.curricula.uniform import UniformCurriculum
from reasonrl.environments.base import Episode
from reasonrl.stages.rl import RLStage
from reasonrl.update.drawn_ahead import Attempt, DrawnAhead
from reasonrl.update.pipeline import UpdatePipeline
from tests.stages.test_rl import half_right, stage
from tests.tiny_runs import context, rows, tiny
from tests.update.test_pipeline import pipeline, rollouts
from verifiers import MathVerifier, Problem, Status, Verdict

POOL = [Problem(id=f"p{i}", prompt=f"p{i}", kind="math", reference={}, source="a", meta={}) for i in range(5)]


class Played:
    """Plays attempts as empty episodes, and notes which."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, int]] = []
        self.batches = 0

    def __call__(self, attempts: list[Attempt], on_end: Callable[[Episode], None]) -> list[Episode]:
        self.batches += 1
        self.attempts += [(problem.id, rollout) for problem, rollout in attempts]
        episodes = [Episode(problem=problem, rollout=rollout, seed=0, trajectories=[]) for problem, rollout in attempts]
        for episode in reversed(episodes):  # they end in an order of their own
            on_end(episode)
        return episodes


groups = st.lists(st.tuples(st.sampled_from(POOL), st.integers(0, 3)), max_size=6)


@given(st.lists(st.tuples(groups, groups), max_size=5))
def test_every_round_gets_the_attempts_that_come_next_and_none_is_played_twice(
    rounds: list[tuple[list[tuple[Problem, int]], list[tuple[Problem, int]]]],
) -> None:
    """Whatever was drawn ahead, also where it is not what is asked for next."""
    drawn, play, following = DrawnAhead(), Played(), Counter[str]()
    for wanted, ahead in rounds:
        ended: list[Episode] = []
        episodes = drawn.take([p for p, _ in wanted], [n for _, n in wanted], ahead, play, ended.append)
        expected = []
        for problem, count in wanted:
            expected += [(problem.id, following[problem.id] + i) for i in range(count)]
            following[problem.id] += count
        assert [(episode.problem.id, episode.rollout) for episode in episodes] == expected
        assert sorted(map(id, ended)) == sorted(map(id, episodes)), "each that is handed out has ended once"
    assert len(set(play.attempts)) == len(play.attempts)


def test_a_round_that_is_there_already_plays_nothing() -> None:
    drawn, play = DrawnAhead(), Played()
    drawn.take(POOL[:2], [2, 2], [(problem, 2) for problem in POOL[2:]], play, lambda episode: None)
    assert (play.batches, len(play.attempts)) == (1, 10)
    drawn.take(POOL[2:], [2, 2, 2], [(POOL[0], 2)], play, lambda episode: None)
    assert (play.batches, len(play.attempts)) == (1, 10), "nothing ahead either: it would be a batch of its own"


@given(st.lists(st.integers(0, 12), max_size=5), st.integers(0, 12))
def test_what_a_curriculum_announces_is_what_it_selects(before: list[int], count: int) -> None:
    curriculum = UniformCurriculum(POOL, seed=3)
    for earlier in before:
        curriculum.select(earlier)
    position = curriculum.state_dict()
    upcoming = curriculum.upcoming(count)
    assert curriculum.state_dict() == position
    assert curriculum.select(count) == upcoming


def test_how_many_prompts_are_expected() -> None:
    subject = pipeline(prompts_per_step=4, refill={"enabled": True, "max_rounds": 3}, steps=3)
    one_round = rollouts([1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 1.0])
    assert subject.prompts_wanted(one_round) == 3
    # One of four had signal, counted as 2 of 6. Three are asked for now; then 3 * 2/3, then 3 * 4/9.
    assert subject.prompts_expected(one_round, 3) == 3
    one_round.rounds = 3
    assert subject.prompts_expected(one_round, 3) == 0, "the round that comes is the last"
    assert subject.prompts_expected(rollouts(), 4) == 0, "nothing is known before the first round"


@pytest.mark.parametrize("changes", [{"curriculum": {"name": "pcl"}}, {"budget": {"name": "knapsack"}}])
def test_nothing_is_announced_where_the_choice_depends_on_what_is_seen(tmp_path: Path, changes: dict[str, Any]) -> None:
    made, _ = stage(tmp_path, half_right, **changes)
    assert made.pipeline.prompts.upcoming(3) == []


class EveryFifth(MathVerifier):
    """Takes about every fifth response for correct, by its letters: an untaught model gets groups with and without
    signal.
    """

    thread_safe = True

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        correct = [sum(map(ord, response)) % 5 == 0 for response in responses]
        return [Verdict(right, float(right), Status.JUDGED, None, "test", "", 0.0) for right in correct]


def watch_batches(made: RLStage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches that the stage plays from now on."""
    play, sizes = made.play, list[int]()

    def watched(step: int, attempts: list[Attempt], on_end: Callable[[Episode], None]) -> list[Episode]:
        sizes.append(len(attempts))
        return play(step, attempts, on_end)

    monkeypatch.setattr(made, "play", watched)
    return sizes


def test_a_step_is_the_same_whatever_is_drawn_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the real engine: rows, samples and weights of two steps, bit for bit. The pool has 8 problems, so some come
    again in the same step.
    """
    steps, drawn = {}, {}
    for expected in (0, 1, 5, 40):
        monkeypatch.setattr(UpdatePipeline, "prompts_expected", lambda self, rollouts, wanted, n=expected: n)
        spec = {"prompts_per_step": 6, "refill": {"enabled": True, "max_rounds": 20}}
        options = {"operations": "+", "terms": [2, 2], "low": 0, "high": 9, "size": 8}
        recipe = tiny(train=spec, data={"train": {"source": "arithmetic", "options": options}})
        run = context(tmp_path / str(expected), recipe)
        run.parts = [dataclasses.replace(part, verifier=EveryFifth()) for part in run.parts]
        made = RLStage(run)
        sizes = watch_batches(made, monkeypatch)
        measured = [
            {name: value for name, value in made.run_step(step).items() if not name.startswith("time/")}
            for step in (1, 2)
        ]
        weights = [parameter.tolist() for parameter in run.model.parameters()]
        steps[expected] = (measured, rows(run.folder.path / "samples.jsonl"), weights)
        drawn[expected] = sizes
    assert all(step == steps[0] for step in steps.values())
    assert sum(drawn[0]) == sum(row["rollouts/total"] for row in steps[0][0]), "nothing is drawn that is not asked for"
    assert len(drawn[40]) == 2 < len(drawn[0]), "all rounds in one batch"
    assert max(row["groups/total"] for row in steps[0][0]) > 8, "a problem came again"
