"""Held-out sets on verl: the evaluation of local runs, over verl's servers."""

from __future__ import annotations

import time
from typing import Any

from reasonrl.evaluation.evaluate import Evaluation, Evaluator, selection_accuracy
from reasonrl.setup.evaluation import evaluator_for
from reasonrl.verl_backend.agent_loop import verl_actor
from reasonrl.verl_backend.client import ClientEngine
from reasonrl.verl_backend.exports import evaluations_at, evaluations_left, keep_best


def evaluate_heldout(trainer: Any) -> dict[str, Any]:
    """Evaluate the sets of `trainer` (ours on verl) that were not evaluated at this step. Returns their metrics.

    Writes rows and samples to the run folder, and best/ where this step has the best accuracy.
    """
    recipe, run, step = trainer.recipe, trainer.run, trainer.global_steps
    evaluator = heldout_evaluator(trainer)
    metrics: dict[str, Any] = {}
    for name in evaluations_left(run.path, recipe, step):
        started = time.perf_counter()
        evaluation = evaluator.evaluate(name, trainer.heldout[name], step)
        run.add_samples(evaluation.samples)
        seconds = time.perf_counter() - started
        run.add_metrics({"kind": "eval", "step": step, **evaluation.metrics, "time/eval_s": seconds})
        metrics |= evaluation.metrics
    if metrics and recipe.checkpoint.keep_best:
        rows = evaluations_at(run.path, step)
        accuracy = selection_accuracy([Evaluation.from_row(name, row) for name, row in rows.items()])
        if accuracy is not None:
            keep_best(run, step, accuracy)
    return metrics


def heldout_evaluator(trainer: Any) -> Evaluator:
    """The evaluator of a recipe over the servers of `trainer`."""
    recipe, tokenizer = trainer.recipe, trainer.tokenizer
    model_path = trainer.config.actor_rollout_ref.model.path
    engine = ClientEngine(trainer.get_llm_client(), tokenizer, model_path, timeout_s=recipe.verl.episode_timeout_s)
    return evaluator_for(recipe, engine, tokenizer, trainer.stage.parts, actor=verl_actor(recipe, tokenizer))
