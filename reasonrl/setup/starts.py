"""`init_from`: is the model there, which is neither a stage of the recipe nor model.path?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from reasonrl.errors import ModelError, ModelNotHere, RecipeError
from reasonrl.models.loading import check_model_files, load_tokenizer_and_config
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.run_models import weights_of


def check_start(recipe: Recipe, stages: Sequence[Recipe], *, offline: bool) -> list[str]:
    """What was left unchecked of the model that a stage names in `init_from`.

    Raises:
        ModelError: there is no such model. Offline, one that may be on the hub is only listed.
        RecipeError: the run that is named has no checkpoint.
    """
    name = recipe.init_from
    if name is None or any(stage.name == name for stage in stages):
        return []
    try:
        with errors_of_start(recipe):
            weights = start_of(name)
            tokenizer, config = load_tokenizer_and_config(weights, offline=offline)
            check_model_files(weights, tokenizer, config, attention=recipe.model.attention, offline=offline)
    except ModelNotHere:
        if not offline:
            raise
        return [f"init_from: the model {name} is not in the local cache"]
    return []


def start_of(name: str) -> str:
    """`weights_of` for what `init_from` names. Raises RecipeError, which begins with the key."""
    try:
        return weights_of(name, "init_from")
    except RecipeError as error:
        raise RecipeError(f"init_from: {error}") from error


@contextmanager
def errors_of_start(recipe: Recipe) -> Iterator[None]:
    """A ModelError of the model that a stage starts from names `init_from` where the recipe has it."""
    try:
        yield
    except ModelError as error:
        text = str(error)
        if recipe.init_from is None or not text.startswith("model.path:"):
            raise
        raise type(error)(f"init_from:{text.removeprefix('model.path:')}") from error
