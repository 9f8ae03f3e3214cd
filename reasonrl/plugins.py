"""What users bring: `package.module:name`, in one place."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any

from reasonrl.errors import RecipeError


def import_dotted(spec: str, field: str) -> Any:
    """`package.module:name` from the current folder or the environment. Raises RecipeError naming the recipe field."""
    module_name, colon, attribute = spec.partition(":")
    if not colon or not module_name or not attribute:
        raise RecipeError(f"{field}: '{spec}' is not of the form package.module:name")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(error.name + ".")):
            raise  # the module is there; it needs another one that is not
        raise RecipeError(
            f"{field}: there is no module '{error.name}' in the current folder or the environment"
        ) from error
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, dir(module), 1)
        raise RecipeError(
            f"{field}: {module_name} has no '{attribute}'" + (f"; did you mean '{near[0]}'?" if near else "")
        )
    return getattr(module, attribute)
