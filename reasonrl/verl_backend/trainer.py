"""verl's synchronous trainer with our steps 1, 2 and 5 to 9: which problems, how many rollouts, what is observed, and
every advantage.

    verl's hook              our step
    _next_train_batch        1 select, 2 allocate (`__rollout_n__`)
    agent loop               3 roll out, 4 verify (agent_loop.py)
    replay buffer's sample   5 observe (rollouts.py), and again from 1 where the recipe refills
    _compute_advantage       6 filter, 7 shape, 8 advantage, 9 select (`UpdatePipeline.prepare`)
    _update_actor            10 update, of the rows that are trained on (actor_update.py, losses.py, engine.py)
    _validate                held-out sets, by the evaluation that local runs have
    _save_checkpoint         the pipeline's state beside verl's own; the weights as a Hugging Face folder too

The pipeline is that of the local trainer: `reasonrl.update`. verl's own group filter is not used, since it would throw
groups away before they are observed. Rows that verl adds to fill a batch carry no tokens to learn from and are left out
of every baseline.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transfer_queue as tq
from ray.exceptions import RayActorError
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync
from verl.utils import tensordict_utils as tu
from verl.utils.dataset.rl_dataset import collate_fn
from verl.utils.metric import reduce_metrics
from verl.utils.py_functional import rename_dict

from reasonrl.errors import TrainingError
from reasonrl.runs.folder import RunFolder
from reasonrl.update.objective import objective_of
from reasonrl.update.pipeline import UpdatePipeline
from reasonrl.verl_backend.actor_update import update_actor
from reasonrl.verl_backend.advantage_fields import advantage_fields, update_metrics
from reasonrl.verl_backend.batches import mini_batch_info, scatter_to_batch
from reasonrl.verl_backend.evaluation import evaluate_heldout
from reasonrl.verl_backend.exports import evaluations_left, load_state, publish_checkpoint, save_state
from reasonrl.verl_backend.faults import describe_dead_actor
from reasonrl.verl_backend.prompt_values import prompt_values
from reasonrl.verl_backend.replay_buffer import SampleFromVerl, WatchedReplayBuffer, WorkerWatch
from reasonrl.verl_backend.rollouts import PendingRollouts
from reasonrl.verl_backend.rows import problem_row
from reasonrl.verl_backend.stage import verl_stage
from reasonrl.verl_backend.step_row import metrics_from_verl
from reasonrl.verl_backend.watch import STOP, warn
from verifiers.types import Problem

NAME = "reasonrl_sync"


@register_trainer(NAME)
class ReasonrlTrainer(PPOTrainerSync):
    def __init__(self, config: Any) -> None:
        config.trainer.v1.trainer_mode = "sync"  # verl compares with this word in a dozen places
        self.stage = verl_stage()
        self.recipe = self.stage.recipe
        self.run = RunFolder(self.stage.folder)
        self.objective = objective_of(self.recipe)
        self._workers = WorkerWatch()
        super().__init__(config)

    # ---------------------------------------------------------------------------------------------------------- set-up

    def _build_replay_buffer(self) -> Any:
        return WatchedReplayBuffer(
            super()._build_replay_buffer(),
            gather=self._gather_rollouts,
            watch=lambda: self._workers.look(self.agent_loop_manager.agent_loop_workers),
        )

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        self.heldout = self.stage.heldout()
        features = self._prompt_values if self.recipe.rate_source != "history" else None
        self.pipeline = UpdatePipeline(
            self.recipe, self.stage.problems("train"), self.stage.parts, self.tokenizer, features
        )
        self.pending = PendingRollouts()
        self._row: dict[str, Any] = {}

    def _prompt_values(self, problems: Sequence[Problem]) -> Tensor:
        gpus = self.recipe.verl.nodes * self.recipe.verl.gpus_per_node
        return prompt_values(problems, self.tokenizer, self._compute_values, gpus)

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self.run.open(after_step=self.global_steps or None)
        if not self.global_steps:
            return
        load_state(self._checkpoint_folder(), self.pipeline)
        due = self.global_steps % self.config.trainer.test_freq == 0 or self.global_steps >= self.recipe.train.steps
        # verl saves before it evaluates: a kill in between leaves an evaluation to be made up for.
        left = evaluations_left(self.run.path, self.recipe, self.global_steps)
        self.config.trainer.val_before_train = due and bool(left)

    def _save_checkpoint(self) -> None:
        save_state(self._checkpoint_folder(), self.pipeline)
        super()._save_checkpoint()
        publish_checkpoint(self.run, self._checkpoint_folder(), self.global_steps, self.recipe.checkpoint.keep_last)

    def _checkpoint_folder(self) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"

    # ------------------------------------------------------------------------------------------------------ 1, 2 and 5

    def prepare_step(self) -> dict[str, Any]:
        self.pipeline.prompts.begin_step()
        self.pending = PendingRollouts()
        metrics: dict[str, Any] = super().prepare_step()
        return metrics

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        problems = self.pipeline.prompts.choose(num_prompts or self.config.data.train_batch_size)  # 1
        counts = self.pipeline.prompts.allocate(problems)  # 2
        rows = collate_fn([problem_row(problem, i) for i, problem in enumerate(problems)])
        rows["uid"] = np.array([uuid.uuid4().hex for _ in problems], dtype=object)
        prompts = tu.get_tensordict(rows)
        first_rollouts = self.pending.register_prompts(list(prompts["uid"]), problems, counts)
        tu.assign_non_tensor_data(prompts, "global_steps", self.global_steps)
        tu.assign_non_tensor_stack(prompts, "__rollout_n__", counts)
        tu.assign_non_tensor_data(prompts, "round", self.pending.rollouts.rounds)
        tu.assign_non_tensor_stack(prompts, "first_rollout", first_rollouts)
        return prompts

    def _gather_rollouts(
        self, sample_from_verl: SampleFromVerl, *, global_steps: int, partition_id: str, batch_size: int
    ) -> Any:
        """The rollouts of a step, observed (5); with `train.refill` again, until enough groups carry signal."""
        keys: list[str] = []
        tags: list[dict[str, Any]] = []
        metrics: dict[str, Any] = {}
        prompts, complaint = batch_size, None
        while prompts:
            if keys:
                self._add_prompts_to_generate(prompts)
            batch, round_metrics = sample_from_verl(
                global_steps=global_steps, partition_id=partition_id, batch_size=prompts
            )
            metrics = metrics if keys else round_metrics  # verl's own, of the first round
            self.pending.receive(batch, self.pipeline, self.stage.parts, step=global_steps)
            complaint = self.pending.complaint(self.global_steps, self.recipe.health.max_unjudged_share)
            keys, tags = [*keys, *batch.keys], [*tags, *batch.tags]
            prompts = self.pipeline.prompts_wanted(self.pending.rollouts)
        if complaint:
            warn(complaint)
        return KVBatchMeta(keys=keys, tags=tags, partition_id=partition_id), metrics

    def _balance_batch(self, batch: Any, metrics: Any, *arguments: Any, **options: Any) -> Any:
        self._rows = len(batch)
        return super()._balance_batch(batch, metrics, *arguments, **options)

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        """verl fills up with empty rows to whole mini-batches of its own counting; we, so that each of our updates can
        be spread evenly.
        """
        spare = dp_size - 1 if self.recipe.train.updates_per_step > 1 else 0
        return math.ceil((self._rows + spare) / dp_size) * dp_size

    # ---------------------------------------------------------------------------------------------------------- 6 to 9

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        rollouts, scores = self.pending.rollouts, self._scores(batch)
        prepared = self.pipeline.prepare(
            rollouts, step=self.global_steps, ref_logprobs=scores.get("ref_log_prob"), entropy=scores["entropy"]
        )
        record = self.pipeline.record(rollouts, prepared, step=self.global_steps)
        for warning in record.warnings:
            warn(warning)
        self.run.add_samples(record.samples)
        if record.stop is not None:
            self.run.add_metrics(record.metrics)
            raise record.stop
        self._row = record.metrics | update_metrics(prepared, self.objective, scores)
        self._row["rollouts/failed"] = self.pending.failed
        metrics |= {f"reasonrl/{name}": value for name, value in self._row.items() if isinstance(value, int | float)}
        self._any_judged = bool((prepared.batch.loss_mask & prepared.batch.judged[:, None]).any())
        fields = advantage_fields(prepared, self.objective, scores["old_log_probs"])
        scattered = self._scatter(batch, fields | {"actor_mask": prepared.loss_mask.long()})
        self._actor_mask = scattered.pop("actor_mask")
        return self._put(batch, scattered)

    def _scores(self, batch: Any) -> dict[str, Tensor]:
        """[B, T] what verl has computed of our rows: old log-probs, entropies, and the reference's log-probs."""
        names = ["old_log_probs", "entropy", *(["ref_log_prob"] if self.use_reference_policy else [])]
        data = tq.kv_batch_get(keys=self.pending.keys, partition_id=batch.partition_id, select_fields=names)
        return {name: data[name].to_padded_tensor(0.0).float() for name in names}

    def _scatter(self, batch: Any, fields: dict[str, Tensor]) -> dict[str, Tensor]:
        """Our rows' `fields` [B, T] among all rows of verl's batch."""
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])
        row_of = {key: i for i, key in enumerate(batch.keys)}
        rows = [row_of[key] for key in self.pending.keys]
        return {name: scatter_to_batch(values, rows, data["response_mask"]) for name, values in fields.items()}

    def _put(self, batch: Any, fields: dict[str, Tensor]) -> Any:
        data = TensorDict(fields, batch_size=len(batch))
        return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=data)

    # -------------------------------------------------------------------------------------------------------------- 10

    def _compute_ref_log_prob(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_ref_log_prob(batch, metrics=metrics)
        batch.extra_info.pop("no_lora_adapter", None)  # meant for the actor; verl would ask the value head for adapters
        return batch

    def _update_critic(self, batch: Any, metrics: dict[str, Any]) -> Any:
        if self._any_judged:  # a mean over no tokens is not a number
            batch.extra_info |= mini_batch_info(self.config.critic, len(batch), self.recipe.rollout.temperature)
            output = self.critic_wg.train_mini_batch(batch).get()
            metrics |= reduce_metrics(rename_dict(output["metrics"], "critic/"))
        return batch

    def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """Whole groups in each update, as in local runs, and only rows that are trained on; without any there is no
        update.
        """
        rows = zip(batch.keys, self._actor_mask.unbind(), strict=True)
        trained = {key: bool(row.any()) for key, row in rows}
        updates = 0
        if any(trained.values()):
            self._put(batch, {"response_mask": self._actor_mask, "loss_mask": self._actor_mask.clone()})
            groups = dict(zip(self.pending.keys, self.pending.rollouts.groups, strict=True))
            updates, measured = update_actor(self, batch, trained, groups)
            metrics |= measured
        self._row["optim/updates"] = updates
        return batch

    def fit(self, agent_loop_manager: Any) -> None:
        try:
            super().fit(agent_loop_manager)
        except RayActorError as error:
            raise TrainingError(f"step {self.global_steps}: {describe_dead_actor(error)}") from error

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One step of verl; its row is on disk before a checkpoint can be, or a kill in between would lose it."""
        started = time.perf_counter()
        batch = super().step(metrics, timing_raw)
        row = self._row | metrics_from_verl(metrics, timing_raw, self.config.actor_rollout_ref.actor)
        self.run.add_metrics(row | {"time/step_s": time.perf_counter() - started})
        if (self.stage.shared / STOP).exists():  # Ctrl-C in the terminal of the launch: verl saves and is done
            self.config.trainer.save_freq, self.total_training_steps = 1, self.global_steps
        return batch

    # --------------------------------------------------------------------------------------------------- held-out sets

    def _validate(self) -> dict[str, float]:
        metrics = evaluate_heldout(self)
        return metrics or {"eval/none": 0.0}  # verl asserts that something was measured
