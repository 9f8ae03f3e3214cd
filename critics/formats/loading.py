"""Loads a user's critique format, `package.module:Class`."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from typing import Any

from critics.formats.base import CritiqueFormat


def format_class(path: str) -> type[CritiqueFormat]:
    """The class at `package.module:Class`. The current folder is importable.

    Raises ValueError: there is no such module or class, or it is not a complete format. An error that the module's own
    code raises passes through.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    module_name, _, class_name = path.partition(":")
    if not module_name or not class_name:
        raise ValueError(f"'{path}' is not of the form package.module:Class")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ValueError(
                f"{path}: there is no module '{error.name}' in the current folder or the environment"
            ) from error
        raise ValueError(f"{path}: the module {module_name} needs '{error.name}', which is not installed") from error
    kind: Any = getattr(module, class_name, None)
    if kind is None:
        near = difflib.get_close_matches(class_name, dir(module), 1)
        raise ValueError(
            f"{path}: {module_name} has no '{class_name}'" + (f"; did you mean '{near[0]}'?" if near else "")
        )
    if not (inspect.isclass(kind) and issubclass(kind, CritiqueFormat)):
        raise ValueError(f"{path} is not a subclass of critics.formats.CritiqueFormat")
    if "__dataclass_fields__" not in vars(kind):
        raise ValueError(
            f"{path}: write @dataclass(frozen=True, kw_only=True) above the class; without it the texts of the class"
            " have no effect"
        )
    if inspect.isabstract(kind):
        missing = ", ".join(sorted(kind.__abstractmethods__))
        raise ValueError(f"{path} has no method {missing}")
    return kind
