"""The part of a recipe that says which model is trained, and in what form."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reasonrl.recipe.fields import Count, Decay, Spec


class LoraSpec(Spec):
    """Train low-rank adapters (LoRA, arXiv:2106.09685) instead of all weights. Exported checkpoints are merged."""

    rank: Annotated[int, Field(ge=1, le=65_536)] = 16
    """Each adapter has this rank."""
    alpha: Count = 32
    """An adapter's output is multiplied by alpha / rank."""
    dropout: Decay = 0.0
    """This share of an adapter's inputs is dropped during training."""
    target_modules: list[str] | Literal["all-linear"] = "all-linear"
    """Modules with these names get an adapter. `all-linear` means every linear layer except the output layer."""


class ModelSpec(Spec):
    """The model that is trained."""

    path: str = "smollm2-135m"
    """The model is loaded from here: a Hugging Face id (`org/name`, or `org/name@REVISION`), a local folder, a run or a
    stage of a run (its newest checkpoint), or an embedded model: `smollm2-135m` (pretrained),
    `tiny-arithmetic`, `tiny-critic`, `tiny-programs`, `tiny-program-critic`, `tiny-tools` and `tiny-proofs` (random,
    for tests and small recipes).
    """
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The model computes in this precision. The weights that the optimiser updates are float32 either way."""
    attention: Literal["sdpa", "eager"] = "sdpa"
    """This attention kernel of transformers is used."""
    lora: LoraSpec | None = None
    """Train low-rank adapters instead of all weights. Write `lora: {}` for the defaults."""
    gradient_checkpointing: bool = False
    """Activations are computed again in the backward pass, which takes less memory and more time."""
