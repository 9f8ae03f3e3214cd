"""A stage of a recipe in verl's own settings.

verl counts mini-batches in prompts (times rollout.n rows), micro-batches in rows or tokens for each GPU; a recipe
counts prompts, rollouts and optimiser updates of a step. The arithmetic between the two is here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reasonrl.recipe.schema import Recipe

AGGREGATION = {
    "token_mean": "token-mean",
    "sequence_mean": "seq-mean-token-mean",
    "sequence_sum": "seq-mean-token-sum-norm",
}
KL = {"k2": "k2", "k3": "low_var_kl"}


def needs_value_head(recipe: Recipe) -> bool:
    """Whether verl trains a value head, to predict success rates."""
    return recipe.rate_source != "history"


def translate(recipe: Recipe, folder: Path, model: str, longest_prompt: int) -> dict[str, Any]:
    """Every setting of verl that a stage decides, by its dotted name."""
    train, rollout, verl, optim = recipe.train, recipe.rollout, recipe.verl, recipe.optim
    on_cpu = verl.platform == "cpu"
    mini = train.prompts_per_step // train.updates_per_step
    reference = train.kl.coefficient > 0
    length = longest_prompt + rollout.response_limit
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
        "data.max_response_length": rollout.response_limit,
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
        "actor_rollout_ref.actor.loss_scale_factor": rollout.response_limit
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
        "actor_rollout_ref.rollout.response_length": rollout.response_limit,
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
        # our engine writes them merged
        settings |= {
            "actor_rollout_ref.model.lora.merge": True,  # servers get whole weights
            "actor_rollout_ref.actor.checkpoint.save_contents": [
                "model",
                "optimizer",
                "extra",
            ],
            "actor_rollout_ref.model.lora_rank": recipe.model.lora.rank,
            "actor_rollout_ref.model.lora_alpha": recipe.model.lora.alpha,
            "actor_rollout_ref.model.target_modules": recipe.model.lora.target_modules,
        }
    if train.kl.in_reward:
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
    settings: dict[str, Any] = {
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
        settings |= {
            "+critic.model.override_config.attn_implementation": "eager",
            "critic.fsdp.use_torch_compile": False,
            "+critic.fsdp.mixed_precision.param_dtype": "fp32",
        }
    return settings


def to_hydra_overrides(settings: dict[str, Any]) -> list[str]:
    """Settings as Hydra reads them from a command line."""
    return [f"{name}={hydra_literal(value)}" for name, value in settings.items()]


def hydra_literal(value: Any) -> str:
    """One value as Hydra parses it back."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(hydra_literal(item) for item in value) + "]"
    if isinstance(value, str):
        word = value and all(c.isalnum() or c in "_-./" for c in value) and not value[0].isdigit()
        return value if word and value.lower() not in ("true", "false", "null") else json.dumps(value)
    return repr(value)
