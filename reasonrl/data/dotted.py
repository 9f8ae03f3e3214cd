"""Problems from a function of the user's own, named as "package.module:function". No registration is needed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

from reasonrl.data.files import jsonable
from reasonrl.errors import DataError
from reasonrl.plugins import import_dotted
from reasonrl.user_code.guards import call_user_code, detached_problem
from verifiers.types import Problem


def dotted_rows(spec: str, options: dict[str, Any], *, seed: int, split: str | None) -> list[Any]:
    """Call the function. Returns its Problems, or its rows as dicts.

    Args:
        spec: "package.module:function". The current folder is importable.
        options: keyword arguments; each must fit the function's signature.
        seed: passed if the function has a parameter `seed`.
        split: passed unless it is None; a function without a parameter `split` then fails.

    Raises:
        DataError: the module or the function does not exist, the options do not fit, or the function fails.
    """
    function = import_dotted(spec, spec, DataError)
    if not callable(function):
        raise DataError(f"{spec} is not a function; name one that returns a list of problems")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:  # some functions of extension modules do not declare their parameters
        raise DataError(f"{spec}: its parameters are not known; wrap it in a function of Python") from error
    parameters = signature.parameters
    arguments = dict(options) if split is None else {"split": split} | options
    if "seed" in parameters:
        arguments.setdefault("seed", seed)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise DataError(f"{spec}: {error}. Its parameters: {', '.join(parameters) or 'none'}") from error

    def generate() -> list[Any]:
        rows = call_user_code(spec, functools.partial(function, **arguments), error_class=DataError)
        if isinstance(rows, str | dict | Problem) or not isinstance(rows, Iterable):
            raise DataError(f"{spec} must return a list of problems (Problem or dict), not {type(rows).__name__}")
        return [detached_problem(row) if isinstance(row, Problem) else jsonable(row) for row in rows]

    problems: list[Any] = call_user_code(spec, generate, error_class=DataError)
    return problems
