"""A stage that trains, from start to end: prepare or resume, evaluate, step, checkpoint, evaluate again."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.environments.refined import require_answers
from reasonrl.errors import CheckpointError, NotFiniteError
from reasonrl.evaluation.evaluate import selection_accuracy
from reasonrl.models.checkpointing import compute_activations_again
from reasonrl.models.devices import dtype_warning
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.runs.checkpoint import Checkpoint, save_checkpoint, save_model, write_folder
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import RunFolder
from reasonrl.setup.data import RunData, load_data
from reasonrl.setup.environments import environment_maker, rollout_sampling
from reasonrl.setup.evaluation import evaluator_for
from reasonrl.setup.lengths import check_lengths
from reasonrl.setup.models import add_lora, frozen_copy, load_language_model, make_engine
from reasonrl.setup.prompt_checks import template_warnings
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from reasonrl.setup.roles import load_roles, make_refiner, training_roles
from reasonrl.stages import stage_kind
from reasonrl.stages.base import Session, StepTaker
from reasonrl.stages.context import StageContext
from reasonrl.stages.gathering import close_verifier
from reasonrl.stages.inputs import check_inputs
from reasonrl.stages.resuming import checkpoint_to_resume
from reasonrl.trainer.diverged import explain_divergence
from reasonrl.trainer.optimizer import MasterAdamW
from reasonrl.trainer.packing import choose_packing

METHODS = "methods/"
"""Prefix of the tensors of curricula and value models in a checkpoint."""


def run_stage(
    recipe: Recipe, path: Path, session: Session, make_step_taker: Callable[[StageContext], StepTaker]
) -> Path:
    """Run or resume one stage in the folder `path`. Returns the folder of its last checkpoint.

    Raises ReasonRLError; KeyboardInterrupt after an interrupt, once the current step has its checkpoint.
    """
    folder, console = RunFolder(path), session.console
    checkpoint = checkpoint_to_resume(path, console) if session.resume else None
    if checkpoint is not None and checkpoint.step >= recipe.total_steps and checkpoint.state().get("finished"):
        console.note(f"{path} is already complete ({checkpoint.step} steps)")
        return checkpoint.path
    step = None if checkpoint is None else checkpoint.step
    context = prepare(
        recipe,
        folder,
        console,
        init_from=session.init_from,
        checkpoint=checkpoint,
        offline=session.offline,
        check_data=lambda data: check_inputs(recipe, path, session, data, training_roles(recipe), step=step),
    )
    stage = make_step_taker(context)
    best_accuracy, steps_done = -1.0, 0
    if checkpoint is not None:
        best_accuracy, steps_done = restore(context, stage, checkpoint), checkpoint.step
        console.note(f"resuming from step {steps_done}")
    folder.open(after_step=None if checkpoint is None else steps_done)
    try:
        if checkpoint is None and recipe.evaluation.before:
            run_evaluation(context, 0)
        console.start()
        for step in range(steps_done + 1, recipe.total_steps + 1):
            row = stage.run_step(step) | peak_memory()
            folder.add_metrics(row)
            console.step(row)
            is_last = step == recipe.total_steps
            if is_last or _is_due(step, recipe.evaluation.every_steps):
                accuracy = run_evaluation(context, step)
                if accuracy is not None and accuracy > best_accuracy:
                    best_accuracy = accuracy
                    if recipe.checkpoint.keep_best:
                        save_best(context, step, accuracy)
            interrupted = session.interrupt.requested and not is_last
            if is_last or interrupted or _is_due(step, recipe.checkpoint.every_steps):
                state = {"stage": stage.state_dict(), "best": best_accuracy, "finished": is_last}
                checkpoint = save(context, step, state, stage.tensors())
            if interrupted:
                raise KeyboardInterrupt
    except NotFiniteError as error:
        raise explain_divergence(error, recipe, step or 0, None if checkpoint is None else checkpoint.path) from error
    finally:
        folder.close()
        close_verifier(context.answer_verifier)
    assert checkpoint is not None
    return checkpoint.path


def prepare(
    recipe: Recipe,
    folder: RunFolder,
    console: TrainConsole,
    *,
    init_from: str,
    checkpoint: Checkpoint | None,
    offline: bool,
    check_data: Callable[[RunData], object] = lambda data: None,
) -> StageContext:
    """Load and check everything. Nothing has been trained when this raises ReasonRLError.

    `check_data` is called when the data is loaded, before any weights are.
    """
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # it would break the run's own progress bar
    answer_verifier = make_verifier(recipe)
    parts = make_reward_parts(recipe, answer_verifier)
    response_verifier = parts[0].verifier
    assert response_verifier is not None
    console.note("loading and checking the data")
    data = load_data(recipe, response_verifier, offline=offline)
    stage_kind(recipe.kind).check(recipe, data)
    check_data(data)
    lora = recipe.model.lora
    # With full training the checkpoint is the model; adapters are applied to the model that the stage started from.
    source = str(checkpoint.path) if checkpoint is not None and lora is None else init_from
    console.note(f"loading the model {source}")
    language_model = load_language_model(recipe, source, offline=offline)
    if language_model.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
    refining = recipe.critique_grpo
    if refining is not None and refining.with_answer and refining.critic is None:
        require_answers(data.train)
    check_lengths(recipe, language_model.tokenizer, language_model.model.config, data.problems)
    check_prompt_tokens(source, language_model.tokenizer, language_model.model.config, data.problems)
    tokenizer, end_ids = language_model.tokenizer, language_model.eos_ids
    if slow := dtype_warning(recipe.model.dtype, language_model.device):
        console.warn(slow)
    for warning in [*data.warnings, *template_warnings(recipe, tokenizer, end_ids, data.problems)]:
        console.warn(warning)
    packing = choose_packing(recipe, language_model.model, console.warn)
    reference = None
    if lora is None and stage_kind(recipe.kind).needs_reference(recipe):
        start = language_model if source == init_from else load_language_model(recipe, init_from, offline=offline)
        reference = frozen_copy(start.model)
    roles = load_roles(recipe, training_roles(recipe), language_model, offline=offline)
    refiner = make_refiner(recipe, language_model, roles)
    if lora is not None:
        language_model.model = add_lora(language_model.model, lora, recipe.seed)
    if recipe.model.gradient_checkpointing:
        compute_activations_again(language_model.model)
        language_model.model.enable_input_require_grads()
    optimizer = MasterAdamW(language_model.model, recipe.optim, recipe.total_steps)
    return StageContext(
        recipe=recipe,
        data=data,
        response_verifier=response_verifier,
        answer_verifier=answer_verifier,
        parts=parts,
        language_model=language_model,
        optimizer=optimizer,
        engine=make_engine(recipe, language_model, lambda: optimizer.updates),
        environment_for=environment_maker(recipe, language_model.tokenizer, roles.speaker("actor")),
        roles=roles,
        refiner=refiner,
        sampling=rollout_sampling(recipe),
        folder=folder,
        console=console,
        packing=packing,
        reference=reference,
    )


def run_evaluation(context: StageContext, step: int) -> float | None:
    """Evaluate every held-out set. Returns the accuracy that picks the best checkpoint; None where nothing was
    evaluated, or no answer of some set could be judged.
    """
    spec = context.recipe.evaluation
    if not (spec.greedy or spec.samples_per_problem):
        return None
    evaluator = evaluator_for(
        context.recipe,
        context.engine,
        context.language_model.tokenizer,
        context.parts,
        actor=context.roles.speaker("actor"),
        other_engines=context.roles.engines,
    )
    evaluations = []
    for name, problems in context.data.heldout.items():
        started = time.perf_counter()
        evaluation = evaluator.evaluate(name, problems, step)
        row = {"kind": "eval", "step": step, **evaluation.metrics, "time/eval_s": time.perf_counter() - started}
        context.folder.add_samples(evaluation.samples)
        context.folder.add_metrics(row)
        context.console.evaluation(row)
        evaluations.append(evaluation)
    return selection_accuracy(evaluations)


def save(context: StageContext, step: int, state: dict[str, Any], method_tensors: dict[str, Tensor]) -> Checkpoint:
    """Write a whole checkpoint, and drop those that `checkpoint.keep_last` no longer keeps."""
    tensors = {**context.optimizer.tensors(), **{METHODS + name: value for name, value in method_tensors.items()}}
    if context.recipe.model.lora is not None:
        tensors |= context.optimizer.parameters_by_name()
    return save_checkpoint(
        context.folder.checkpoints,
        step,
        model=context.model,
        tokenizer=context.language_model.tokenizer,
        tensors=tensors,
        state=state,
        keep_last=context.recipe.checkpoint.keep_last,
    )


def restore(context: StageContext, stage: StepTaker, checkpoint: Checkpoint) -> float:
    """Load optimiser and stage from a checkpoint. Returns the best accuracy so far, -1 without an evaluation.

    Raises CheckpointError for a checkpoint that lacks a part of today's state.
    """
    state, tensors = checkpoint.state(), checkpoint.tensors()
    try:
        stage.load_state_dict(state["stage"])
        context.optimizer.load_tensors(tensors, parameters=context.recipe.model.lora is not None)
        stage.load_tensors(
            {name.removeprefix(METHODS): value for name, value in tensors.items() if name.startswith(METHODS)}
        )
        return float(state["best"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint.path} cannot be resumed: its state lacks {error}. It was written by another version, or for"
            " another recipe. Continue with that version; or start a new run from its weights:"
            f" model.path={checkpoint.path} run_dir=ANOTHER_FOLDER"
        ) from error


def save_best(context: StageContext, step: int, accuracy: float) -> None:
    """Keep the weights alone: enough to evaluate and to serve."""
    tokenizer = context.language_model.tokenizer
    write_folder(
        context.folder.path / "best",
        lambda folder: save_model(context.model, tokenizer, folder),
        {"step": step, "accuracy": accuracy},
    )


def peak_memory() -> dict[str, float]:
    """Largest memory of this process so far, in MB: resident, and of the GPU where there is one."""
    resident_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB on Linux
    peak = {"memory/rss_peak_mb": resident_kb / 1024}
    if torch.cuda.is_available():
        peak["memory/gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return peak


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
