"""The section `verl`: the machines that verl runs on."""

from __future__ import annotations

from typing import Literal

from reasonrl.recipe.fields import Count, Positive, Share, Spec


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
