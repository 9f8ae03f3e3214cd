"""The part of a recipe that says where rollouts come from and on which machines: the engine, vLLM beside the local
trainer, verl's workers.
"""

from __future__ import annotations

from typing import Literal

from reasonrl.recipe.fields import Count, Positive, Share, Spec


class VllmSpec(Spec):
    """vLLM in the training process: settings of `rollout.engine: vllm`."""

    kv_cache_gib: Positive = 2.0
    """On a CPU: the memory for keys and values of running requests, in GiB."""
    gpu_memory_share: Share = 0.4
    """On a GPU: the share of its memory for vLLM's weights and cache. The trainer gets the remaining memory."""
    max_model_len: Count | None = None
    """The most tokens of a prompt and its response together. Empty: what the model allows, at most 32,768."""


class RolloutSpec(Spec):
    """How responses are generated."""

    engine: str = "hf"
    """`hf` (transformers, with the trained weights themselves), `vllm` (a copy that gets new weights after every
    update), or `package.module:Class`.
    """
    vllm: VllmSpec = VllmSpec()
    """Settings of the engine vllm."""
    environment: str = "single_turn"
    """`single_turn`, or `package.module:Class` with the signature of `reasonrl.environments.single_turn.SingleTurn`."""
    rollouts_per_prompt: Count = 8
    """This many responses are drawn for each prompt: a group."""
    max_new_tokens: Count = 256
    """A response is cut off after this many tokens."""
    temperature: Positive = 1.0
    """The sampling temperature."""
    stop: list[str] = []
    """A response ends at the first of these strings."""
    rows_per_batch: Count = 128
    """At most this many rows are decoded together. The result does not depend on it."""


class VerlSpec(Spec):
    """The machines of `backend: verl`, and what practitioners set by hand. All else follows from the recipe."""

    platform: Literal["gpu", "cpu"] = "gpu"
    """`cpu` is for tests and for trying a recipe with a small model; transformers then takes vLLM's place."""
    nodes: Count = 1
    """The number of machines."""
    gpus_per_node: Count = 1
    """The number of GPUs in each machine."""
    tensor_parallel: Count = 1
    """One vLLM server is spread over this many GPUs."""
    rollout_memory_share: Share = 0.5
    """The share of each GPU's memory that vLLM uses while it generates. Trainer and servers take turns on the GPUs."""
    tokens_per_gpu: Count = 16384
    """A micro-batch on one GPU has at most this many tokens. They are packed, so lengths do not matter."""
    gpu_memory_gb: Positive = 80.0
    """The memory of one GPU in GB. A plan that needs more is refused before anything is launched."""
    offload: bool = False
    """Keep weights and optimiser state in host memory while vLLM generates."""
    agent_workers: Count = 8
    """The number of processes that run and judge episodes."""
    judge_timeout_s: Positive = 300.0
    """An episode whose verdicts take longer than this, in seconds, is masked and counted. Verifiers have deadlines of
    their own below it.
    """
    value_lr: Positive = 1e-5
    """The learning rate of the value head, where `success_rates.source` needs one."""
    settings: list[str] = []
    """Further settings in verl's own words, which override ours:
    `[actor_rollout_ref.actor.fsdp_config.reshard_after_forward=False]`.
    """
