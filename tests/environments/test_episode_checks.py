"""What an environment may return, down to each token, and what a verdict may hold."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest

from reasonrl.environments.base import Episode, Trajectory, Turn
from reasonrl.environments.episode_checks import sound_verdict
from reasonrl.environments.guarded import GuardedEnvironment
from reasonrl.errors import TrainingError
from tests.environments.test_guarded import PROBLEM, TRAJECTORY, Play, Played, guarded
from verifiers.types import Status, Verdict


def returning(**changes: Any) -> Play:
    """An episode whose trajectory has two tokens, the second of the environment, and `changes`."""
    sound = Trajectory("policy", [1], [2, 3], [True, False], [-0.5, 0.0], "x", "stop")
    return lambda problem: Episode(problem, 0, 0, [dataclasses.replace(sound, **changes)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"turns": [5]}, "turns holds 5; each must be a Turn"),
        ({"turns": 5}, "turns is a value of type int"),
        ({"turns": (Turn("policy", 0, 3, "x", True),)}, "a Turn goes from 0 to 3, but the response has 2 tokens"),
        ({"turns": (Turn("policy", 2, 1, "x", True),)}, "a Turn goes from 2 to 1"),
        ({"turns": (Turn(5, 0, 1, "x", True),)}, "needs texts as role and text"),  # type: ignore[arg-type]
        ({"loss_mask": "ab"}, "loss_mask is a value of type str"),
        ({"loss_mask": [True, "a"]}, "loss_mask holds 'a'; write True for tokens of the policy"),
        ({"loss_mask": [2, True]}, "loss_mask holds 2"),
        ({"loss_mask": [None, True]}, "loss_mask holds None"),
        ({"loss_mask": [np.array([True, False]), True]}, "loss_mask holds array"),
        ({"logprobs": [0.5, 0.0]}, "logprobs holds 0.5; write one finite number, 0 or below"),
        ({"logprobs": "ab"}, "logprobs is a value of type str"),
        ({"role": 5}, "role is a value of type int"),
        ({"finish_reason": ["stop"]}, "finish_reason is ['stop']"),
        ({"response_ids": [-1, 3]}, "response_ids holds -1; write a list of token ids"),
        ({"prompt_ids": [2**70]}, "prompt_ids holds 1180591620717411303424; write"),
        ({"prompt_ids": [True]}, "prompt_ids holds True"),
        ({"prompt_ids": [9]}, "prompt_ids holds 9, but the tokenizer has 9 tokens"),
        ({"response_ids": [2, 12]}, "response_ids holds 12, but the tokenizer has 9 tokens"),
    ],
)
def test_what_a_trajectory_cannot_hold_is_one_message(changes: dict[str, Any], words: str) -> None:
    environment = GuardedEnvironment(Played(returning(**changes)), "my_env:Mine", 9)
    with pytest.raises(TrainingError) as caught:
        asyncio.run(environment.episode(PROBLEM, 0, 1, None))  # type: ignore[arg-type]
    assert str(caught.value).startswith("rollout.environment: my_env:Mine.episode: problem p: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_ids": [20, 3]},  # a row of the head that no token uses
        {"response_ids": [20, 3], "prompt_ids": [20]},  # read again by the next turn
        {"loss_mask": [1, 0]},
        {"loss_mask": [np.True_, np.False_]},
        {"logprobs": [1e-7, 0.0]},
        {"turns": [Turn("policy", 0, 1, "x", True), Turn("user", 1, 2, "y", False)]},
    ],
)
def test_what_a_sound_trajectory_may_hold(changes: dict[str, Any]) -> None:
    environment = GuardedEnvironment(Played(returning(**changes)), "my_env:Mine", 9)
    assert asyncio.run(environment.episode(PROBLEM, 0, 1, None)).text == "x"  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["failure", "refinement_failure", "guiding_critique"])
def test_a_reason_that_is_not_a_text_is_refused(field: str) -> None:
    with pytest.raises(TrainingError, match=rf"Episode\.{field} is a value of type int; write a text, or None"):
        guarded(lambda problem: Episode(problem, 0, 0, [TRAJECTORY], **{field: 3}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict(np.True_, np.float32(1), Status.JUDGED, None, "m", "", 0.0), (True, 1.0)),  # type: ignore[arg-type]
        (Verdict(1, 1, "judged", 3, "m", None, 0), (True, 1.0)),  # type: ignore[arg-type]
        (Verdict(False, 0.5, Status.UNPARSED, "a", "m", "", 0.0), (False, 0.5)),
        (Verdict(None, None, Status.ERROR, None, "m", "why", 0.0), (None, None)),
    ],
)
def test_a_verdict_has_plain_values(verdict: Verdict, expected: Any) -> None:
    sound = sound_verdict(verdict, "verifier")
    assert (sound.correct, sound.score) == expected
    assert type(sound.correct) is type(expected[0])
    assert type(sound.score) is type(expected[1])
    assert isinstance(sound.status, Status)
    assert sound.extracted is None or isinstance(sound.extracted, str)


@pytest.mark.parametrize("correct", [0.5, "yes", np.array([True, False]), object()])
def test_a_verdict_that_is_neither_right_nor_wrong_is_refused(correct: Any) -> None:
    with pytest.raises(TrainingError, match=r"^verifier: returned a Verdict that cannot be used: "):
        sound_verdict(Verdict(correct, 1.0, Status.JUDGED, None, "m", "", 0.0), "verifier")
