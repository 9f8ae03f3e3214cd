"""Step 10 on verl: its actor workers take the optimiser steps, on whole groups, as in local runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict

from reasonrl.verl_backend.batches import balance_over_gpus, mini_batch_info
from reasonrl.verl_backend.engine import STEP


def update_actor(
    trainer: Any, batch: Any, trained: Mapping[str, bool], groups: Mapping[str, int]
) -> tuple[int, dict[str, float]]:
    """Returns the number of optimiser steps, and the mean over them of what verl measured.

    Args:
        trainer: our trainer on verl.
        batch: verl's, with the fields of the update.
        trained: by verl's key of a row, whether it is trained on.
        groups: by verl's key, the ordinal of the row's prompt.
    """
    recipe, actor = trainer.recipe, trainer.config.actor_rollout_ref.actor
    gpus = 1 + max(trainer.actor_rollout_wg._dispatch_info["actor"])
    fillers = [key for key, learns in trained.items() if not learns]
    updates: list[list[str]] = [[] for _ in range(recipe.train.updates_per_step)]
    for key, group in groups.items():
        if trained[key]:
            updates[group % len(updates)].append(key)
    steps, measured = 0, defaultdict[str, list[float]](list)
    for keys in updates * recipe.train.epochs_per_step:
        if not keys:
            continue
        mini_batch = balance_over_gpus(batch, keys, fillers, gpus)
        mini_batch.extra_info = mini_batch_info(actor, len(mini_batch), recipe.rollout.temperature) | {
            STEP: trainer.global_steps,
            "epochs": 1,
            "calculate_entropy": bool(actor.entropy_coeff),
            "distillation_use_topk": False,
            "distillation_only": False,
        }
        output = trainer.actor_rollout_wg.update_actor(mini_batch)
        for name, value in reduce_metrics(rename_dict(output["metrics"], "actor/")).items():
            measured[name].append(float(value))
        steps += 1
    return steps, {name: fmean(values) for name, values in measured.items()}
