"""`reasonrl recipes`."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.recipe.reading import find_recipe, shipped_recipes


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
    if target.exists():
        raise UsageError(f"{target} exists already; name another folder: reasonrl recipes cp {name} FOLDER")
    shutil.copytree(source, target)
    emit(as_json, {"path": str(target)}, f"copied to {target}. Train it with: reasonrl train {target}")
