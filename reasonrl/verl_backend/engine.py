"""verl's FSDP2 engine for the policy, with the recipe's learning rates and exact means over sequences.

verl looks engines up by model type, backend, device and vendor; this one is found because the launcher names the vendor `reasonrl`.
Value heads keep verl's own. What is different:

- The learning rate is a function of the step, as in local runs. verl has no linear schedule, makes its first update with warm-up at rate 0,
  and reports the rate of the update to come.
- Means over sequences count the rows of the mini-batch that are learnt from (verl: all of them), so masked rows dilute nothing.
- A mini-batch without any such row changes nothing (verl: 0/0), and a gradient that is not finite ends the run (verl goes on without).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from reasonrl.errors import TrainingError
from reasonrl.steps.schedule import learning_rate
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
                f"step {self._step}: the gradient is not finite. Lower optim.lr or rollout.temperature, and go on with --resume"
            )
        return norm

    def lr_scheduler_step(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])  # that of the update that was made; verl's own schedule stands still
