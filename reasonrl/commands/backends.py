"""The backends that run whole stages, by name. Each is imported when a stage asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrl.stages.base import RunElsewhere


def run_on_verl(*arguments: Any, **options: Any) -> Path:
    """`reasonrl.verl_backend.launch.run_verl_stage`."""
    from reasonrl.verl_backend.launch import run_verl_stage

    return run_verl_stage(*arguments, **options)


BACKENDS: Mapping[str, RunElsewhere] = {"verl": run_on_verl}
