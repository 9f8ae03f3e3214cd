"""`init_from` in a dry run: is the model there, which is neither a stage of the recipe nor model.path?"""

from __future__ import annotations

from collections.abc import Sequence

from reasonrl.errors import ModelError, ModelNotHere
from reasonrl.models.loading import load_tokenizer_and_config
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
        load_tokenizer_and_config(weights_of(name), offline=offline)
    except ModelNotHere:
        if not offline:
            raise
        return [f"init_from: the model {name} is not in the local cache"]
    except ModelError as error:
        raise ModelError(str(error).replace("model.path:", "init_from:", 1)) from error
    return []
