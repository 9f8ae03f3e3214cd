"""Calls the user's own code: what it raises becomes one message with the recipe's key, the user's file and its line."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import os
import sysconfig
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from reasonrl.errors import ReasonRLError, TrainingError

_PACKAGES = Path(__file__).resolve().parents[1]
_OUR_CODE = tuple(str(_PACKAGES / name) + os.sep for name in ("reasonrl", "verifiers", "critics"))
_LIBRARIES = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def call_user_code(
    subject: str,
    function: Callable[..., Any],
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
    passing: tuple[type[Exception], ...] = (ReasonRLError, *passes)
    try:
        result = function(*arguments, **options)
        return _awaited(result) if inspect.isawaitable(result) else result
    except passing:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise error_class(f"{subject}: {describe_error(error)}") from error


def describe_error(error: BaseException) -> str:
    """`KeyError: 'answer' (rewards.py, line 12)`: on one line, with the place in the user's code where there is one."""
    name = type(error).__name__
    try:
        text = " ".join(str(error).split())
    except Exception:  # the __str__ of a foreign class
        text = ""
    if isinstance(error, SystemExit):
        words = f"sys.exit({error.code!r}) was called"
    else:
        words = f"{name}: {text}" if text else name
    place = user_place(error)
    return f"{words} ({place})" if place else words


def user_place(error: BaseException) -> str:
    """`rewards.py, line 12`: the innermost line of the user's files that led to an error, else of an installed package.

    Empty where only this project and the standard library were running. Files of the current folder are relative to it.
    """
    places: dict[bool, str] = {}
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if file.startswith("<frozen ") or os.path.abspath(file).startswith(_OUR_CODE):
            continue
        installed = "site-packages" in Path(file).parts or "dist-packages" in Path(file).parts
        if not installed and file.startswith(_LIBRARIES):
            continue
        places[installed] = f"{_short(file)}, line {line}"
    return places.get(False) or places.get(True) or ""


def _short(file: str) -> str:
    with contextlib.suppress(ValueError, OSError):
        return str(Path(file).relative_to(Path.cwd()))
    return file


def _awaited(awaitable: Any) -> Any:
    """The result of a coroutine, from code that is not async. It runs in a loop of its own."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:  # a notebook: its loop runs in this thread, and would wait for itself
        return pool.submit(asyncio.run, wait()).result()
