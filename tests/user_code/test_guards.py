"""What the user's own code raises is one message; what it awaits is awaited."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.errors import DataError, RecipeError, TrainingError
from reasonrl.user_code.guards import call_user_code, describe_error, user_place
from verifiers.types import Status, Verdict


def fails(error: BaseException) -> Any:
    raise error


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)

    __repr__ = __str__


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("answer"), "KeyError: 'answer'"),
        (ValueError(), "ValueError"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (SystemExit(0), "sys.exit(0) was called"),
        (SystemExit(), "sys.exit(None) was called"),
        (StopIteration(), "StopIteration"),
        (RecursionError("deep"), "RecursionError: deep"),
        (Silent(), "Silent"),
        (Exits(), "Exits"),
        (SystemExit(Exits()), "sys.exit(a value of type Exits) was called"),
        (ExceptionGroup("some", [ValueError("a")]), "ExceptionGroup: some (1 sub-exception)"),
    ],
)
@pytest.mark.parametrize("error_class", [TrainingError, RecipeError])
def test_whatever_is_raised_is_one_message_with_key_and_line(
    error: BaseException, words: str, error_class: type[TrainingError] | type[RecipeError]
) -> None:
    with pytest.raises(error_class) as caught:
        call_user_code("reward.mine.function", fails, error, error_class=error_class)
    place = f"test_guards.py, line {fails.__code__.co_firstlineno + 1})"
    assert str(caught.value).startswith(f"reward.mine.function: {words} (")
    assert str(caught.value).endswith(place)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("a"), OSError(errno.ENOSPC, "full")])
def test_interrupts_our_own_errors_and_a_full_disk_pass_through(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        call_user_code("key", fails, error)
    assert caught.value is error


def test_what_the_contract_allows_passes_through() -> None:
    with pytest.raises(ValueError, match=r"^x$"):
        call_user_code("key", fails, ValueError("x"), passes=(ValueError,))


def test_the_place_is_the_users_line_not_that_of_a_library_below_it() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    assert "test_guards.py, line " in user_place(caught.value)
    with pytest.raises(TrainingError, match=r"JSONDecodeError: [^()]*\(char 1\)$"):  # no line of the user's at all
        call_user_code("key", json.loads, "{")


def test_the_place_of_a_dataclass_is_the_line_that_makes_it() -> None:
    def judge() -> Verdict:
        return Verdict(False, 1.0, Status.JUDGED, None, "m", "", 0.0)

    with pytest.raises(TrainingError, match=rf"test_guards\.py, line {judge.__code__.co_firstlineno + 1}\)$"):
        call_user_code("key", judge)


def test_a_place_in_our_code_is_no_place_of_the_users() -> None:
    try:
        call_user_code("key", len, 1)
    except TrainingError as error:
        assert error.__cause__ is not None
        assert describe_error(error.__cause__) == "TypeError: object of type 'int' has no len()"


async def doubled(values: list[int]) -> list[int]:
    await asyncio.sleep(0)
    return [2 * value for value in values]


class Doubled:
    async def __call__(self, values: list[int]) -> list[int]:
        return await doubled(values)


@pytest.mark.parametrize("function", [doubled, Doubled(), lambda values: doubled(values)])
def test_what_is_async_is_awaited(function: Any) -> None:
    assert call_user_code("key", function, [1, 2]) == [2, 4]
    assert call_user_code("key", function, [3]) == [6]


def test_what_is_async_is_awaited_in_a_thread_without_a_loop() -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call_user_code("key", doubled, [1])))
    thread.start()
    thread.join(10)
    assert results == [[2]]


def test_what_is_async_is_awaited_while_a_loop_runs_in_this_thread() -> None:
    async def notebook() -> Any:
        return call_user_code("key", doubled, [1])

    assert asyncio.run(notebook()) == [2]


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), SystemExit(0)])
def test_what_an_async_function_raises_names_its_line(error: BaseException) -> None:
    async def mine() -> None:
        await asyncio.sleep(0)
        raise error

    line = mine.__code__.co_firstlineno + 2
    with pytest.raises(TrainingError, match=rf"^key: .*\(.*test_guards\.py, line {line}\)$"):
        call_user_code("key", mine)


def test_what_the_users_code_changes_for_the_process_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()

    def careless() -> str:
        os.chdir("elsewhere")
        torch.set_num_threads(threads + 1)
        return os.getcwd()

    assert call_user_code("key", careless) == str(tmp_path / "elsewhere")
    assert (os.getcwd(), torch.get_num_threads()) == (str(tmp_path), threads)


def test_a_folder_that_one_thread_changes_is_not_what_another_puts_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    changed, begun = threading.Event(), threading.Event()

    def careless() -> None:
        os.chdir("elsewhere")
        changed.set()
        assert begun.wait(10)

    def begins_elsewhere() -> None:
        begun.set()
        first.join(10)

    first = threading.Thread(target=call_user_code, args=("key", careless))
    first.start()
    assert changed.wait(10)
    call_user_code("key", begins_elsewhere)
    assert os.getcwd() == str(tmp_path)
