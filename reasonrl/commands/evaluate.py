"""`reasonrl eval`: a model, or the model of a run, on problems."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from reasonrl.commands.evaluated_recipe import evaluation_recipe, refuse_empty_evaluation
from reasonrl.commands.results import refuse_old_results, results_folder, write_and_emit
from reasonrl.errors import UsageError
from reasonrl.evaluation.evaluate import Evaluation
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.accuracy import MODES, accuracy_in_row
from reasonrl.runs.folder import run_facts
from reasonrl.setup.standalone import StandaloneEvaluation, prepare_evaluation


def eval_command(
    model: str,
    *,
    data: str | None,
    recipe: str | None,
    n: int,
    temperature: float | None,
    limit: int | None,
    output: Path | None,
    overrides: list[str],
    seed: int,
    offline: bool,
    as_json: bool,
    controls: bool = False,
) -> None:
    refuse_old_results(output)
    stage, weights = evaluation_recipe(
        model, data=data, recipe=recipe, limit=limit, overrides=overrides, offline=offline
    )
    refuse_empty_evaluation(stage, n)
    _check(stage, controls=controls)
    with results_folder(output):
        started = time.perf_counter()
        setting = prepare_evaluation(
            stage, weights, samples_per_problem=n, temperature=temperature, seed=seed, offline=offline
        )
        for warning in setting.warnings:
            typer.echo(f"warning: {warning}", err=True)
        evaluations = setting.run()
        metrics: dict[str, Any] = {}
        for evaluation in evaluations:
            metrics |= evaluation.metrics
        if controls:
            metrics |= _control_metrics(stage, setting, evaluations, seed=seed)
        results = {
            "model": model,
            "weights": weights,
            "seed": seed,
            "metrics": metrics,
            **setting.sampling_facts(),
            "seconds": time.perf_counter() - started,
            **run_facts(["reasonrl", "eval", model]),
        }
        samples = [row for evaluation in evaluations for row in evaluation.samples]
        write_and_emit(output, results, samples, result_table(metrics, list(setting.heldout)), as_json=as_json)


def _check(stage: Recipe, *, controls: bool) -> None:
    """Before anything is loaded. Raises UsageError."""
    if controls and (stage.critic is None or not stage.critic.refine.refinements or not stage.evaluation.greedy):
        raise UsageError(
            "--controls needs refinements to compare with: a critic whose recipe has an actor"
            " (critic.refine), evaluated greedily (evaluation.greedy)"
        )


def _control_metrics(
    stage: Recipe, setting: StandaloneEvaluation, evaluations: list[Evaluation], *, seed: int
) -> dict[str, Any]:
    """Refinements on empty, shuffled and indicative critiques, beside those on the critic's own."""
    from reasonrl.evaluation.controls import Controls

    if stage.critic is None or setting.actor is None:
        return {}
    compared = Controls(
        stage.critic.format.load(),
        setting.actor,
        setting.evaluator.engine,
        setting.roles.engines,
        setting.answer_verifier,
        stage.critic.refine.refinements,
        stage.critic.refine.when,
    )
    metrics: dict[str, Any] = {}
    for evaluation in evaluations:
        name = evaluation.set_name
        critiques = [row["response"] for row in evaluation.samples if row["mode"] == "greedy"]
        control_seed = (seed, "controls", name)
        metrics |= compared.metrics(setting.heldout[name], critiques, f"eval/{name}/greedy", control_seed)
    return metrics


def result_table(metrics: dict[str, Any], sets: list[str]) -> str:
    """One line for each set and mode, and lines for what could not be read or judged."""
    lines = []
    for name in sets:
        for mode in MODES:
            lines += _accuracy_lines(metrics, name, mode)
        lines += _refinement_lines(metrics, name)
        unread = [
            f"{what} {metrics[f'eval/{name}/{what}']:.1%}"
            for what in ("unparsed", "truncated", "timeout", "error")
            if metrics[f"eval/{name}/{what}"]
        ]
        if unread:
            lines.append(f"{name}  of all answers: {', '.join(unread)}")
    return "\n".join(lines)


def _accuracy_lines(metrics: dict[str, Any], set_name: str, mode: str) -> list[str]:
    """The accuracy with its interval, and below it the answers that it leaves out."""
    accuracy = accuracy_in_row(metrics, set_name, mode)
    if accuracy is None:
        return []
    if accuracy.interval is None:
        return [f"{set_name}  {mode:<8} none of {accuracy.answers:,} answers could be judged"]
    estimate, low, high, n = accuracy.interval
    samples = f" x {metrics[f'eval/{set_name}/samples_per_problem']} samples" if mode == "sampled" else ""
    lines = [f"{set_name}  {mode:<8} {estimate:6.1%}  [{low:.1%}, {high:.1%}]  n={n}{samples}"]
    return lines + ([f"{set_name}  {'':<8} {accuracy.unjudged_text()}"] if accuracy.unjudged else [])


def _refinement_lines(metrics: dict[str, Any], set_name: str) -> list[str]:
    """Acc@Refine of a critic, and of the controls that it is compared with."""
    key = f"eval/{set_name}/greedy"
    labels = {"refine": "refined", "refine_empty": "  empty", "refine_shuffled": "  shuffled"}
    labels["refine_indicative"] = "  indicative"
    lines = []
    for figure, label in labels.items():
        value, low, high = (metrics.get(f"{key}_{figure}{end}") for end in ("", "_low", "_high"))
        if value is not None and low is not None and high is not None:
            before = metrics[f"{key}_refine_before"]
            lines.append(f"{set_name}  {label:<12} {value:6.1%}  [{low:.1%}, {high:.1%}]  before {before:.1%}")
    return lines
