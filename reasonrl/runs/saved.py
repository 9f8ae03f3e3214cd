"""Reads recipe.yaml and run.json of a run that is resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reasonrl.errors import UsageError
from reasonrl.recipe.yaml_text import AmbiguousYaml, load_yaml


def saved_recipe(path: Path) -> str:
    """The text of recipe.yaml. Raises UsageError where it is damaged."""
    try:
        text = path.read_text(encoding="utf-8")
        if isinstance(load_yaml(text), dict):
            return text
        reason = "it holds no mapping of keys to values"
    except (UnicodeDecodeError, yaml.YAMLError, AmbiguousYaml) as error:
        reason = str(error).splitlines()[0]
    raise UsageError(
        f"{path} is damaged ({reason}), so whether the run was started with this recipe cannot be seen. Restore the"
        " file from a backup, or write run_dir=ANOTHER_FOLDER for a new run"
    )


def session_record(path: Path) -> dict[str, Any]:
    """run.json. Raises UsageError where it is damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        sessions = record.setdefault("sessions", [])
        if not all(isinstance(session, dict) for session in sessions):
            raise ValueError("sessions: expected a list of objects")
        if not all(isinstance(session.get("versions") or {}, dict) for session in sessions):
            raise ValueError("sessions: versions: expected an object")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} is damaged ({error}). It records when and with which versions the run was trained, and nothing"
            " else. Restore it, or write {} into it to resume without this history"
        ) from error
    return dict(record)


def changed_versions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Packages of both sessions whose version differs, and Python."""
    old, new = ({"python": session.get("python"), **(session.get("versions") or {})} for session in (before, now))
    return [f"{name} {old[name]} -> {new[name]}" for name in old if name in new and old[name] != new[name]]
