"""verl's synchronous trainer with our steps 1, 2 and 5 to 9: which problems, how many rollouts, what is observed, and
every advantage.

    verl's hook              our step
    _next_train_batch        1 select, 2 allot (`__rollout_n__`)
    agent loop               3 roll out, 4 verify (agent_loop.py)
    replay buffer's sample   5 observe (rollouts.py), and again from 1 where the recipe refills
    _compute_advantage       6 filter, 7 shape, 8 advantage, 9 select
    _update_actor            10 update, of the rows that are learnt from (losses.py, engine.py)
    _validate                held-out sets, by the evaluation that local runs have
    _save_checkpoint         the methods' state beside verl's own; the weights as a Hugging Face folder too

The objects are those of the local trainer: `reasonrl.update`. verl's own group filter is not used, since it would throw
groups away before they are observed. Rows that verl adds to fill a batch carry no tokens to learn from and are left out
of every baseline.
"""

from __future__ import annotations

import functools
import json
import math
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import ray
import torch
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

from reasonrl.algorithms.groups import group_mix
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.engines.base import derive_seed
from reasonrl.environments.single_turn import encode_prompt, render_prompt_text
from reasonrl.errors import TrainingError
from reasonrl.evaluation.evaluate import evaluate
from reasonrl.runs.folder import RunFolder
from reasonrl.setup.environments import environment_maker, eval_sampling
from reasonrl.update import metrics as step_metrics
from reasonrl.update.health import RunHealth, count_outcomes
from reasonrl.update.methods import Methods, mismatch_weights
from reasonrl.update.samples import train_samples
from reasonrl.verl_backend.agent_loop import actor_for
from reasonrl.verl_backend.client import ClientEngine
from reasonrl.verl_backend.engine import STEP
from reasonrl.verl_backend.exports import (
    complete,
    complete_steps,
    evaluations_at,
    evaluations_left,
    keep_best,
    keep_exported,
)
from reasonrl.verl_backend.faults import who_died
from reasonrl.verl_backend.rollouts import StepRollouts, evenly, gap, one_update, spread
from reasonrl.verl_backend.rows import bare_prompts, problem_row
from reasonrl.verl_backend.stage import verl_stage
from reasonrl.verl_backend.watch import STOP
from verifiers.types import Problem

NAME = "reasonrl_sync"
STATE = "reasonrl"
"""Folder of our part in a checkpoint of verl."""


@register_trainer(NAME)
class ReasonrlTrainer(PPOTrainerSync):
    def __init__(self, config: Any) -> None:
        config.trainer.v1.trainer_mode = "sync"  # verl compares with this word in a dozen places
        self.stage = verl_stage()
        self.recipe = self.stage.recipe
        self.run = RunFolder(self.stage.folder)
        super().__init__(config)

    # ----------------------------------------------------------------------------------------------------------- set-up

    def _build_replay_buffer(self) -> Any:
        buffer = super()._build_replay_buffer()
        buffer.poll_interval = 0.05  # 2 s by default: longer than a whole step of a small model
        wait, sample = buffer._wait_for_next_poll, buffer.sample

        def look_and_wait(partition_id: str, last_debug_time: float) -> float:
            self._look_at_workers()
            return wait(partition_id, last_debug_time)

        buffer._wait_for_next_poll = look_and_wait
        buffer.sample = functools.partial(self._sample, sample)
        self._pings: dict[int, Any] = {}
        self._looked = 0.0
        return buffer

    def _look_at_workers(self) -> None:
        """verl waits for the rollouts of a step without end, and an agent worker that dies takes its own with it.
        Raises RayActorError.
        """
        if time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        for place, worker in enumerate(self.agent_loop_manager.agent_loop_workers):
            ping = self._pings.pop(place, None) or worker.__ray_ready__.remote()
            if ray.wait([ping], timeout=0)[0]:
                ray.get(ping)
            else:
                self._pings[place] = ping

    def _init_dataloader(self) -> None:
        super()._init_dataloader()
        recipe = self.recipe
        self.problems = self.stage.problems("train")
        self.heldout = self.stage.heldout()
        features = self._prompt_values if recipe.rate_source != "history" else None
        self.methods = Methods(recipe, self.problems, derive_seed(recipe.seed, "curriculum"), features)
        self.health = RunHealth(recipe.health)
        self.rollouts = StepRollouts()
        self._row: dict[str, Any] = {}

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        self.run.open(after_step=self.global_steps or None)
        if not self.global_steps:
            return
        folder = self._state_folder(self.global_steps)
        if not (folder / "state.json").is_file():
            raise TrainingError(
                f"{folder} is missing: this checkpoint was not written by reasonrl. Start a new run_dir"
            )
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        self.methods.load_state_dict(state["methods"])
        self.health.load_state_dict(state["health"])
        self.methods.load_tensors(torch.load(folder / "tensors.pt", weights_only=True))
        due = self.global_steps % self.config.trainer.test_freq == 0 or self.global_steps >= self.recipe.train.steps
        # verl saves before it evaluates: a kill in between leaves an evaluation to be made up for.
        self.config.trainer.val_before_train = due and bool(
            evaluations_left(self.run.path, self.recipe, self.global_steps)
        )

    def _save_checkpoint(self) -> None:
        folder = self._state_folder(self.global_steps)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.methods.tensors(), folder / "tensors.pt")
        state = {"methods": self.methods.state_dict(), "health": self.health.state_dict()}
        (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
        super()._save_checkpoint()
        keep = int(self.recipe.checkpoint.keep_last)
        keep_exported(self.run, folder.parent / "actor" / "huggingface", self.global_steps, keep)
        complete(folder.parent)
        for old in complete_steps(folder.parent.parent)[:-keep]:
            shutil.rmtree(old)

    def _state_folder(self, step: int) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{step}" / STATE

    # ---------------------------------------------------------------------------------------------------- steps 1 and 2

    def prepare_step(self) -> dict[str, Any]:
        self.methods.begin_step()
        self.rollouts = StepRollouts()
        made: dict[str, Any] = super().prepare_step()
        return made

    def _next_train_batch(self, num_prompts: int | None = None) -> TensorDict:
        problems = self.methods.select(num_prompts or self.config.data.train_batch_size)
        counts = self.methods.allot(problems)
        made = self._prompt_batch(problems)
        tu.assign_non_tensor_stack(made, "__rollout_n__", counts)
        tu.assign_non_tensor_data(made, "round", self.rollouts.collected.rounds)
        tu.assign_non_tensor_stack(made, "first_rollout", self.rollouts.ask(list(made["uid"]), problems, counts))
        return made

    def _sample(self, theirs: Any, *, global_steps: int, partition_id: str, batch_size: int) -> Any:
        """The rollouts of a step; with `train.refill` of more prompts, until enough groups have something to
        compare.
        """
        spec, most = self.recipe.train, self.recipe.health.max_unjudged_share
        batch, metrics = theirs(global_steps=global_steps, partition_id=partition_id, batch_size=batch_size)
        self.rollouts.take(batch, self.methods, self.stage.parts)
        complaint = self.rollouts.complaint(self.global_steps, most)
        while spec.refill.enabled and self.rollouts.collected.rounds <= spec.refill.max_rounds:
            wanted = (
                spec.prompts_per_step - self.rollouts.mix(self.stage.parts, mask_truncated=spec.mask_truncated).mixed
            )
            if wanted <= 0:
                break
            self._add_prompts_to_generate(wanted)
            more, _ = theirs(global_steps=global_steps, partition_id=partition_id, batch_size=wanted)
            self.rollouts.take(more, self.methods, self.stage.parts)
            complaint = self.rollouts.complaint(self.global_steps, most)
            batch = KVBatchMeta(
                keys=[*batch.keys, *more.keys], tags=[*batch.tags, *more.tags], partition_id=partition_id
            )
        if complaint:
            print(f"reasonrl: {complaint}", flush=True)
        return batch, metrics

    def _balance_batch(self, batch: Any, metrics: Any, *arguments: Any, **options: Any) -> Any:
        self._rows = len(batch)
        return super()._balance_batch(batch, metrics, *arguments, **options)

    def _get_required_batch_multiple(self, dp_size: int) -> int:
        """verl fills up with empty rows to whole mini-batches of its own counting; we, so that each of our updates can
        be spread evenly.
        """
        spare = dp_size - 1 if self.recipe.train.updates_per_step > 1 else 0
        return math.ceil((self._rows + spare) / dp_size) * dp_size

    def _prompt_batch(self, problems: Sequence[Problem]) -> TensorDict:
        rows = collate_fn([problem_row(problem, i) for i, problem in enumerate(problems)])
        rows["uid"] = np.array([uuid.uuid4().hex for _ in problems], dtype=object)
        made = tu.get_tensordict(rows)
        tu.assign_non_tensor_data(made, "global_steps", self.global_steps)
        return made

    def _prompt_values(self, problems: Sequence[Problem]) -> Tensor:
        """[n, 1] of n problems: what verl's critic expects at the end of each prompt, before anything is sampled."""
        prompts = [encode_prompt(self.tokenizer, problem) for problem in problems]
        prompts += prompts[:1] * (
            -len(prompts) % (self.recipe.verl.nodes * self.recipe.verl.gpus_per_node)
        )  # as many for each GPU
        uids = [f"{uuid.uuid4().hex}_0_0" for _ in prompts]
        rows, tags = bare_prompts(prompts, int(self.tokenizer.eos_token_id))
        meta = tq.kv_batch_put(keys=uids, fields=tu.list_of_dict_to_tensordict(rows), tags=tags, partition_id="prompts")
        try:
            self._compute_values(meta, {})
            values = tq.kv_batch_get(keys=uids, partition_id="prompts", select_fields=["values"])["values"]
            return torch.stack([value[:1].float() for value in values.unbind()])[: len(problems)]
        finally:
            tq.kv_clear(keys=uids, partition_id="prompts")

    # ----------------------------------------------------------------------------------------------------- steps 5 to 9

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        masks = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["response_mask"])[
            "response_mask"
        ]
        spec, recipe, collected = self.recipe.train, self.recipe, self.rollouts.collected
        places = {key: i for i, key in enumerate(batch.keys)}
        where = [places[key] for key in self.rollouts.keys]
        rows = self._fields(batch, self.rollouts.keys)
        made = collected.batch(self.stage.parts, rows["entropy"])
        right, eligible = collected.right(), collected.eligible(made, mask_truncated=spec.mask_truncated)
        mix = group_mix(made.rewards, right, made.group, eligible)
        usable = self.methods.usable(made, eligible)  # 6
        rewards = self.methods.shape(made, usable)  # 7
        if spec.kl.where == "reward" and spec.kl.coefficient > 0:
            assert made.rollout_logprobs is not None
            penalty = kl_estimate(made.rollout_logprobs, rows["ref_log_prob"], spec.kl.estimator) * made.loss_mask
            rewards = rewards - spec.kl.coefficient * penalty.sum(1)
        of_rows, of_tokens = self.methods.advantages(made, rewards, usable)  # 8
        self.methods.observe_advantages([e.problem for e in collected.episodes], of_rows)
        progress = (self.global_steps - 1) / max(1, spec.steps - 1)
        chosen = self.methods.select_advantages(of_tokens, of_rows, made, usable, progress)  # 9

        learnt, judged = made.loss_mask & usable[:, None], made.loss_mask & made.judged[:, None]
        self._judged_rows = int(judged.any(1).sum())
        self._learnt = spread(learnt.long(), where, masks)  # the actor's, put there when it is its turn
        fields = {
            "advantages": chosen,
            # A value head is to expect the raw reward of everything that was judged: what a filter leaves out is no
            # less likely.
            "returns": (made.rewards[:, None] * judged).float(),
            "response_mask": judged.long(),
            "loss_mask": judged.long(),
        }
        if spec.mismatch.is_on:
            assert made.rollout_logprobs is not None
            weights = mismatch_weights(spec, rows["old_log_probs"], made.rollout_logprobs, learnt)
            assert weights is not None
            fields["rollout_is_weights"] = weights
        nested = {name: spread(value, where, masks) for name, value in fields.items()}
        batch = tq.kv_batch_put(
            keys=batch.keys, partition_id=batch.partition_id, fields=TensorDict(nested, batch_size=len(batch))
        )

        outcomes = count_outcomes(collected.episodes)
        broken = next((v.reason for e in collected.episodes for v in e.verdicts.values() if v.correct is None), "")
        warning = self.health.observe(self.global_steps, mix, outcomes, broken, learns=bool((of_rows != 0).any()))
        if warning:
            print(f"reasonrl: {warning}", flush=True)
        self._row = {
            **step_metrics.rewards_and_rollouts(
                collected, made, eligible, mix, outcomes, [part.name for part in self.stage.parts]
            ),
            **step_metrics.methods(recipe, collected, made, usable, rewards, of_rows, of_tokens),
            "rollouts/trained": int(learnt.any(1).sum()),
            "rollouts/failed": self.rollouts.failed,
            "policy/rollout_gap": gap(rows["old_log_probs"], made.rollout_logprobs, learnt)[0],
            "policy/rollout_gap_max": gap(rows["old_log_probs"], made.rollout_logprobs, learnt)[1],
            "data/epoch": self.methods.curriculum.epoch,
        }
        metrics |= {f"reasonrl/{name}": value for name, value in self._row.items() if isinstance(value, int | float)}
        samples = train_samples(
            collected,
            of_rows,
            chosen,
            step=self.global_steps,
            tokenizer=self.tokenizer,
            credited=spec.credit != "none",
            fields=lambda episode: episode.info.get("sample_fields", {}),
        )
        self.run.add_samples(samples)
        return batch

    def _fields(self, batch: Any, keys: Sequence[str]) -> dict[str, Tensor]:
        """What verl has computed of these rows, padded to [B, T]."""
        names = ["old_log_probs", "entropy", *(["ref_log_prob"] if self.use_reference_policy else [])]
        data = tq.kv_batch_get(keys=list(keys), partition_id=batch.partition_id, select_fields=names)
        return {name: data[name].to_padded_tensor(0.0).float() for name in names}

    # ---------------------------------------------------------------------------------------------------------- step 10

    def _compute_ref_log_prob(self, batch: Any, metrics: dict[str, Any]) -> Any:
        batch = super()._compute_ref_log_prob(batch, metrics=metrics)
        batch.extra_info.pop(
            "no_lora_adapter", None
        )  # meant for the actor; verl would ask the value head for adapters too
        return batch

    def _update_critic(self, batch: Any, metrics: dict[str, Any]) -> Any:
        if self._judged_rows:  # a mean over no tokens is not a number
            batch.extra_info |= one_update(self.config.critic, len(batch), self.recipe.rollout.temperature)
            output = self.critic_wg.train_mini_batch(batch).get()
            metrics |= reduce_metrics(rename_dict(output["metrics"], "critic/"))
        return batch

    def _update_actor(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """Whole groups in each update, as in local runs, and only rows that are learnt from; without any there is no
        update.
        """
        rows = {key: bool(row.any()) for key, row in zip(batch.keys, self._learnt.unbind(), strict=True)}
        if not any(rows.values()):
            return batch
        masks = TensorDict({"response_mask": self._learnt, "loss_mask": self._learnt.clone()}, batch_size=len(batch))
        tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=masks)
        spec, actor = self.recipe.train, self.config.actor_rollout_ref.actor
        gpus = 1 + max(self.actor_rollout_wg._dispatch_info["actor"])
        groups = zip(self.rollouts.keys, self.rollouts.collected.groups, strict=True)
        parts: list[list[str]] = [[] for _ in range(spec.updates_per_step)]
        for key, group in groups:
            if rows[key]:
                parts[group % len(parts)].append(key)
        found: dict[str, list[float]] = defaultdict(list)
        for keys in parts * spec.epochs_per_step:
            if not keys:
                continue
            part = evenly(batch, keys, [key for key, learns in rows.items() if not learns], gpus)
            part.extra_info = one_update(actor, len(part), self.recipe.rollout.temperature) | {
                STEP: self.global_steps,
                "epochs": 1,
                "calculate_entropy": bool(actor.entropy_coeff),
                "distillation_use_topk": False,
                "distillation_only": False,
            }
            output = self.actor_rollout_wg.update_actor(part)
            for name, value in reduce_metrics(rename_dict(output["metrics"], "actor/")).items():
                found[name].append(float(value))
        metrics |= {name: fmean(values) for name, values in found.items()}
        return batch

    def fit(self, agent_loop_manager: Any) -> None:
        try:
            super().fit(agent_loop_manager)
        except RayActorError as error:
            raise TrainingError(f"step {self.global_steps}: {who_died(error)}") from error

    def step(self, metrics: dict[str, Any], timing_raw: dict[str, float]) -> Any:
        """One step of verl; its row is on disk before a checkpoint can be, or a kill in between would lose it."""
        started, actor = time.perf_counter(), self.config.actor_rollout_ref.actor
        batch = super().step(metrics, timing_raw)
        names = {
            "loss/policy": "actor/pg_loss",
            "policy/entropy": "actor/entropy",
            "policy/clip_fraction": "actor/pg_clipfrac",
            "optim/grad_norm": "actor/grad_norm",
            "optim/lr": "actor/lr",
            "loss/value": "critic/vf_loss",
        }
        theirs = {ours: float(metrics[name]) for ours, name in names.items() if name in metrics}
        if "loss/policy" in theirs:  # there was something to learn from
            theirs["loss/kl"] = actor.kl_loss_coef * float(metrics["actor/kl_loss"]) if actor.use_kl_loss else 0.0
            theirs["loss/entropy"] = (
                -actor.entropy_coeff * float(metrics["actor/entropy_loss"]) if actor.entropy_coeff else 0.0
            )
            theirs["loss/total"] = theirs["loss/policy"] + theirs["loss/kl"] + theirs["loss/entropy"]
        phases = {"rollout": "gen", "update": "update_actor"}
        times = {f"time/{name}_s": float(timing_raw[phase]) for name, phase in phases.items() if phase in timing_raw}
        times["time/step_s"] = time.perf_counter() - started
        self.run.add_metrics({"kind": "train", "step": self.global_steps, **self._row, **theirs, **times})
        if (self.stage.shared / STOP).exists():  # Ctrl-C in the terminal of the launch: verl saves and is done
            self.config.trainer.save_freq, self.total_training_steps = 1, self.global_steps
        return batch

    # ---------------------------------------------------------------------------------------------------- held-out sets

    def _validate(self) -> dict[str, float]:
        recipe, spec = self.recipe, self.recipe.evaluation
        found: dict[str, float] = {}
        engine = ClientEngine(self.get_llm_client(), self.tokenizer, self.config.actor_rollout_ref.model.path)
        actor = actor_for(recipe, self.tokenizer)
        for name in evaluations_left(self.run.path, recipe, self.global_steps):
            problems = self.heldout[name]
            started = time.perf_counter()
            made = evaluate(
                problems,
                set_name=name,
                engine=engine,
                environment_for=environment_maker(recipe, self.tokenizer, actor, evaluating=True),
                parts=self.stage.parts if recipe.critic is not None else self.stage.parts[:1],
                sampling=eval_sampling(recipe),
                greedy=spec.greedy,
                samples_per_problem=spec.samples_per_problem,
                seed=(recipe.seed, "eval"),
                render=lambda problem: render_prompt_text(self.tokenizer, problem),
                step=self.global_steps,
            )
            self.run.add_samples(made.samples)
            self.run.add_metrics(
                {
                    "kind": "eval",
                    "step": self.global_steps,
                    **made.metrics,
                    "time/eval_s": time.perf_counter() - started,
                }
            )
            found |= made.metrics
        if found and recipe.checkpoint.keep_best:
            rows = evaluations_at(self.run.path, self.global_steps)
            accuracies = [
                row.get(f"eval/{name}/sampled", row.get(f"eval/{name}/greedy", 0.0)) for name, row in rows.items()
            ]
            keep_best(self.run, self.global_steps, fmean(accuracies))
        return found or {"eval/none": 0.0}
