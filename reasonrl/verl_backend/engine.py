"""verl's FSDP2 engine for the policy, with the recipe's learning rates and exact means over sequences.

verl looks engines up by model type, backend, device and vendor; this one is found because the launcher names the vendor
`reasonrl`. Value heads keep verl's own. What is different:

- The learning rate is a function of the step, as in local runs. verl has no linear schedule, makes its first update
  with warm-up at rate 0, and reports the rate of the update to come.
- Means over sequences count the rows of the mini-batch that are trained on (verl: all of them), so masked rows dilute
  nothing.
- A mini-batch without any such row changes nothing (verl: 0/0), and a gradient that is not finite ends the run (verl
  continues without it).
- Adapters (LoRA) are merged into what the rollout servers get, in the precision of the computation, and into what is
  saved for others; verl writes a Hugging Face folder with the names of adapters, which nothing can load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, AutoModelForCausalLM
from verl.utils import tensordict_utils as tu
from verl.utils.checkpoint.fsdp_checkpoint_manager import drop_tied_target_keys
from verl.utils.device import get_device_id, get_device_name
from verl.utils.fsdp_utils import (
    load_fsdp_model_to_gpu,
    merged_lora_context,
    normalize_peft_param_name,
    offload_fsdp_model_to_cpu,
)
from verl.utils.model import convert_weight_keys
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from reasonrl.errors import TrainingError
from reasonrl.update.schedule import learning_rate
from reasonrl.verl_backend.stage import VENDOR, verl_stage

STEP = "reasonrl_step"
"""Of the data of an update: the 1-based step of the run."""


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device=["cuda", "npu"], vendor=VENDOR)
class ReasonrlEngine(FSDPEngineWithLMHead):
    _learns = True
    _step = 0

    def train_batch(self, data: TensorDict, loss_function: Any) -> Any:
        rows = torch.tensor(sum(bool(row.any()) for row in data["response_mask"].unbind()), device=get_device_id())
        torch.distributed.all_reduce(rows, group=self.get_data_parallel_group())
        self._learns, self._step = bool(rows), int(tu.get_non_tensor_data(data, key=STEP, default=0))
        tu.assign_non_tensor(data, global_batch_size=max(1, int(rows)))
        if not self._learns:
            data["loss_mask"].values()[0] = 1  # the denominator over tokens; every sum over the response mask is 0
        recipe = verl_stage().recipe
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(recipe.optim, self._step, recipe.train.steps)
        return super().train_batch(data, loss_function)

    def optimizer_step(self) -> float:
        if not self._learns:
            self.optimizer.zero_grad()
            return 0.0
        norm = float(super().optimizer_step())
        if not math.isfinite(norm):
            raise TrainingError(
                f"step {self._step}: the gradient is not finite. Start a new run from the last checkpoint"
                " (model.path=RUN run_dir=ANOTHER_FOLDER) with a lower optim.lr or rollout.temperature"
            )
        return norm

    def save_checkpoint(self, local_path: str, *arguments: Any, **options: Any) -> None:
        super().save_checkpoint(local_path, *arguments, **options)
        if not hasattr(self.module, "peft_config"):
            return
        if self._is_offload_param:
            load_fsdp_model_to_gpu(self.module)
        first, weights = torch.distributed.get_rank() == 0, {}
        for name, weight in self._merged_weights(torch.float32):  # every rank has a part of each
            if first:
                weights[name] = weight.cpu()
        if first:
            folder = Path(local_path) / "huggingface"
            config = AutoConfig.from_pretrained(folder)
            with torch.device("meta"):
                model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            drop_tied_target_keys(weights, model, config)
            model.save_pretrained(folder, state_dict=weights)
        torch.distributed.barrier()
        if self._is_offload_param:
            offload_fsdp_model_to_cpu(self.module)

    def _merged_lora_per_tensor_param(self) -> Iterator[tuple[str, Tensor]]:
        try:
            yield from self._merged_weights(torch.float32 if get_device_name() == "cpu" else torch.bfloat16)
        finally:
            if self._is_offload_param:
                offload_fsdp_model_to_cpu(self.module)

    def _merged_weights(self, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
        """Each weight under its name without adapters. What is yielded is a copy: after the last one the base weights
        are as before.
        """
        with merged_lora_context(self.module, backup_adapters=True):
            named = convert_weight_keys(normalize_peft_param_name(self.module.state_dict()), self.module)
            for name, weight in named.items():
                here = weight.detach().to(get_device_id())
                yield name, (here.full_tensor() if isinstance(here, DTensor) else here).to(dtype, copy=True)

    def lr_scheduler_step(self) -> float:
        # that of the update that was made; verl's own schedule does not advance
        return float(self.optimizer.param_groups[0]["lr"])
