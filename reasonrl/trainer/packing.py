"""Whether an architecture may be trained on prefix trees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reasonrl.errors import ModelError
from reasonrl.models.architecture import logits_are_heads, logits_are_numbers, tree_is_exact
from reasonrl.models.logprobs import Packing
from reasonrl.recipe.schema import Recipe


def choose_packing(recipe: Recipe, model: Any, warn: Callable[[str], None]) -> Packing:
    """A tree if this architecture gives the same numbers that way, and by runs if so too; it is checked, not believed.

    Raises ModelError for an architecture whose log-probs would be wrong in either packing, and for logits that are not
    numbers.
    """
    # One step of bfloat16 near a log-prob of -10 is 0.06, and three layers of rounding differ between the two layouts.
    tolerance = 1e-3 if recipe.model.dtype == "float32" else 0.6
    if not logits_are_numbers(model):
        other_type = "" if recipe.model.dtype == "float32" else ", or write model.dtype: float32"
        raise ModelError(
            f"model.path: the logits of this {type(model).__name__} are not finite numbers (NaN or infinite), though"
            f" its weights are: its computation overflows. Name another model or an earlier checkpoint{other_type}"
        )
    if not logits_are_heads(model, tolerance=tolerance):
        raise ModelError(
            f"model.path: {type(model).__name__} caps or scales its logits after its head (final_logit_softcapping,"
            " logits_scaling or the like); training such a model is not supported. Choose one without"
        )
    if recipe.train.packing == "rows":
        return "rows"
    if tree_is_exact(model, tolerance=tolerance):
        return "tree" if tree_is_exact(model, tolerance=tolerance, packing="tree_runs") else "tree_mask"
    warn(
        f"{type(model).__name__} does not accept a prefix-tree attention mask: every response is computed with its"
        " whole prompt"
    )
    return "rows"
