"""Converts between our rows and verl's batches: puts tensors in, and cuts batches for an update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.utils.seqlen_balancing import calculate_workload, get_seqlen_balanced_partitions
from verl.workers.utils.padding import response_to_nested


def scatter_to_batch(values: Tensor, rows: Sequence[int], masks: Tensor) -> Tensor:
    """`values` [b, T] at the places `rows` [b] of the batch, zeros for all others, as verl's nested tensor.

    `masks` is verl's nested response mask of the whole batch: it has the length of each row.
    """
    lengths = torch.tensor([len(row) for row in masks.unbind()])
    width = max(int(lengths.max()), values.shape[1])
    padded = torch.zeros(len(lengths), width, dtype=values.dtype)
    padded[torch.tensor(list(rows), dtype=torch.long), : values.shape[1]] = values
    return response_to_nested(padded, masks)


def balance_over_gpus(batch: Any, keys: Sequence[str], fillers: Sequence[str], gpus: int) -> KVBatchMeta:
    """`keys` of a batch, as many tokens and as many rows for each GPU. `fillers`, rows without anything to learn, make
    up the number.
    """
    chosen = [*keys, *fillers[: -len(keys) % gpus]]
    tags = dict(zip(batch.keys, batch.tags, strict=True))
    work = calculate_workload(torch.tensor([tags[key]["seq_len"] for key in chosen], dtype=torch.int64))
    partitions = get_seqlen_balanced_partitions(work, k_partitions=gpus, equal_size=True)
    order = [chosen[i] for partition in partitions for i in partition]
    return KVBatchMeta(order, [tags[key] for key in order], batch.partition_id)


def mini_batch_info(config: Any, rows: int, temperature: float) -> dict[str, Any]:
    """What verl's workers want to know of a mini-batch of `rows` rows."""
    return {
        "global_batch_size": rows,
        "mini_batch_size": rows,
        "epochs": config.ppo_epochs,
        "seed": config.data_loader_seed,
        "dataloader_kwargs": {"shuffle": config.shuffle},
        "temperature": temperature,
    }
