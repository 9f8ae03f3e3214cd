"""What a reward function returns is one number for each response, or one message that says what to return."""

from __future__ import annotations

import asyncio
from collections import UserList, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import TrainingError
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.scoring import score_episodes
from verifiers.types import Problem

COUNT = 4
NUMBERS = [0.0, 0.5, 1.0, -2.0]


def episodes() -> list[Episode]:
    trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
    return [Episode(Problem(f"p{i}", "q", "math", {}), 0, 0, [trajectory]) for i in range(COUNT)]


def scored(returned: Any, *, of_episodes: bool = False) -> list[float | None]:
    played = episodes()
    if of_episodes:
        part = RewardPart("mine", 1.0, episodes=lambda episodes, step: returned)
    else:
        part = RewardPart("mine", 1.0, function=lambda responses, problems: returned)
    score_episodes(played, [part])
    return [episode.reward_parts["mine"] for episode in played]


@pytest.mark.parametrize("of_episodes", [False, True])
@pytest.mark.parametrize(
    "returned",
    [
        NUMBERS,
        tuple(NUMBERS),
        deque(NUMBERS),
        UserList(NUMBERS),
        np.array(NUMBERS),
        np.array(NUMBERS, dtype=np.float32),
        np.array(NUMBERS, dtype=object),
        torch.tensor(NUMBERS),
        torch.tensor(NUMBERS, dtype=torch.bfloat16),
        [torch.tensor(number) for number in NUMBERS],
        [np.float32(number) for number in NUMBERS],
    ],
)
def test_lists_and_arrays_of_one_dimension_are_rewards(returned: Any, of_episodes: bool) -> None:
    assert scored(returned, of_episodes=of_episodes) == NUMBERS


def test_none_masks_a_response_and_numbers_of_other_types_are_numbers() -> None:
    assert scored([None, True, 2, np.int64(3)]) == [None, 1.0, 2.0, 3.0]
    assert scored(np.array([None, 1, 2.5, 0], dtype=object)) == [None, 1.0, 2.5, 0.0]


@pytest.mark.parametrize("of_episodes", [False, True])
@pytest.mark.parametrize(
    ("returned", "what"),
    [
        ({0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}, "a value of type dict"),
        ({0.0, 1.0, 2.0, 3.0}, "a value of type set"),
        ({"a": 1, "b": 2, "c": 3, "d": 4}.values(), "a value of type dict_values"),
        (1.0, "a value of type float"),
        (True, "a value of type bool"),
        (None, "None"),
        ("0110", "a value of type str"),
        (b"0110", "a value of type bytes"),
        ((number for number in NUMBERS), "a value of type generator"),
        (map(float, NUMBERS), "a value of type map"),
        (np.float64(1.0), r"an array of shape \(\)"),
        (np.array(1.0), r"an array of shape \(\)"),
        (torch.tensor(1.0), r"an array of shape \(\)"),
        (np.ones((COUNT, 2)), r"an array of shape \(4, 2\)"),
        (np.ones((COUNT, 1)), r"an array of shape \(4, 1\)"),
        (torch.ones(1, COUNT), r"an array of shape \(1, 4\)"),
        ([1.0], "1 values"),
        ([], "0 values"),
        ([1.0] * (COUNT + 1), "5 values"),
        (np.ones(COUNT - 1), "3 values"),
        (object(), "a value of type object"),
    ],
)
def test_anything_else_is_refused_by_what_it_is(returned: Any, what: str, of_episodes: bool) -> None:
    message = rf"^reward\.mine\.function: returned {what} for 4 responses; return a list with one number or None"
    with pytest.raises(TrainingError, match=message):
        scored(returned, of_episodes=of_episodes)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        np.nan,
        "no number",
        [1.0],
        {},
        10**400,
        1j,
        np.complex64(1 + 2j),
        torch.tensor(1 + 0j),
        torch.ones(2),
        np.ones(2),
        {"score": 1.0},
    ],
)
def test_a_value_that_is_no_finite_number_names_its_problem(value: Any) -> None:
    with pytest.raises(TrainingError, match=r"^reward\.mine\.function: returned .* for problem p2; return a finite"):
        scored([0.0, None, value, 1.0])


def test_a_message_does_not_hold_a_whole_value() -> None:
    with pytest.raises(TrainingError) as caught:
        scored([["a long list"] * 1000] * COUNT)
    assert len(str(caught.value)) < 400


class Unreadable(UserList[float]):
    def __iter__(self) -> Iterator[float]:
        raise RuntimeError("no more")


class Unmeasurable(list[float]):
    def __len__(self) -> int:
        raise SystemExit(0)


class Shapeless:
    @property
    def ndim(self) -> int:
        raise RuntimeError("no shape")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (Unreadable(NUMBERS), "RuntimeError: no more"),
        (Unmeasurable(NUMBERS), r"sys\.exit\(0\) was called"),
        (Shapeless(), "RuntimeError: no shape"),
    ],
)
def test_a_list_that_cannot_be_read_names_the_line_that_fails(returned: Any, words: str) -> None:
    message = rf"^reward\.mine\.function: what it returned cannot be read: {words} \(.*test_scoring\.py, line \d+\)$"
    with pytest.raises(TrainingError, match=message):
        scored(returned)


async def later(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    await asyncio.sleep(0)
    return NUMBERS


async def later_a_dict(responses: Sequence[str], problems: Sequence[Problem]) -> dict[int, float]:
    return dict(enumerate(NUMBERS))


async def one_by_one(responses: Sequence[str], problems: Sequence[Problem]) -> Any:
    for number in NUMBERS:
        yield number


class Later:
    async def __call__(self, responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
        return await later(responses, problems)


@pytest.mark.parametrize("function", [later, Later()])
def test_an_async_function_is_awaited(function: Callable[..., Any]) -> None:
    played = episodes()
    score_episodes(played, [RewardPart("mine", 1.0, function=function)])
    assert [episode.reward_parts["mine"] for episode in played] == NUMBERS


def test_an_async_function_is_awaited_in_a_thread_beside_a_running_loop() -> None:
    played = episodes()

    async def judge() -> None:
        await asyncio.to_thread(score_episodes, played, [RewardPart("mine", 1.0, function=later)])

    asyncio.run(judge())
    assert [episode.reward_parts["mine"] for episode in played] == NUMBERS


@pytest.mark.parametrize(
    ("function", "kind"), [(later_a_dict, "dict"), (one_by_one, "async_generator")], ids=["dict", "generator"]
)
def test_what_an_async_function_returns_is_checked_too(function: Callable[..., Any], kind: str) -> None:
    with pytest.raises(TrainingError, match=rf"reward\.mine\.function: returned a value of type {kind} for 4"):
        score_episodes(episodes(), [RewardPart("mine", 1.0, function=function)])


@pytest.mark.parametrize("error", [KeyError("answer"), SystemExit(0), StopIteration(), AssertionError()])
def test_what_a_function_raises_names_the_key_and_its_line(error: BaseException) -> None:
    def mine(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
        raise error

    line = mine.__code__.co_firstlineno + 1
    with pytest.raises(TrainingError, match=rf"^reward\.mine\.function: .*test_scoring\.py, line {line}\)$") as caught:
        score_episodes(episodes(), [RewardPart("mine", 1.0, function=mine)])
    assert caught.value.exit_code == 1
    assert caught.value.__cause__ is error


def test_an_interrupt_in_a_function_stays_an_interrupt() -> None:
    def mine(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_episodes(episodes(), [RewardPart("mine", 1.0, function=mine)])
