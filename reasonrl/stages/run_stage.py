"""One stage from start to end: prepare or resume, evaluate, step, checkpoint, evaluate again."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.evaluation.evaluate import evaluate
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.runs.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint, save_model, write_folder
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import RunFolder
from reasonrl.setup.data import check_lengths, load_data
from reasonrl.setup.environments import environment_maker, eval_sampling, rollout_sampling
from reasonrl.setup.models import add_lora, frozen_copy, load_actor, load_for, load_refiner, make_engine
from reasonrl.stages.context import StageContext
from reasonrl.stages.offline import OfflineStage
from reasonrl.stages.rl import RLStage
from reasonrl.stages.sft import SFTStage
from reasonrl.trainer.interrupt import Interrupt
from reasonrl.trainer.optimizer import MasterAdamW
from reasonrl.trainer.packing import choose_packing
from verifiers.types import Verifier

STAGES: dict[str, Callable[[StageContext], RLStage | SFTStage | OfflineStage]] = {
    "rl": RLStage,
    "sft": SFTStage,
    "offline": OfflineStage,
}
METHODS = "methods/"
"""Prefix of the tensors of curricula and value models in a checkpoint."""


def run_stage(
    recipe: Recipe,
    path: Path,
    console: TrainConsole,
    *,
    init_from: str,
    resume: bool,
    offline: bool,
    interrupt: Interrupt,
) -> Path:
    """Run or resume one stage in the folder `path`, starting from the model `init_from`. Returns the folder of its last
    checkpoint.
    """
    folder = RunFolder(path)
    checkpoint = newest_checkpoint(folder.checkpoints) if resume else None
    if checkpoint is not None and checkpoint.step >= recipe.total_steps and checkpoint.state().get("finished"):
        console.note(f"{path} is complete ({checkpoint.step} steps)")
        return checkpoint.path
    context = prepare(recipe, folder, console, init_from=init_from, checkpoint=checkpoint, offline=offline)
    stage = STAGES[recipe.kind](context)
    best = -1.0
    done = 0
    if checkpoint is not None:
        state = checkpoint.state()
        stage.load_state_dict(state["stage"])
        tensors = checkpoint.tensors()
        context.optimizer.load_tensors(tensors, parameters=recipe.model.lora is not None)
        stage.load_tensors(
            {name.removeprefix(METHODS): value for name, value in tensors.items() if name.startswith(METHODS)}
        )
        best, done = state["best"], checkpoint.step
        console.note(f"resumed from step {done}")
    folder.open(after_step=None if checkpoint is None else done)
    try:
        if checkpoint is None and recipe.evaluation.before:
            run_evaluation(context, 0)
        console.start()
        for step in range(done + 1, recipe.total_steps + 1):
            row = stage.run_step(step)
            last = step == recipe.total_steps
            row["memory/rss_peak_mb"] = peak_rss_mb()
            if torch.cuda.is_available():
                row["memory/gpu_peak_mb"] = torch.cuda.max_memory_allocated() / 2**20
            folder.add_metrics(row)
            console.step(row)
            if last or _due(step, recipe.evaluation.every_steps):
                accuracy = run_evaluation(context, step)
                if accuracy is not None and accuracy > best:
                    best = accuracy
                    if recipe.checkpoint.keep_best:
                        save_best(context, step, accuracy)
            stopping = interrupt.requested and not last
            if last or stopping or _due(step, recipe.checkpoint.every_steps):
                state = {"stage": stage.state_dict(), "best": best, "finished": last}
                checkpoint = save(context, step, state, stage.tensors())
            if stopping:
                raise KeyboardInterrupt
    finally:
        folder.close()
        close_verifier(context.oracle)
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
) -> StageContext:
    """Load and check everything; nothing has been trained or written when this raises."""
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # the run's own progress bar is the one that people read
    oracle = make_verifier(recipe)
    parts = make_reward_parts(recipe, oracle)
    verifier = parts[0].verifier
    assert verifier is not None
    console.note("loading and checking the data")
    data = load_data(recipe, verifier, offline=offline)
    lora = recipe.model.lora
    # With full training the checkpoint is the model; adapters are laid over the model that the stage began with.
    source = str(checkpoint.path) if checkpoint is not None and lora is None else init_from
    console.note(f"loading the model {source}")
    language_model = load_for(recipe, source, offline=offline)
    if language_model.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
    everything = [*data.train, *(problem for problems in data.heldout.values() for problem in problems)]
    check_lengths(recipe, language_model.tokenizer, language_model.model.config, everything)
    packing = choose_packing(recipe, language_model.model, console)
    compares = recipe.train.kl.coefficient > 0 or recipe.train.loss == "trpa"
    needs_reference = lora is None and ((recipe.kind == "rl" and compares) or recipe.kind == "offline")
    reference = None
    if needs_reference:
        began_with = language_model if source == init_from else load_for(recipe, init_from, offline=offline)
        reference = frozen_copy(began_with.model)
    actor, others = load_actor(recipe, language_model, offline=offline)
    refiner, more = load_refiner(recipe, language_model, offline=offline)
    others = {**others, **more}
    if lora is not None:
        language_model.model = add_lora(language_model.model, lora, recipe.seed)
    if recipe.model.gradient_checkpointing:
        language_model.model.gradient_checkpointing_enable()
        language_model.model.enable_input_require_grads()
    optimizer = MasterAdamW(language_model.model, recipe.optim, recipe.total_steps)
    return StageContext(
        recipe=recipe,
        data=data,
        verifier=verifier,
        oracle=oracle,
        parts=parts,
        language_model=language_model,
        optimizer=optimizer,
        engine=make_engine(recipe, language_model, lambda: optimizer.updates),
        environment_for=environment_maker(recipe, language_model.tokenizer, actor),
        evaluation_environment_for=environment_maker(recipe, language_model.tokenizer, actor, evaluating=True),
        other_engines=others,
        refiner=refiner,
        sampling=rollout_sampling(recipe),
        folder=folder,
        console=console,
        packing=packing,
        reference=reference,
    )


def close_verifier(verifier: Verifier) -> None:
    """End its worker processes, where it has any."""
    close = getattr(verifier, "close", None)
    if close is not None:
        close()


def run_evaluation(context: StageContext, step: int) -> float | None:
    """Evaluate every held-out set. Returns the accuracy that picks the best checkpoint: the mean over sets, sampled if
    it is measured.
    """
    spec = context.recipe.evaluation
    if not context.data.heldout or not (spec.greedy or spec.samples_per_problem):
        return None
    accuracies = []
    for name, problems in context.data.heldout.items():
        started = time.perf_counter()
        made = evaluate(
            problems,
            set_name=name,
            engine=context.engine,
            environment_for=context.evaluation_environment_for,
            parts=context.parts if context.recipe.critic is not None else context.parts[:1],
            others=context.other_engines,
            sampling=eval_sampling(context.recipe),
            greedy=spec.greedy,
            samples_per_problem=spec.samples_per_problem,
            seed=(context.recipe.seed, "eval"),
            render=lambda problem: render_prompt_text(context.language_model.tokenizer, problem),
            step=step,
        )
        row = {"kind": "eval", "step": step, **made.metrics, "time/eval_s": time.perf_counter() - started}
        context.folder.add_samples(made.samples)
        context.folder.add_metrics(row)
        context.console.evaluation(row)
        accuracies.append(made.metrics.get(f"eval/{name}/sampled", made.metrics.get(f"eval/{name}/greedy", 0.0)))
    return sum(accuracies) / len(accuracies)


def save(context: StageContext, step: int, state: dict[str, Any], of_methods: dict[str, Tensor]) -> Checkpoint:
    tensors = {**context.optimizer.tensors(), **{METHODS + name: value for name, value in of_methods.items()}}
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


def save_best(context: StageContext, step: int, accuracy: float) -> None:
    """Keep the weights alone: enough to evaluate and to serve."""
    tokenizer = context.language_model.tokenizer
    write_folder(
        context.folder.path / "best",
        lambda folder: save_model(context.model, tokenizer, folder),
        {"step": step, "accuracy": accuracy},
    )


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MB (ru_maxrss counts kB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0
