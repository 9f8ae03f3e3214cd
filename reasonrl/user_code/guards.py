"""Calls the user's own code: what it raises becomes one message with the recipe's key, the user's file and its line.

Code that takes long is named while it runs. What it prints goes to standard error, since standard output belongs to the
results of a command. What it changes are copies; the current folder and the defaults of torch are put back.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import errno
import inspect
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO

from reasonrl.errors import ReasonRLError, TrainingError
from reasonrl.user_code.daemon_threads import DaemonThreads
from reasonrl.user_code.lines import innermost_user_line
from reasonrl.user_code.process_state import process_as_before
from reasonrl.user_code.slow_calls import named_when_slow
from verifiers.types import Problem

_SHOWN = 600
"""Characters of a message that are shown."""


def call_user_code(
    subject: str,
    function: Callable[..., Any],
    /,
    *arguments: Any,
    error_class: type[ReasonRLError] = TrainingError,
    passes: tuple[type[Exception], ...] = (),
    **options: Any,
) -> Any:
    """What the function returns for (*arguments, **options); where that can be awaited, what it then gives.

    Args:
        subject: the beginning of a message: the recipe's key.
        error_class: the error to raise.
        passes: what the function is allowed to raise, by its contract.

    Raises:
        ReasonRLError: of `error_class`, where the function raises or calls sys.exit; what it raised is the cause.
        KeyboardInterrupt, an error of this project and a full disk pass through.
    """
    passing: tuple[type[BaseException], ...] = (KeyboardInterrupt, ReasonRLError, *passes)
    try:
        with prints_to_stderr(), process_as_before(), named_when_slow(subject) as call:
            result = function(*arguments, **options)
            if not inspect.isawaitable(result):
                return result
            call.awaited = result
            return _awaited(result)
    except passing:
        raise
    except BaseException as error:  # foreign code may raise anything
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise error_class(f"{subject}: {describe_error(error)}") from error


def describe_error(error: BaseException) -> str:
    """`KeyError: 'answer' (rewards.py, line 12)`: on one line, with the place in the user's code where there is one."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except KeyboardInterrupt:
        raise
    except BaseException:  # the __str__ of a foreign class may even call sys.exit
        text = ""
    text = textwrap.shorten(text, _SHOWN, placeholder=" ...")
    if isinstance(error, SystemExit):
        words = f"sys.exit({shown(error.code)}) was called"
    else:
        words = f"{name}: {text}" if text else name
    place = user_place(error)
    return f"{words} ({place})" if place else words


def is_no_answer(error: BaseException | None) -> bool:
    """Whether a server did not answer, which may answer the run. A broken pipe is a process that ended."""
    return isinstance(error, ConnectionError | TimeoutError) and not isinstance(error, BrokenPipeError)


def kind_of(value: Any) -> str:
    """What a value is, for a message: `None`, or `a value of type dict`."""
    return "None" if value is None else f"a value of type {type(value).__name__}"


def shown(value: Any, width: int = 200) -> str:
    """The repr of a foreign value, on one line and not longer than a message can bear."""
    try:
        text = repr(value)
    except KeyboardInterrupt:
        raise
    except BaseException:  # the __repr__ of a foreign class
        return kind_of(value)
    return textwrap.shorten(text, width, placeholder=" ...")


def user_place(error: BaseException) -> str:
    """`rewards.py, line 12`: the innermost line of the user's files that led to an error, else of an installed package.

    Empty where only this project and the standard library were running. Files of the current folder are relative to it.
    """
    lines = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return innermost_user_line(lines)


class _Redirection:
    """Standard output points to standard error while any thread runs the user's code."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._stdout: TextIO | None = None

    def begin(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._depth += 1

    def end(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._stdout is not None:
                sys.stdout, self._stdout = self._stdout, None


_redirection = _Redirection()


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """What is printed in this block goes to standard error. Threads may be in such blocks at the same time."""
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()


def detached(value: Any) -> Any:
    """A copy of a value as JSON has it, all of its dicts and lists new; what is neither is copied where it can be."""
    kind = type(value)
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return value
    if kind is dict:
        return {key: detached(item) for key, item in value.items()}
    if kind is list:
        return [detached(item) for item in value]
    try:
        return copy.deepcopy(value)
    except Exception:  # a lock, a module, a foreign __deepcopy__: the object stays shared
        return value


def detached_problem(problem: Problem) -> Problem:
    """A copy whose prompt, reference and meta the user's code may change."""
    return dataclasses.replace(
        problem,
        prompt=detached(problem.prompt),
        reference=detached(problem.reference),
        meta=detached(problem.meta),
    )


def _awaited(awaitable: Any) -> Any:
    """The result of a coroutine, from code that is not async. It runs in a loop of its own."""

    async def wait() -> Any:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:  # a notebook: its loop runs in this thread, and would wait for itself
        return pool.submit(asyncio.run, wait()).result()
