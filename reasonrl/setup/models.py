"""Models of a run: the one that is trained and those of the other roles, with their engines."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch

from reasonrl.engines.base import BatchEngine
from reasonrl.engines.hf import HFEngine
from reasonrl.engines.served import ServedModel
from reasonrl.environments.refined import Refiner
from reasonrl.environments.roles import LocalSpeaker, ServedSpeaker, Speaker
from reasonrl.errors import RecipeError
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.plugins import import_dotted
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import LoraSpec, Recipe
from reasonrl.setup.data import check_lengths
from reasonrl.setup.environments import role_sampling, rollout_sampling
from reasonrl.setup.run_models import model_for_role
from verifiers.types import Problem


def load_for(recipe: Recipe, source: str, *, offline: bool) -> LanguageModel:
    return load_model(
        source,
        dtype=recipe.model.dtype,
        device=recipe.device,
        seed=recipe.seed,
        offline=offline,
        attention=recipe.model.attention,
    )


def check_engine(recipe: Recipe) -> None:
    """Before anything is loaded. Raises RecipeError for an engine that is not known or not installed."""
    name = recipe.rollout.engine
    if name == "vllm" and importlib.util.find_spec("vllm") is None:
        raise RecipeError(
            "rollout.engine: vllm is not installed here. `pip install 'reasonrl[vllm]'` (GPU) or `make venv-vllm`"
            " (CPU), or write hf"
        )
    if name not in ("hf", "vllm"):
        if ":" not in name:
            raise RecipeError(f"rollout.engine: '{name}' is not known; write hf, vllm, or package.module:Class")
        import_dotted(name, "rollout.engine")


def make_engine(recipe: Recipe, language_model: LanguageModel, updates: Callable[[], int] = lambda: 0) -> BatchEngine:
    """`hf`, `vllm`, or package.module:Class called as Class(language_model, rows_per_batch=...).

    `updates` counts the changes of the weights, for engines that keep a copy of them.
    """
    name = recipe.rollout.engine
    if name == "hf":
        return HFEngine(language_model, rows_per_batch=recipe.rollout.rows_per_batch)
    if name == "vllm":
        from reasonrl.engines.vllm import VLLMEngine

        return VLLMEngine(
            language_model,
            rows_per_batch=recipe.rollout.rows_per_batch,
            updates=updates,
            **recipe.rollout.vllm.model_dump(),
        )
    check_engine(recipe)
    engine: BatchEngine = import_dotted(name, "rollout.engine")(
        language_model, rows_per_batch=recipe.rollout.rows_per_batch
    )
    return engine


def load_actor(
    recipe: Recipe, trained: LanguageModel, *, offline: bool
) -> tuple[Speaker | None, dict[str, BatchEngine]]:
    """Who refines, and the engines that this takes beside that of the trained model. (None, {}) where nobody does."""
    if recipe.critic is None or not recipe.critic.refine.refinements:
        return None, {}
    return load_role("actor", recipe, recipe.critic.refine.actor, trained, offline=offline)


def load_refiner(
    recipe: Recipe, trained: LanguageModel, *, offline: bool
) -> tuple[Refiner | None, dict[str, BatchEngine]]:
    """Critique-GRPO's refinements, written by the policy itself. Raises RecipeError for a model without a chat
    template.
    """
    spec = recipe.critique_grpo
    if spec is None:
        return None, {}
    if trained.tokenizer.chat_template is None:
        raise RecipeError(
            "critique_grpo: refining is a conversation, and the model's tokenizer has no chat template; take a chat"
            " model"
        )
    critic, engines = (
        load_role("critic", recipe, spec.critic, trained, offline=offline) if spec.critic is not None else (None, {})
    )
    policy = LocalSpeaker("policy", trained.tokenizer, rollout_sampling(recipe))
    return Refiner(policy, spec.format.load(), critic, spec.with_answer), engines


def load_critic(
    recipe: Recipe, spec: RoleSpec, problems: Sequence[Problem], *, offline: bool
) -> tuple[Speaker, BatchEngine | None]:
    """A critic that is only evaluated: a model of one's own with its engine, or a served one without."""
    if spec.served:
        served = ServedModel(spec.model, spec.served_name, spec.timeout_s, spec.api_key_env)
        served.check()
        return ServedSpeaker("critic", served, role_sampling(spec)), None
    model = load_for(recipe, spec.model, offline=offline)
    rollout = recipe.rollout.model_copy(update={"max_new_tokens": spec.max_new_tokens})
    check_lengths(recipe.model_copy(update={"rollout": rollout}), model.tokenizer, model.model.config, list(problems))
    return LocalSpeaker("critic", model.tokenizer, role_sampling(spec)), make_engine(recipe, model)


def load_role(
    role: str, recipe: Recipe, spec: RoleSpec, trained: LanguageModel, *, offline: bool
) -> tuple[Speaker, dict[str, BatchEngine]]:
    """One speaker for `same`, a model of one's own, or a served one. Raises ModelError when it cannot be had."""
    sampling = role_sampling(spec)
    if spec.model == "same":
        return LocalSpeaker(role, trained.tokenizer, sampling), {}
    if spec.served:
        served = ServedModel(spec.model, spec.served_name, spec.timeout_s, spec.api_key_env)
        served.check()
        return ServedSpeaker(role, served, sampling), {}
    model = load_for(recipe, model_for_role(role, spec.model), offline=offline)
    for parameter in model.model.parameters():
        parameter.requires_grad_(False)
    if recipe.rollout.engine == "vllm":  # there is one vLLM in a process, and it has the weights that are trained
        recipe = recipe.model_copy(update={"rollout": recipe.rollout.model_copy(update={"engine": "hf"})})
    return LocalSpeaker(role, model.tokenizer, sampling, engine=role), {role: make_engine(recipe, model)}


def add_lora(model: Any, spec: LoraSpec, seed: int) -> Any:
    """Wrap a model with trainable adapters; their random start depends on `seed` alone."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,
            lora_dropout=spec.dropout,
            target_modules=spec.target_modules,
            task_type="CAUSAL_LM",
        )
        wrapped = get_peft_model(model, config)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return wrapped.eval()


def frozen_copy(model: Any) -> Any:
    """The reference of a KL term. It stays in memory beside the model: the price of a KL term without LoRA."""
    reference = copy.deepcopy(model).eval()
    for parameter in reference.parameters():
        parameter.requires_grad_(False)
    return reference
