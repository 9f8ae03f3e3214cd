"""The section `rollout`: engine, environment, and how responses are drawn."""

from __future__ import annotations

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
