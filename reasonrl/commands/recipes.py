"""`reasonrl recipes`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.host.files import create_folder
from reasonrl.host.outputs import check_folder
from reasonrl.recipe.reading import find_recipe, shipped_recipes
from reasonrl.recipe.reference import NAME, Key, Section, sections
from reasonrl.words import did_you_mean


def ls_command(*, as_json: bool) -> None:
    recipes = []
    for file in sorted(shipped_recipes().glob("*/recipe.yaml")):
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
        recipes.append({"name": file.parent.name, "description": raw.get("description", ""), "path": str(file)})
    width = max(len(r["name"]) for r in recipes)
    emit(as_json, {"recipes": recipes}, "\n".join(f"{r['name']:<{width}}  {r['description']}" for r in recipes))


def cp_command(name: str, target: Path | None, *, as_json: bool) -> None:
    source = find_recipe(name).parent
    target = target or Path(source.name)
    taken = f"{target} already exists; name another folder: reasonrl recipes cp {name} FOLDER"
    if os.path.lexists(target):
        raise UsageError(taken)
    check_folder(target, "FOLDER")
    try:
        create_folder(target, lambda folder: _copy(source, folder))
    except FileExistsError as error:  # another process was faster
        raise UsageError(taken) from error
    emit(as_json, {"path": str(target)}, f"copied to {target}. Train it with: reasonrl train {target}")


def _copy(source: Path, folder: Path) -> None:
    """Contents only: the copy is the user's, whatever the modes of the installed files are."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_dir():
            target.mkdir()
        else:
            shutil.copyfile(path, target)


def keys_command(path: str, *, as_json: bool) -> None:
    """Describe a key or a section; an empty path is the top level of a recipe. Raises UsageError for an unknown key."""
    from reasonrl.commands.recipe_page import key_text, name_options, section_text

    entry = find_key(path)
    if isinstance(entry, Key):
        emit(as_json, {"keys": [_facts(entry)]}, key_text(entry))
        return
    facts: dict[str, Any] = {
        "section": entry.path,
        "description": entry.description,
        "keys": [_facts(key) for key in entry.keys],
    }
    if options := name_options(entry.spec):
        facts["options"] = dict(options)
    emit(as_json, facts, section_text(entry))


def find_key(path: str) -> Key | Section:
    """The section or the key at a dotted path. Names that the user chooses match any name: `data.heldout.test.limit`.

    Raises:
        UsageError: the key does not exist; the message has the nearest one.
    """
    known = sections()
    by_path: dict[str, Key | Section] = {key.path: key for section in known for key in section.keys}
    by_path |= {section.path: section for section in known}
    for candidate, value in by_path.items():
        if _matches(path, candidate):
            return value
    last = path.rpartition(".")[2]
    elsewhere = [candidate for candidate in by_path if candidate and candidate.rpartition(".")[2] == last]
    hint = f"did you mean '{elsewhere[0]}'?" if elsewhere else did_you_mean(path, filter(None, by_path))
    raise UsageError(f"there is no recipe key '{path}'; {hint or 'reasonrl recipes keys lists the sections'}")


def _matches(path: str, candidate: str) -> bool:
    words, pattern = path.split("."), candidate.split(".")
    return len(words) == len(pattern) and all(known in (word, NAME) for word, known in zip(words, pattern, strict=True))


def _facts(key: Key) -> dict[str, str | bool | None]:
    return {
        "key": key.path,
        "takes": key.takes,
        "default": key.default or None,
        "required": key.required,
        "description": key.description,
    }
