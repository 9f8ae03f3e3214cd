"""Records what a stage depends on, and refuses to resume it over something else (`reasonrl.runs.inputs`)."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reasonrl.errors import ModelError, UsageError
from reasonrl.models import tiny
from reasonrl.models.loading import load_tokenizer_and_config, model_source
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.reading import stage_text
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.checkpoint import MANIFEST
from reasonrl.runs.inputs import clock, differences, digest_files, digest_rows, read_inputs, write_inputs
from reasonrl.setup.data import RunData
from reasonrl.setup.run_models import model_for_role
from reasonrl.stages.base import Session
from verifiers.python_source import tree_of

_MODEL_FILES = (".json", ".safetensors", ".bin", ".model", ".jinja", ".tiktoken")
_MODEL_TEXTS = ("vocab.txt", "merges.txt")
_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def check_inputs(
    recipe: Recipe, folder: Path, session: Session, data: RunData, roles: Mapping[str, RoleSpec], *, step: int | None
) -> dict[str, Any]:
    """Record the inputs of a stage that starts; compare those of one that is resumed. Call this when the data is
    loaded, and before any weights are. Returns the record.

    Args:
        roles: the models of the stage besides the one that it starts from.
        step: the step of the checkpoint that is resumed; None where the stage starts from nothing.

    Raises:
        UsageError: something has changed, and `session.allow_changes` is False. The message names every difference.
    """
    before, now, changed = compare_inputs(recipe, folder, session, data, roles, step=step)
    changes = list((before or {}).get("changes", []))
    if changed:
        changes.append({"time": clock(), "step": step or 0, "differences": changed})
    record = {"recorded": clock() if before is None else before.get("recorded"), "changes": changes, **now}
    folder.mkdir(parents=True, exist_ok=True)
    write_inputs(folder, record)
    return record


def compare_inputs(
    recipe: Recipe, folder: Path, session: Session, data: RunData, roles: Mapping[str, RoleSpec], *, step: int | None
) -> tuple[dict[str, Any] | None, dict[str, Any], list[str]]:
    """The part of `check_inputs` that changes nothing. Returns the record of the stage, what is there now, and the
    differences that `session.allow_changes` lets pass, which the console has named.

    Raises the same.
    """
    before = read_inputs(folder) if session.resume else None
    if before is None and step is not None:
        session.console.note(
            f"{folder} was begun by a version that recorded neither data nor weights, so what may have changed since"
            " cannot be seen; it is recorded from now on"
        )
    now = stage_inputs(recipe, session, data, roles, (before or {}).get("models", {}))
    changed: list[str] = []
    if before is not None:
        for role in [role for role in before["models"] if role not in now["models"] and role in ("model", *roles)]:
            session.console.warn(f"{role} ({before['models'][role]['name']}) is gone, so it was not compared")
            now["models"][role] = before["models"][role]
        changed = differences(before, now)
        if changed and not session.allow_changes:
            lines = "\n".join(f"  - {difference}" for difference in changed)
            raise UsageError(
                f"{folder} cannot be resumed: what it was trained with has changed.\n{lines}\nRestore it; or resume"
                " with --allow-changes, which is recorded in the run; or write run_dir=ANOTHER_FOLDER for a new run"
            )
        for difference in changed:
            session.console.warn(f"changed since the run began: {difference}")
    return before, now, changed


def identity_of(recipe: Recipe, record: Mapping[str, Any]) -> str:
    """What generations depend on beside their requests: the recipe, and the weights in a record of inputs."""
    models = {
        role: {name: facts["sha256"] for name, facts in model["files"].items()} if "files" in model else model
        for role, model in record["models"].items()
    }
    return json.dumps([recipe.model_dump(mode="json"), models], sort_keys=True)


def stage_inputs(
    recipe: Recipe, session: Session, data: RunData, roles: Mapping[str, RoleSpec], known: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of what is there now. `known` is "models" of an earlier record, whose files are not read again where
    they are unchanged. A model that cannot be found is left out.
    """
    names = {"model": session.init_from}
    for role, spec in roles.items():
        if not spec.served and spec.model != "same":
            names[role] = model_for_role(role, spec.model)
    models = {}
    for role, name in names.items():
        try:
            models[role] = model_facts(name, known.get(role, {}).get("files") or {}, offline=session.offline)
        except ModelError:
            continue
    sets = {"data.train": data.train, **{f"data.heldout.{name}": rows for name, rows in data.heldout.items()}}
    if data.replay:
        sets["data.replay"] = data.replay
    return {
        "recipe": stage_text(session.written or recipe),
        "models": models,
        "code": digest_files({_shown(path): path for path in user_files(recipe)}, {}),
        "data": {name: digest_rows(problems) for name, problems in sets.items()},
    }


def model_facts(name: str, known: Mapping[str, Any], *, offline: bool) -> dict[str, Any]:
    """What identifies a model: the digests of its files, its commit on the hub, or the name of a built-in one.

    Raises:
        ModelError: the model cannot be found.
    """
    if name in tiny.MODELS:
        return {"name": name, "built_in": name}
    source = model_source(name, offline=offline)
    path = Path(source)
    if path.is_dir():
        files = {
            file.name: file
            for file in sorted(path.iterdir())
            if file.is_file() and file.name != MANIFEST and (file.suffix in _MODEL_FILES or file.name in _MODEL_TEXTS)
        }
        return {"name": name, "files": digest_files(files, known)}
    _, config = load_tokenizer_and_config(name, offline=offline)
    return {"name": name, "commit": getattr(config, "_commit_hash", None)}


def user_files(recipe: Recipe) -> list[Path]:
    """The files of the user's own code that a recipe names by dotted path, and the modules beside them that they
    import.
    """
    files: dict[Path, None] = {}
    for text in _strings(recipe.model_dump(mode="json")):
        if _DOTTED.fullmatch(text):
            path = _module_file(text.partition(":")[0])
            if path is not None:
                _add_with_imports(path, files)
    return sorted(files)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


def _module_file(module: str) -> Path | None:
    """The source of a module, which may be loaded later (tools of an environment); None for anything else, such as
    `stage:NAME`.
    """
    loaded = sys.modules.get(module)
    origin = getattr(loaded, "__file__", None)
    if origin is None:
        with contextlib.suppress(ImportError, AttributeError, ValueError):  # no module, or a broken package above it
            spec = importlib.util.find_spec(module)
            origin = spec.origin if spec is not None and spec.has_location else None
    if origin is None or not origin.endswith(".py") or module.partition(".")[0] in ("reasonrl", "verifiers", "critics"):
        return None
    return Path(origin)


def _add_with_imports(path: Path, files: dict[Path, None]) -> None:
    if path in files:
        return
    files[path] = None
    try:
        tree = tree_of(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else [alias.name for alias in node.names]
    for name in names:
        last = name.rpartition(".")[2]
        if (beside := path.with_name(f"{last}.py")).is_file():
            _add_with_imports(beside, files)


def _shown(path: Path) -> str:
    """Relative to the folder that it is imported from, so that a run that is moved with its code is the same."""
    resolved = path.resolve()
    roots = [root for root in (Path(entry).resolve() for entry in sys.path) if resolved.is_relative_to(root)]
    longest = max(roots, key=lambda root: len(root.parts), default=None)
    return str(path if longest is None else resolved.relative_to(longest))
