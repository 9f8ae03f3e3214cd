"""Imported by every process of a verl run under test: writes down what went through it, and breaks what a test wants
broken.

PROBE_FOLDER: step-N.pt with the fields of TransferQueue before and after the advantages were put there; grads-N.pt with
the actor's weights and gradients before clipping. PROBE_KILL="WHO STEP": that actor of Ray dies in that step: the
rollout `server` and the `agent` worker while they play, the `trainer` before its update.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

FOLDER = os.environ.get("PROBE_FOLDER")
RAW = ["uid", "prompts", "responses", "response_mask", "rm_scores", "rollout_log_probs", "old_log_probs"]


def install() -> None:
    import ray
    import transfer_queue as tq
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

    from reasonrl.verl_backend.trainer import ReasonrlTrainer

    compute, submit, update = (
        ReasonrlTrainer._compute_advantage,
        ReasonrlTrainer._add_batch_to_generate,
        ReasonrlTrainer._update_actor,
    )
    optimize = FSDPEngine.optimizer_step
    who, _, step = os.environ.get("PROBE_KILL", "nobody 0").partition(" ")
    victim = (who, int(step))

    def fields(batch: Any, names: list[str]) -> dict[str, list[Any]]:
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=names)
        return {name: [v.tolist() if isinstance(v, torch.Tensor) else v for v in list(data[name])] for name in names}

    def _compute_advantage(self: Any, batch: Any, metrics: dict[str, Any]) -> Any:
        if not FOLDER:
            return compute(self, batch, metrics)
        before = fields(batch, RAW)
        made = compute(self, batch, metrics)
        after = fields(batch, ["advantages", "response_mask", "returns"])
        asked = [(problem.id, count) for problem, count in self.pending.requested]
        places = {uid: place for uid, (place, _, _) in self.pending._round.items()}
        kept = {"keys": list(batch.keys), "raw": before, "made": after, "asked": asked, "places": places}
        torch.save(kept, Path(FOLDER) / f"step-{self.global_steps}.pt")
        return made

    def _add_batch_to_generate(self: Any) -> Any:
        made = submit(self)
        if victim == ("server", self.global_steps):
            ray.kill(ray.get_actor("reasonrl_hf_server_0"))
        if victim == ("agent", self.global_steps):
            ray.kill(self.agent_loop_manager.agent_loop_workers[0])
        return made

    def optimizer_step(self: Any) -> Any:
        if FOLDER and type(self).__name__ == "ReasonrlEngine":
            named = {name: p for name, p in self.module.named_parameters() if p.grad is not None}
            whole = {name: (_full(p.detach()), _full(p.grad)) for name, p in named.items()}
            if torch.distributed.get_rank() == 0:
                torch.save(whole, Path(FOLDER) / f"grads-{self._step}.pt")
        return optimize(self)

    def _update_actor(self: Any, batch: Any, metrics: dict[str, Any]) -> Any:
        if victim == ("trainer", self.global_steps):
            ray.kill(self.actor_rollout_wg.workers[0])
        made = update(self, batch, metrics)
        if FOLDER:
            path = Path(FOLDER) / f"step-{self.global_steps}.pt"
            kept = torch.load(path, weights_only=False)
            kept["learnt"] = fields(batch, ["response_mask"])["response_mask"]
            torch.save(kept, path)
        return made

    ReasonrlTrainer._update_actor = _update_actor
    ReasonrlTrainer._compute_advantage = _compute_advantage
    ReasonrlTrainer._add_batch_to_generate = _add_batch_to_generate
    FSDPEngine.optimizer_step = optimizer_step


def _full(tensor: Any) -> torch.Tensor:
    return (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).clone().float().cpu()


install()
