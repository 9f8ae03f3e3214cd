"""The model that a stage trains: its weights, its adapters, its reference, and the engine that samples from it."""

from __future__ import annotations

import copy
import importlib.util
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch

from reasonrl.engines.base import BatchEngine
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import RecipeError
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.models.lora import check_target_modules
from reasonrl.plugins import import_dotted
from reasonrl.recipe.model import LoraSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.user_code.guards import call_user_code


def load_language_model(recipe: Recipe, source: str, *, offline: bool) -> LanguageModel:
    """The weights `source` with the data type, device and attention of the recipe. `source` is a folder, a Hugging Face
    id, or the name of a bundled model.

    Raises:
        ModelError: the weights cannot be found or loaded; offline also when they are not in the local cache.
    """
    return load_model(
        source,
        dtype=recipe.model.dtype,
        device=recipe.device,
        seed=recipe.seed,
        offline=offline,
        attention=recipe.model.attention,
    )


def check_engine(recipe: Recipe) -> None:
    """Call this before anything is loaded. Raises RecipeError for an engine that is unknown or not installed."""
    name = recipe.rollout.engine
    if name == "vllm" and importlib.util.find_spec("vllm") is None:
        raise RecipeError(
            "rollout.engine: vllm is not installed. Run `pip install '.[vllm]'` (GPU) or `make venv-vllm` (CPU) in the"
            " checkout, or write rollout.engine: hf"
        )
    if name not in ("hf", "hf_plain", "vllm"):
        if ":" not in name:
            raise RecipeError(
                f"rollout.engine: '{name}' is not known; write hf, hf_plain, vllm, or package.module:Class"
            )
        import_dotted(name, "rollout.engine")


def make_engine(recipe: Recipe, language_model: LanguageModel, updates: Callable[[], int] = lambda: 0) -> BatchEngine:
    """`hf`, `hf_plain`, `vllm`, or package.module:Class, which is called as Class(language_model, rows_per_batch=...).

    `updates` returns how often the weights have changed; engines that keep a copy of them compare it.
    """
    name = recipe.rollout.engine
    if name == "hf_plain":
        return PlainEngine(language_model, rows_per_batch=recipe.rollout.rows_per_batch)
    if name == "hf":
        limit = recipe.rollout.cache_gib
        return CachedEngine(
            language_model,
            rows_per_batch=recipe.rollout.rows_per_batch,
            cache_gib=math.inf if limit is None else limit,
            updates=updates,
        )
    if name == "vllm":
        from reasonrl.engines.vllm import VLLMEngine

        return VLLMEngine(
            language_model,
            rows_per_batch=recipe.rollout.rows_per_batch,
            updates=updates,
            **recipe.rollout.vllm.model_dump(),
        )
    check_engine(recipe)
    engine: BatchEngine = call_user_code(
        "rollout.engine",
        import_dotted(name, "rollout.engine"),
        language_model,
        rows_per_batch=recipe.rollout.rows_per_batch,
        error_class=RecipeError,
    )
    return engine


def add_lora(model: Any, spec: LoraSpec, seed: int) -> Any:
    """Wrap a model with trainable adapters. Their random start depends on `seed` alone.

    Raises RecipeError for a target that the model lacks, and for what peft refuses.
    """
    from peft import LoraConfig, get_peft_model

    check_target_modules(model, spec.target_modules)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout,
            target_modules=spec.target_modules,
            task_type="CAUSAL_LM",
        )
        try:
            with warnings.catch_warnings():  # heads that are tied to the embedding: models/tied.py
                warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
                wrapped = get_peft_model(model, config)
        except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError, AttributeError) as error:
            raise RecipeError(
                f"model.lora: peft cannot add adapters of rank {spec.rank} to {spec.target_modules}:"
                f" {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            ) from error
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return wrapped.eval()


def frozen_copy(model: Any) -> Any:
    """The reference of a KL term. It stays in memory beside the model: the cost of a KL term without LoRA."""
    reference = copy.deepcopy(model).eval()
    for parameter in reference.parameters():
        parameter.requires_grad_(False)
    return reference
