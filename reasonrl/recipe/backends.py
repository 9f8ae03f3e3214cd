"""Where rollouts come from and on which machines: the engine, vLLM beside the local trainer, verl's workers."""

from __future__ import annotations

from typing import Literal

from reasonrl.recipe.fields import Count, Positive, Share, Spec


class VllmSpec(Spec):
    """Of `rollout.engine: vllm`."""

    kv_cache_gib: Positive = 2.0
    """On a CPU: memory for keys and values of running requests."""
    gpu_memory_share: Share = 0.4
    """On a GPU: of all its memory, for vLLM's weights and cache; the trainer has the rest."""
    max_model_len: Count | None = None
    """Most tokens of prompt and response together; empty: what the model allows, at most 32,768."""


class RolloutSpec(Spec):
    engine: str = "hf"
    """hf (transformers, the trained weights themselves), vllm (a copy that follows them), or package.module:Class."""
    vllm: VllmSpec = VllmSpec()
    environment: str = "single_turn"
    """single_turn, or package.module:Class with the signature of reasonrl.environments.single_turn.SingleTurn."""
    rollouts_per_prompt: Count = 8
    max_new_tokens: Count = 256
    temperature: Positive = 1.0
    stop: list[str] = []
    """The response ends at the first of these strings."""
    rows_per_batch: Count = 128
    """Most rows that are decoded together."""


class VerlSpec(Spec):
    """Of `backend: verl`: the machines, and what practitioners set by hand. Everything else follows from the recipe."""

    platform: Literal["gpu", "cpu"] = "gpu"
    """cpu: for tests and for trying a recipe out, with a small model and transformers for vLLM."""
    nodes: Count = 1
    gpus_per_node: Count = 1
    tensor_parallel: Count = 1
    """GPUs that one vLLM server is spread over."""
    rollout_memory_share: Share = 0.5
    """Of each GPU, for vLLM while it generates; trainer and servers take turns on the same GPUs."""
    tokens_per_gpu: Count = 16384
    """Most tokens of a micro-batch on one GPU (packed, so lengths do not matter)."""
    gpu_memory_gb: Positive = 80.0
    """Of one GPU: a plan that needs more is refused before anything is launched."""
    offload: bool = False
    """Keep weights and optimiser state in host memory while vLLM generates."""
    agent_workers: Count = 8
    """Processes that play and judge episodes."""
    judge_timeout_s: Positive = 300.0
    """An episode whose verdicts take longer is masked and counted. Verifiers have deadlines of their own below this."""
    value_lr: Positive = 1e-5
    """Learning rate of the value head, where success_rates.source needs one."""
    settings: list[str] = []
    """More settings in verl's own words, laid over ours:
    [actor_rollout_ref.actor.fsdp_config.reshard_after_forward=False].
    """
