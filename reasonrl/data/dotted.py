"""Problems from a function of the user's own, named as "package.module:function". No registration is needed."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from reasonrl.data.files import jsonable
from reasonrl.data.mistakes import nearest
from reasonrl.errors import DataError
from verifiers.types import Problem


def dotted_rows(spec: str, options: dict[str, Any], *, seed: int, split: str | None) -> list[Any]:
    """Calls the function and gives what it returns: Problems or rows, each a Problem or a dict.

    Args:
        spec: "package.module:function". The current folder is importable.
        options: keyword arguments of the user's choice; each must fit the signature.
        seed: passed if the function has a parameter of that name.
        split: the same; a function without one cannot be asked for a split.

    Raises:
        DataError: the module or the function is not there, the options do not fit, or the function fails.
    """
    function = _resolve(spec)
    parameters = inspect.signature(function).parameters
    arguments = dict(options) if split is None else {"split": split} | options
    if "seed" in parameters:
        arguments.setdefault("seed", seed)
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise DataError(f"{spec}: {error}. Its parameters: {', '.join(parameters) or 'none'}") from error
    try:
        rows = function(**arguments)
        if isinstance(rows, str | dict | Problem) or not isinstance(rows, Iterable):
            raise DataError(f"{spec} must return a list of problems (Problem or dict), not {type(rows).__name__}")
        return [row if isinstance(row, Problem) else jsonable(row) for row in rows]
    except DataError:
        raise
    except Exception as error:  # the user's own code: whatever it raises is told with its place, and chained
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"{spec} failed: {type(error).__name__}: {error} ({os.path.basename(frame.filename)}, line {frame.lineno})"
        ) from error


def _resolve(spec: str) -> Callable[..., Any]:
    module_name, _, function_name = spec.partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise DataError(
                f"{spec}: there is no module {error.name!r}, neither installed nor in the current folder"
            ) from error
        raise DataError(f"{spec}: the module needs {error.name!r}, which is not installed") from error
    except (ImportError, SyntaxError) as error:
        raise DataError(f"{spec}: the module cannot be imported: {type(error).__name__}: {error}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise DataError(f"{spec}: {module_name} has no function {function_name!r}.{nearest(function_name, names)}")
    return function
