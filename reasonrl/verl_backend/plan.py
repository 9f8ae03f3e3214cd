"""What a launch of verl would do: its settings, its memory, and the keys of a recipe that verl cannot honour."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reasonrl.algorithms.catalogue import ADVANTAGES, DEFAULT_ADVANTAGE, DEFAULT_LOSS, LOSSES
from reasonrl.errors import RecipeError
from reasonrl.models.sizes import states_gb, weights_gb
from reasonrl.recipe.schema import Recipe
from reasonrl.verl_backend.settings import needs_value_head, to_hydra_overrides, translate
from reasonrl.verl_backend.stage import VARIABLE, VENDOR

TESTED = "0.9.1"
PLUGIN = "reasonrl.verl_backend.plugin"


@dataclass(frozen=True)
class VerlPlan:
    """What a launch would do."""

    settings: list[str]
    environment: dict[str, str]
    lines: list[str]
    """The plan in words."""


def unsupported(recipe: Recipe) -> list[str]:
    """Keys of an rl stage that verl cannot honour, each with what to write instead."""
    train, verl = recipe.train, recipe.verl
    gpus, on_gpu = verl.nodes * verl.gpus_per_node, verl.platform == "gpu"
    messages = []
    if LOSSES[train.loss].level == "group":
        messages.append(
            f"train.loss: {train.loss} compares the responses of a group inside the loss, which verl's actor cannot; "
            f"write {DEFAULT_LOSS}"
        )
    if ADVANTAGES[train.advantage].baseline == "greedy":
        messages.append(
            f"train.advantage: {train.advantage} needs a greedy response to every prompt, which verl does not sample; "
            f"write {DEFAULT_ADVANTAGE}"
        )
    if recipe.critique_grpo is not None:
        messages.append("critique_grpo: not supported on verl; write backend: local")
    if recipe.model.attention == "eager" and on_gpu:
        messages.append("model.attention: verl packs rows on GPUs, which needs flash attention; leave it out")
    actor = recipe.critic.refine.actor if recipe.critic is not None and recipe.critic.refine.refinements else None
    if actor is not None and actor.model != "same" and not actor.served:
        messages.append(
            f"critic.refine.actor.model: every agent worker would need to load {actor.model}; serve it "
            "(python -m vllm.entrypoints.openai.api_server) and write its address, or write same"
        )
    for name, part in recipe.reward.items():
        if part.critic is not None and part.critic.model != "same" and not part.critic.served:
            messages.append(
                f"reward.{name}.critic.model: every agent worker would need to load {part.critic.model}; serve it "
                "(reasonrl serve --critic MODEL) and write its address, or write same"
            )
    if recipe.rollout.engine not in ("hf", "vllm"):
        messages.append(
            f"rollout.engine: {recipe.rollout.engine} is for local runs; leave it out, since verl has rollout servers"
        )
    if recipe.model.dtype == "float32" and on_gpu:
        messages.append(
            "model.dtype: verl computes in bfloat16 on GPUs (the optimiser's weights are float32); write model.dtype: "
            "bfloat16"
        )
    if gpus % verl.tensor_parallel:
        messages.append(f"verl.tensor_parallel: {verl.tensor_parallel} does not divide the {gpus} GPUs")
    if recipe.model.lora is not None and recipe.model.lora.dropout > 0:
        messages.append("model.lora.dropout: verl's adapters have no dropout; write 0.0")
    if verl.platform == "cpu" and verl.nodes > 1:
        messages.append("verl.nodes: platform cpu runs on one machine; write 1")
    return messages


def make_plan(recipe: Recipe, folder: Path, model: str, *, longest_prompt: int, parameters: int) -> VerlPlan:
    """Raises RecipeError with every key that verl cannot honour."""
    problems = [*unsupported(recipe), *too_large(recipe, parameters)]
    if problems:
        raise RecipeError("backend: verl cannot run this recipe:\n" + "\n".join(f"  {problem}" for problem in problems))
    environment = {
        VARIABLE: str(folder.resolve()),
        "VERL_USE_EXTERNAL_MODULES": ",".join(filter(None, [PLUGIN, os.environ.get("VERL_USE_EXTERNAL_MODULES", "")])),
        "VERL_ENGINE_VENDOR": VENDOR,
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
    }
    if recipe.verl.platform == "cpu":
        environment |= {
            "VERL_PLATFORM": "cpu",
            "VERL_ENGINE_DEVICE": "cuda",
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }
        environment |= {"RAY_raylet_start_wait_time_s": "180"}
    # Workers on other machines get their environment from Ray, those on this one from the launcher.
    everywhere = {f"+ray_kwargs.ray_init.runtime_env.env_vars.{name}": value for name, value in environment.items()}
    translated = translate(recipe, folder, model, longest_prompt) | everywhere
    settings = [*to_hydra_overrides(translated), *recipe.verl.settings]
    return VerlPlan(settings, environment, list(plan_lines(recipe, parameters, longest_prompt)))


def memory_gb(recipe: Recipe, parameters: int) -> tuple[float, float]:
    """On each GPU, in GB: the trainer's share of states (FSDP2: weights, gradients, moments in float32, a reference in
    bfloat16), and vLLM's weights. What is left is for activations and for vLLM's cache.
    """
    gpus = recipe.verl.nodes * recipe.verl.gpus_per_node
    lora = recipe.model.lora is not None
    states = states_gb(parameters, lora=lora, dtype="float32") / gpus
    compares = recipe.train.kl.coefficient > 0 and not lora
    reference = weights_gb(parameters, "bfloat16") / gpus if compares else 0.0
    value_head = states_gb(parameters, lora=False, dtype="float32") / gpus if needs_value_head(recipe) else 0.0
    return states + reference + value_head, weights_gb(parameters, "bfloat16") / recipe.verl.tensor_parallel


RESERVE = 0.15
"""Of a GPU, for activations, logits of a micro-batch and what the libraries take."""


def too_large(recipe: Recipe, parameters: int) -> list[str]:
    """What does not fit on a GPU by the plan, and what would help."""
    verl = recipe.verl
    if verl.platform == "cpu":
        return []
    trainer, server = memory_gb(recipe, parameters)
    have, share = verl.gpu_memory_gb, verl.rollout_memory_share
    problems = []
    if server > share * have:
        problems.append(
            f"verl.rollout_memory_share: vLLM's weights alone take {server:.0f} GB of its {share * have:.0f} GB; raise"
            " it, or verl.tensor_parallel"
        )
    together = trainer if verl.offload else trainer + share * have
    if together > (1 - RESERVE) * have:
        parts = f"trainer {trainer:.0f} GB" + ("" if verl.offload else f", vLLM {share * have:.0f} GB")
        cure = "use model.lora" if verl.offload else "write verl.offload: true, lower verl.rollout_memory_share"
        problems.append(
            f"verl.gpu_memory_gb: {together:.0f} GB of {have:.0f} are taken before any activation ({parts}); {cure}, or"
            " take more GPUs"
        )
    return problems


def plan_lines(recipe: Recipe, parameters: int, longest: int) -> Iterable[str]:
    train, verl, n = recipe.train, recipe.verl, recipe.rollout.rollouts_per_prompt
    gpus = verl.nodes * verl.gpus_per_node
    workers = f"{gpus} CPU worker{'s' if gpus > 1 else ''} (for tests)"
    where = workers if verl.platform == "cpu" else f"{verl.nodes} x {verl.gpus_per_node} GPUs"
    servers = gpus // verl.tensor_parallel
    yield f"  backend         verl {TESTED} on {where}; trainer and rollout servers take turns on them"
    yield f"  rollouts        {servers} server{'s' if servers > 1 else ''}, tensor parallel {verl.tensor_parallel}"
    mini = train.prompts_per_step // train.updates_per_step
    yield f"  a step          {train.prompts_per_step} prompts x {n} = {train.prompts_per_step * n} rollouts"
    yield (
        f"  an update       {mini} prompts x {n} = {mini * n} rollouts, {-(-mini * n // gpus)} a GPU (verl:"
        f" ppo_mini_batch_size={mini}); {train.updates_per_step} a step, fewer rows where some are left out"
    )
    if verl.platform == "gpu":
        trainer, server = memory_gb(recipe, parameters)
        moved = " (in host memory while vLLM generates)" if verl.offload else ""
        yield (
            f"  micro-batches   packed to {max(verl.tokens_per_gpu, longest + recipe.rollout.response_limit):,} tokens"
            " a GPU"
        )
        if parameters:
            yield f"  memory a GPU    trainer {trainer:.1f} GB{moved}, vLLM's weights {server:.1f} GB;"
        else:
            yield "  memory a GPU    unknown, as the model's size;"
        yield f"                  vLLM takes {verl.rollout_memory_share:.0%} of the GPU with its cache"
    saved, tested = (every or train.steps for every in (recipe.checkpoint.every_steps, recipe.evaluation.every_steps))
    if recipe.checkpoint.keep_best and recipe.data.heldout and tested % saved:
        yield (
            f"  best weights    among the steps that are saved and evaluated; write checkpoint.every_steps: {tested} to"
            " consider all evaluations"
        )
    if needs_value_head(recipe):
        yield (
            "  value head      verl's critic, trained on raw rewards; predicts prompts for the curriculum and"
            " the budget"
        )
