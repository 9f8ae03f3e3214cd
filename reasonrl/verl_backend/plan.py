"""A stage of a recipe in verl's settings: what cannot be honoured is said with its key, what is left is checked against
verl's own schema.

verl counts mini-batches in prompts (times rollout.n rows), micro-batches in rows or tokens for each GPU; a recipe
counts prompts, rollouts and optimiser updates of a step. The arithmetic between the two is here, and is printed with
the plan.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reasonrl.errors import RecipeError
from reasonrl.recipe.methods import GROUP_LOSSES
from reasonrl.recipe.schema import Recipe
from reasonrl.verl_backend.stage import VARIABLE, VENDOR

TESTED = "0.9.1"
PLUGIN = "reasonrl.verl_backend.plugin"
AGGREGATION = {
    "token_mean": "token-mean",
    "sequence_mean": "seq-mean-token-mean",
    "sequence_sum": "seq-mean-token-sum-norm",
}
KL = {"k2": "k2", "k3": "low_var_kl"}


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
    if train.loss in GROUP_LOSSES:
        messages.append(
            f"train.loss: {train.loss} compares the responses of a group inside the loss, which verl's actor cannot; "
            "write ppo_clip"
        )
    if train.advantage == "remax":
        messages.append(
            "train.advantage: remax needs a greedy response to every prompt, which verl does not sample; write grpo or "
            "rloo"
        )
    if recipe.critique_grpo is not None:
        messages.append("critique_grpo: is not there on verl; write backend: local")
    if recipe.model.attention == "eager" and on_gpu:
        messages.append("model.attention: verl packs rows on GPUs, which takes flash attention; leave it out")
    actor = recipe.critic.refine.actor if recipe.critic is not None and recipe.critic.refine.refinements else None
    if actor is not None and actor.model != "same" and not actor.served:
        messages.append(
            f"critic.refine.actor.model: {actor.model} would have to live in every agent worker; serve it "
            "(python -m vllm.entrypoints.openai.api_server) and write its address, or write same"
        )
    if recipe.rollout.engine not in ("hf", "vllm"):
        messages.append(
            f"rollout.engine: {recipe.rollout.engine} is an engine of local runs; leave it out, verl has servers"
        )
    if recipe.model.dtype == "float32" and on_gpu:
        messages.append(
            "model.dtype: verl computes in bfloat16 on GPUs (the optimiser's weights are float32); write model.dtype: "
            "bfloat16"
        )
    if gpus % verl.tensor_parallel:
        messages.append(f"verl.tensor_parallel: {verl.tensor_parallel} does not divide the {gpus} GPUs")
    if recipe.model.lora is not None and recipe.model.lora.dropout > 0:
        messages.append("model.lora.dropout: verl's adapters have none; write 0.0")
    if verl.platform == "cpu" and verl.nodes > 1:
        messages.append("verl.nodes: platform cpu is one machine; write 1")
    return messages


def needs_value_head(recipe: Recipe) -> bool:
    return recipe.rate_source != "history"


def translate(recipe: Recipe, folder: Path, model: str, longest_prompt: int) -> dict[str, Any]:
    """Every setting of verl that a stage decides, by its dotted name."""
    train, rollout, verl, optim = recipe.train, recipe.rollout, recipe.verl, recipe.optim
    on_cpu = verl.platform == "cpu"
    mini = train.prompts_per_step // train.updates_per_step
    reference = train.kl.coefficient > 0
    length = longest_prompt + rollout.max_new_tokens
    turns = 0
    if recipe.critic is not None and recipe.critic.refine.refinements:
        turns = rollout.max_new_tokens + recipe.critic.refine.actor.max_new_tokens
    dtype = "fp32" if on_cpu else "bf16"
    settings: dict[str, Any] = {
        "trainer.v1.trainer_mode": "reasonrl_sync",
        "algorithm.adv_estimator": "grpo",  # never asked: our trainer computes advantages
        "algorithm.use_kl_in_reward": False,
        "algorithm.rollout_correction.bypass_mode": False,
        "data.custom_cls.path": "pkg://reasonrl.verl_backend.rows",
        "data.custom_cls.name": "ProblemDataset",
        "data.train_files": "train",
        "data.val_files": "train",  # held-out sets are evaluated by ours
        "data.train_batch_size": train.prompts_per_step,
        "data.max_prompt_length": longest_prompt + turns,
        "data.max_response_length": rollout.max_new_tokens,
        "data.dataloader_num_workers": 0,
        "actor_rollout_ref.model.path": model,
        "actor_rollout_ref.model.use_remove_padding": not on_cpu,
        "actor_rollout_ref.model.enable_gradient_checkpointing": recipe.model.gradient_checkpointing or not on_cpu,
        "actor_rollout_ref.actor.strategy": "fsdp2",
        "actor_rollout_ref.actor.ppo_mini_batch_size": mini,
        "actor_rollout_ref.actor.use_dynamic_bsz": True,
        "actor_rollout_ref.actor.ppo_max_token_len_per_gpu": max(verl.tokens_per_gpu, length),
        "actor_rollout_ref.actor.policy_loss.loss_mode": "reasonrl",
        "actor_rollout_ref.actor.loss_agg_mode": AGGREGATION[recipe.loss_aggregation],
        "actor_rollout_ref.actor.loss_scale_factor": rollout.max_new_tokens
        if recipe.loss_aggregation == "sequence_sum"
        else None,
        "actor_rollout_ref.actor.entropy_coeff": train.entropy_coefficient,
        "actor_rollout_ref.actor.use_kl_loss": reference and train.kl.where == "loss",
        "actor_rollout_ref.actor.kl_loss_coef": train.kl.coefficient,
        "actor_rollout_ref.actor.kl_loss_type": KL.get(train.kl.estimator, "low_var_kl"),
        "actor_rollout_ref.actor.optim.clip_grad": optim.max_grad_norm if optim.max_grad_norm is not None else 1e9,
        "actor_rollout_ref.actor.optim.lr": optim.lr,
        "actor_rollout_ref.actor.optim.lr_scheduler_type": "constant",  # the recipe's schedule is in our engine
        "actor_rollout_ref.actor.optim.weight_decay": optim.weight_decay,
        "actor_rollout_ref.actor.optim.betas": list(optim.betas),
        "+actor_rollout_ref.actor.optim.override_optimizer_config.eps": optim.eps,
        "actor_rollout_ref.actor.checkpoint.save_contents": ["model", "optimizer", "extra", "hf_model"],
        "actor_rollout_ref.actor.fsdp_config.param_offload": verl.offload,
        "actor_rollout_ref.actor.fsdp_config.optimizer_offload": verl.offload,
        "actor_rollout_ref.actor.fsdp_config.model_dtype": "fp32",
        "actor_rollout_ref.rollout.name": "reasonrl_hf" if on_cpu else "vllm",
        "actor_rollout_ref.rollout.n": rollout.rollouts_per_prompt,
        "actor_rollout_ref.rollout.temperature": rollout.temperature,
        "actor_rollout_ref.rollout.prompt_length": longest_prompt + turns,
        "actor_rollout_ref.rollout.response_length": rollout.max_new_tokens,
        "actor_rollout_ref.rollout.calculate_log_probs": True,
        "actor_rollout_ref.rollout.tensor_model_parallel_size": verl.tensor_parallel,
        "actor_rollout_ref.rollout.gpu_memory_utilization": verl.rollout_memory_share,
        "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz": True,
        "actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu": max(2 * verl.tokens_per_gpu, length),
        "actor_rollout_ref.rollout.agent.num_workers": verl.gpus_per_node if on_cpu else verl.agent_workers,
        "actor_rollout_ref.rollout.agent.default_agent_loop": "reasonrl",
        "reward.num_workers": 1,
        "trainer.n_gpus_per_node": verl.gpus_per_node,
        "trainer.nnodes": verl.nodes,
        "trainer.logger": ["console"],
        "trainer.project_name": "reasonrl",
        "trainer.experiment_name": recipe.name,
        "trainer.total_training_steps": train.steps,
        "trainer.total_epochs": 1_000_000,  # steps decide
        "trainer.save_freq": recipe.checkpoint.every_steps or train.steps,
        # verl removes the last one before the next is complete; ours removes them (exports.py)
        "trainer.max_actor_ckpt_to_keep": None,
        "trainer.max_critic_ckpt_to_keep": None,
        "trainer.test_freq": recipe.evaluation.every_steps or train.steps,
        "trainer.val_before_train": recipe.evaluation.before,
        "trainer.default_local_dir": str((folder / "verl" / "checkpoints").resolve()),
        "trainer.resume_mode": "auto",
        "hydra.run.dir": str((folder / "verl" / "hydra").resolve()),  # else it makes a folder where the user is
    }
    if recipe.model.lora is not None:
        settings |= {
            "actor_rollout_ref.model.lora.merge": True,  # servers get whole weights
            "actor_rollout_ref.actor.checkpoint.save_contents": [
                "model",
                "optimizer",
                "extra",
            ],  # our engine writes them merged
            "actor_rollout_ref.model.lora_rank": recipe.model.lora.rank,
            "actor_rollout_ref.model.lora_alpha": recipe.model.lora.alpha,
            "actor_rollout_ref.model.target_modules": recipe.model.lora.target_modules,
        }
    if reference and train.kl.where == "reward":
        # verl makes a reference policy for a KL loss only; ours reads its log-probs and gives the loss no weight
        settings |= {"actor_rollout_ref.actor.use_kl_loss": True, "actor_rollout_ref.actor.kl_loss_coef": 0.0}
    if needs_value_head(recipe):
        settings |= {
            "critic.enable": True,
            "critic.strategy": "fsdp2",
            "critic.model.path": model,
            "critic.model.use_remove_padding": not on_cpu,
            "critic.model.enable_gradient_checkpointing": not on_cpu,
            "critic.ppo_mini_batch_size": train.prompts_per_step,
            "critic.use_dynamic_bsz": True,
            "critic.optim.lr": verl.value_lr,
            "critic.fsdp.model_dtype": "fp32",
            "critic.fsdp.param_offload": verl.offload,
            "critic.fsdp.optimizer_offload": verl.offload,
            "critic.ppo_max_token_len_per_gpu": max(verl.tokens_per_gpu, length),
            "+critic.ppo_infer_max_token_len_per_gpu": max(verl.tokens_per_gpu, length),
        }
    else:
        settings["critic.enable"] = False
    return settings | (
        _cpu_settings(recipe) if on_cpu else {"+actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype": dtype}
    )


def _cpu_settings(recipe: Recipe) -> dict[str, Any]:
    """fp32 without compilation or flash attention; Ray is told of GPUs, one for each worker, that verl can count."""
    made: dict[str, Any] = {
        "trainer.device": "cpu",
        "+actor_rollout_ref.model.override_config.attn_implementation": "eager",
        "actor_rollout_ref.actor.use_torch_compile": False,
        "actor_rollout_ref.actor.fsdp_config.use_torch_compile": False,
        "+actor_rollout_ref.actor.fsdp_config.mixed_precision.param_dtype": "fp32",
        "actor_rollout_ref.rollout.load_format": "auto",
        "actor_rollout_ref.ref.fsdp_config.use_torch_compile": False,
        "actor_rollout_ref.ref.fsdp_config.model_dtype": "fp32",
        "+actor_rollout_ref.ref.fsdp_config.mixed_precision.param_dtype": "fp32",
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
        "ray_kwargs.ray_init.num_cpus": 16,
        "+ray_kwargs.ray_init.num_gpus": recipe.verl.gpus_per_node,
        "+ray_kwargs.ray_init.include_dashboard": False,
        "+ray_kwargs.ray_init.object_store_memory": 500_000_000,
    }
    if needs_value_head(recipe):
        made |= {
            "+critic.model.override_config.attn_implementation": "eager",
            "critic.fsdp.use_torch_compile": False,
            "+critic.fsdp.mixed_precision.param_dtype": "fp32",
        }
    return made


def hydra(settings: dict[str, Any]) -> list[str]:
    """Settings as Hydra reads them from a command line."""
    return [f"{name}={_value(value)}" for name, value in settings.items()]


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_value(one) for one in value) + "]"
    if isinstance(value, str):
        word = value and all(c.isalnum() or c in "_-./" for c in value) and not value[0].isdigit()
        return value if word and value.lower() not in ("true", "false", "null") else json.dumps(value)
    return repr(value)


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
    settings = [*hydra(translated), *recipe.verl.settings]
    return VerlPlan(settings, environment, list(_words(recipe, parameters, longest_prompt)))


def memory_gb(recipe: Recipe, parameters: int) -> tuple[float, float]:
    """On each GPU, in GB: the trainer's share of states (FSDP2: weights, gradients, moments in float32, a reference in
    bfloat16), and vLLM's weights. What is left is for activations and for vLLM's cache.
    """
    gpus = recipe.verl.nodes * recipe.verl.gpus_per_node
    states = parameters * (4.2 if recipe.model.lora is not None else 16) / gpus
    reference = parameters * 2 / gpus if recipe.train.kl.coefficient > 0 and recipe.model.lora is None else 0
    value = parameters * 16 / gpus if needs_value_head(recipe) else 0
    return (states + reference + value) / 1e9, parameters * 2 / recipe.verl.tensor_parallel / 1e9


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


def _words(recipe: Recipe, parameters: int, longest: int) -> Iterable[str]:
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
        f" ppo_mini_batch_size={mini}); {train.updates_per_step} a step, fewer rows where some are not learnt from"
    )
    if verl.platform == "gpu":
        trainer, server = memory_gb(recipe, parameters)
        moved = " (in host memory while vLLM generates)" if verl.offload else ""
        yield (
            f"  micro-batches   packed to {max(verl.tokens_per_gpu, longest + recipe.rollout.max_new_tokens):,} tokens"
            " a GPU"
        )
        yield f"  memory a GPU    trainer {trainer:.1f} GB{moved}, vLLM's weights {server:.1f} GB;"
        yield f"                  vLLM takes {verl.rollout_memory_share:.0%} of the GPU with its cache"
    saved, tested = (every or train.steps for every in (recipe.checkpoint.every_steps, recipe.evaluation.every_steps))
    if recipe.checkpoint.keep_best and recipe.data.heldout and tested % saved:
        yield (
            f"  best weights    of the steps that are saved and evaluated; write checkpoint.every_steps: {tested} to"
            " have all of them"
        )
    if needs_value_head(recipe):
        yield (
            "  value head      verl's critic, trained on raw rewards; its value of a prompt is what the curriculum and"
            " the budget go by"
        )
