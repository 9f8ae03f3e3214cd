"""The recipe that `reasonrl eval` and `reasonrl critic eval` use, and the weights that they load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reasonrl.errors import UsageError
from reasonrl.recipe.reading import find_recipe, load_recipe, parse_recipe, read_yaml
from reasonrl.recipe.schema import Recipe


def evaluation_recipe(
    model: str, *, data: str | None, recipe: str | None, limit: int | None, overrides: list[str], offline: bool = False
) -> tuple[Recipe, str]:
    """The recipe to evaluate by, without its training set, and the weights to load.

    A run is evaluated as it was trained (its last stage). A model without a recipe gets plain questions as a chat
    message if its tokenizer has a chat template, and as plain text if not; `--set data.prompt.template=...` changes
    that. Messages pass unchanged.
    """
    run = Path(model)
    weights = model
    if (run / "recipe.yaml").is_file():
        from reasonrl.setup.run_models import newest_model

        weights = str(newest_model(run))
        stage_dirs = sorted((run / "stages").glob("*/recipe.yaml"))
        recipe = recipe or str(stage_dirs[-1] if stage_dirs else run / "recipe.yaml")
    heldout: dict[str, Any] = {}
    if recipe is not None:
        raw = read_yaml(find_recipe(recipe))
        if "stages" in raw:
            raw = load_recipe(recipe).stages[-1].model_dump(mode="json")
        heldout = dict((raw.get("data") or {}).get("heldout") or {})
    else:
        if data is None:
            raise UsageError("no problems to evaluate on: name a file with --data, or a recipe with --recipe")
        raw = {"name": "eval", "rollout": {"max_new_tokens": 512}, "verifier": {"name": "math", "mode": "lenient"}}
        if has_chat_template(weights, offline=offline):
            raw["data"] = {"prompt": {"style": "chat"}}
    if data is not None:
        heldout = {Path(data).stem.replace("/", "-") or "data": {"source": data}}
    raw.setdefault("data", {})
    raw["data"] = {**raw["data"], "heldout": heldout}
    loaded = parse_recipe(yaml.safe_dump(_with_any_train(raw)), recipe or "eval", overrides)
    stage = resolve_links(loaded.stages[-1], run)
    sources = {name: s.model_copy(update={"limit": limit}) if limit else s for name, s in stage.data.heldout.items()}
    if not sources:
        raise UsageError("the recipe has no data.heldout: name problems with --data")
    return (
        stage.model_copy(update={"data": stage.data.model_copy(update={"train": None, "heldout": sources})}),
        weights,
    )


def refuse_empty_evaluation(recipe: Recipe, samples_per_problem: int) -> None:
    """Raises UsageError where a recipe leaves out the greedy answers and nobody asks for samples."""
    if not (recipe.evaluation.greedy or samples_per_problem):
        raise UsageError(
            "nothing to evaluate: n is 0, which leaves out the samples, and evaluation.greedy is false. Write --n 4 for"
            " samples, or --set evaluation.greedy=true"
        )


def critic_recipe(model: str, *, offline: bool) -> tuple[Recipe, str]:
    """The recipe that a critic was trained by, and its weights. A model that is not a run has the defaults, and no
    `critic` section.

    Raises UsageError for a run that trained something else.
    """
    run = Path(model)
    if model.startswith(("http://", "https://")) or not (run / "recipe.yaml").is_file():
        raw = {"name": "critic-eval", "data": {"train": {"source": "none"}}}
        return parse_recipe(yaml.safe_dump(raw), "critic eval").stages[0], model
    from reasonrl.setup.run_models import newest_model

    return recipe_of_critic_run(run), str(newest_model(run))


def recipe_of_critic_run(run: Path) -> Recipe:
    """The last stage of a run. Raises UsageError for a run that trained something else, and for what is no run."""
    if not (run / "recipe.yaml").is_file():
        raise UsageError(f"{run} is no run folder: it has no recipe.yaml")
    stage_dirs = sorted((run / "stages").glob("*/recipe.yaml"))
    recipe = load_recipe(str(stage_dirs[-1] if stage_dirs else run / "recipe.yaml")).stages[-1]
    if recipe.critic is None:
        raise UsageError(
            f"{run} is a run that trained no critic (its last stage, {recipe.name}, has no section `critic`); name"
            " another"
        )
    return recipe


def resolve_links(recipe: Recipe, run: Path) -> Recipe:
    """The stage with paths in place of its links to other stages of its run."""
    from reasonrl.recipe.links import links_of, with_paths
    from reasonrl.setup.run_models import newest_model

    if not links_of(recipe):
        return recipe
    root = run.parent.parent if run.parent.name == "stages" else run
    return with_paths(recipe, root, newest_model)


def has_chat_template(model: str, *, offline: bool) -> bool:
    from reasonrl.models.loading import load_tokenizer_and_config

    return load_tokenizer_and_config(model, offline=offline)[0].chat_template is not None


def _with_any_train(raw: dict[str, Any]) -> dict[str, Any]:
    """A recipe needs data.train, but an evaluation does not: a placeholder that is never loaded."""
    data = raw["data"]
    return {**raw, "data": {**data, "train": data.get("train") or {"source": "none"}}}
