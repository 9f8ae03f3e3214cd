"""Patches of what verl 0.9.1 hard-codes for CUDA. Each patch names the place that it replaces."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import verl.utils.distributed as verl_distributed
import verl.utils.model as verl_model
from verl.workers.rollout import base as rollout_base
from verl.workers.rollout import replica as rollout_replica

ROLLOUT = "reasonrl_hf"


def apply() -> None:
    # utils/distributed.py asks for "cpu:gloo,cpu:gloo", and torch refuses a device that is named twice.
    verl_distributed.initialize_global_process_group_ray = _init_process_group
    verl_distributed.set_numa_affinity = lambda: None
    # utils/model.py loads value heads with flash_attention_2 whatever the config says, and calls the ImportError a lack
    # of trl.
    verl_model.load_valuehead_model = _load_value_head
    rollout_base._ROLLOUT_REGISTRY[(ROLLOUT, "async")] = "reasonrl.verl_backend.cpu.rollout.ServerAdapter"
    rollout_replica.RolloutReplicaRegistry.register(ROLLOUT, _replica)
    _offload_without_pinned_memory()


def _init_process_group(timeout_second: int | None = None, backend: str | None = None) -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        return
    dist.init_process_group(
        backend="gloo",
        rank=int(os.environ.get("RANK", 0)),
        world_size=int(os.environ.get("WORLD_SIZE", 1)),
        timeout=None if timeout_second is None else timedelta(seconds=timeout_second),
        init_method=os.environ.get("DIST_INIT_METHOD"),
    )


def _load_value_head(local_path: str, torch_dtype: Any, model_config: Any, trust_remote_code: bool) -> Any:
    from transformers import AutoModelForTokenClassification

    return AutoModelForTokenClassification.from_pretrained(
        local_path,
        dtype=torch_dtype,
        config=model_config,
        attn_implementation="eager",
        trust_remote_code=trust_remote_code,
    )


def _offload_without_pinned_memory() -> None:
    """engine/fsdp/transformer_impl.py keeps the reference policy in pinned host memory, which needs an accelerator to
    be pinned for.
    """
    import functools

    from verl.utils import fsdp_utils

    policy = fsdp_utils.CPUOffloadPolicy
    if policy is not None:
        fsdp_utils.CPUOffloadPolicy = functools.wraps(policy)(lambda pin_memory=True: policy(pin_memory=False))


def _replica() -> Any:
    from reasonrl.verl_backend.cpu.rollout import HFReplica

    return HFReplica
