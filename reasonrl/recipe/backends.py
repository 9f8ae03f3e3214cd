"""The section `verl`: the machines that verl runs on."""

from __future__ import annotations

from typing import Literal

from reasonrl.recipe.fields import Count, Positive, Seconds, Share, Spec


class VerlSpec(Spec):
    """The machines of `backend: verl`, and what practitioners set by hand. All else follows from the recipe."""

    platform: Literal["gpu", "cpu"] = "gpu"
    """`cpu` is for tests and for trying a recipe with a small model; there, transformers takes the place of vLLM."""
    nodes: Count = 1
    """The run uses this many machines."""
    gpus_per_node: Count = 1
    """Each machine has this many GPUs."""
    tensor_parallel: Count = 1
    """One vLLM server is spread over this many GPUs."""
    rollout_memory_share: Share = 0.5
    """While it generates, vLLM uses this share of each GPU's memory. The trainer and the servers take turns on the
    GPUs.
    """
    tokens_per_gpu: Count = 16384
    """A micro-batch on one GPU has at most this many tokens. They are packed, so lengths do not matter."""
    gpu_memory_gb: Positive = 80.0
    """Each GPU has this much memory, in GB. A plan that needs more is refused before anything is launched."""
    offload: bool = False
    """Weights and optimiser state are in host memory while vLLM generates."""
    agent_workers: Count = 8
    """This many processes run and judge episodes."""
    episode_timeout_s: Seconds = 3600.0
    """An episode that is played for longer than this, in seconds, is masked and counted: its environment hangs, or a
    server does not answer. An evaluation ends the run when no response arrives for as long.
    """
    judge_timeout_s: Seconds = 300.0
    """An episode whose verdicts take longer than this, in seconds, is masked and counted. The deadlines of verifiers
    are shorter, so they normally fire first.
    """
    value_lr: Positive = 1e-5
    """The value head learns at this rate, where `success_rates.source` needs one."""
    settings: list[str] = []
    """These settings are written as verl writes them, and replace those that reasonrl derives:
    `[actor_rollout_ref.actor.fsdp_config.reshard_after_forward=False]`.
    """
