"""What a stage takes from the stages before it: `stage:NAME` is the model that it ended with, `stage:NAME/SET` a file
of problems that it wrote.

Recipes keep the links. They become paths only when a stage is run or evaluated, so a run folder can be moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from reasonrl.errors import RecipeError
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.schema import Recipe

PREFIX = "stage:"


def links_of(recipe: Recipe) -> list[tuple[str, str]]:
    """(field, link) of every link in a stage. `init_from` names a stage without the prefix and is not listed."""
    links: list[tuple[str, str]] = []

    def list_link(field: str, value: str) -> str:
        if value.startswith(PREFIX):
            links.append((field, value))
        return value

    _map_texts(recipe.model_dump(mode="json"), "", list_link)
    return links


def check_links(stages: list[Recipe]) -> None:
    """Raises RecipeError for a link to a stage that does not come before, or that does not write what is asked for."""
    for number, recipe in enumerate(stages):
        earlier = {stage.name: stage for stage in stages[:number]}
        if recipe.init_from is not None and recipe.init_from in {stage.name for stage in stages[number:]}:
            subject = f"stages.{number}.init_from: '{recipe.init_from}'"
            raise RecipeError(f"{subject} does not come before '{recipe.name}'; {_listed(earlier)}")
        for field, link in links_of(recipe):
            _check_link(link, f"stages.{number}.{field}: '{link}'", recipe.name, earlier)


def _check_link(link: str, subject: str, stage: str, earlier: dict[str, Recipe]) -> None:
    """`subject` is the beginning of the message: the field and the link."""
    name, output = _split(link)
    if name not in earlier:
        raise RecipeError(f"{subject}: no stage '{name}' comes before '{stage}'; {_listed(earlier)}")
    source = earlier[name]
    outputs = KINDS[source.kind].outputs(source.data)
    if output and not outputs:
        raise RecipeError(
            f"{subject}: '{name}' is of kind {source.kind}, which writes no problems; name a stage of kind"
            f" {' or '.join(kind for kind, facts in KINDS.items() if not facts.trains)}"
        )
    if outputs and not output:
        raise RecipeError(f"{subject}: '{name}' writes problems, not a model; write {link}/{outputs[0]}")
    if output and output not in outputs:
        raise RecipeError(f"{subject}: '{name}' does not write '{output}'; choose from {', '.join(outputs)}")


def _listed(earlier: Iterable[str]) -> str:
    """The end of a message: the stages that a link may name."""
    names = ", ".join(earlier)
    return f"earlier stages: {names}" if names else "it is the first stage"


def with_paths(recipe: Recipe, run_dir: Path, model_of: Callable[[Path], Path]) -> Recipe:
    """The stage with paths for its links. `model_of` gives the newest model of a stage's folder.

    Raises:
        RecipeError: a linked stage or file does not exist yet.
    """

    def link_to_path(field: str, value: str) -> str:
        if not value.startswith(PREFIX):
            return value
        name, output = _split(value)
        folder = stage_folder(run_dir, name, field)
        if not output:
            return str(model_of(folder))
        target = folder / f"{output}.jsonl"
        if not target.exists():
            raise RecipeError(f"{field}: {value} does not exist yet ({target}). Run the stage '{name}' first")
        return str(target)

    if not links_of(recipe):
        return recipe
    return Recipe.model_validate(_map_texts(recipe.model_dump(mode="json"), "", link_to_path))


def stage_folder(run_dir: Path, name: str, field: str = "init_from") -> Path:
    """The folder of a stage of this run. Raises RecipeError if it does not exist; the message begins with `field`."""
    for folder in run_dir.glob("stages/*"):
        if folder.name.partition("-")[2] == name:
            return folder
    raise RecipeError(f"{field}: {run_dir} has no folder of a stage '{name}'. Run that stage first")


def _split(link: str) -> tuple[str, str]:
    """(stage, output); the output is empty for a link to a model."""
    name, _, output = link.removeprefix(PREFIX).partition("/")
    return name, output


def _map_texts(value: Any, field: str, change: Callable[[str, str], str]) -> Any:
    """A nested value with `change(field, text)` for every text in it."""
    if isinstance(value, dict):
        return {key: _map_texts(inner, f"{field}.{key}".lstrip("."), change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_map_texts(inner, f"{field}.{i}", change) for i, inner in enumerate(value)]
    return change(field, value) if isinstance(value, str) else value
