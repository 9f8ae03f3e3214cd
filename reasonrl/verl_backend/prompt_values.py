"""What verl's value head expects of a prompt before anything is sampled: features of predictions."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transfer_queue as tq
from torch import Tensor
from verl.utils import tensordict_utils as tu

from reasonrl.environments.single_turn import encode_prompt
from reasonrl.verl_backend.rows import bare_prompts
from verifiers.types import Problem


def prompt_values(
    problems: Sequence[Problem], tokenizer: Any, compute_values: Callable[[Any, dict[str, Any]], Any], gpus: int
) -> Tensor:
    """[n, 1] of n problems: the value at the end of each prompt. `compute_values` is verl's; `gpus` share the rows."""
    prompts = [encode_prompt(tokenizer, problem) for problem in problems]
    prompts += prompts[:1] * (-len(prompts) % gpus)  # as many for each GPU
    keys = [f"{uuid.uuid4().hex}_0_0" for _ in prompts]
    rows, tags = bare_prompts(prompts, int(tokenizer.eos_token_id))
    batch = tq.kv_batch_put(keys=keys, fields=tu.list_of_dict_to_tensordict(rows), tags=tags, partition_id="prompts")
    try:
        compute_values(batch, {})
        values = tq.kv_batch_get(keys=keys, partition_id="prompts", select_fields=["values"])["values"]
        return torch.stack([value[:1].float() for value in values.unbind()])[: len(problems)]
    finally:
        tq.kv_clear(keys=keys, partition_id="prompts")
