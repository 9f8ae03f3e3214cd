"""`reasonrl eval`: a model, or the model of a run, on problems."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import yaml

from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.files import replace_text
from reasonrl.recipe.reading import find_recipe, load_recipe, parse_recipe, read_yaml
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.accuracy import MODES, accuracy_in_row
from reasonrl.runs.folder import append_rows, run_facts
from reasonrl.setup.evaluation import evaluator_for


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
    stage, weights = evaluation_recipe(
        model, data=data, recipe=recipe, limit=limit, overrides=overrides, offline=offline
    )
    if temperature is not None:
        spec = stage.evaluation.model_copy(update={"temperature": temperature})
        stage = stage.model_copy(update={"evaluation": spec})
    if output is not None and (output / "results.json").exists():
        raise UsageError(f"{output} already holds results; name another folder with --output")
    if controls and (stage.critic is None or not stage.critic.refine.refinements or not stage.evaluation.greedy):
        raise UsageError(
            "--controls: only a critic whose recipe has an actor (critic.refine), evaluated greedily, has refinements"
            " to compare with"
        )
    from reasonrl.evaluation.controls import Controls
    from reasonrl.rewards.loading import make_reward_parts, make_verifier
    from reasonrl.setup.data import check_lengths, load_data
    from reasonrl.setup.models import load_language_model, make_engine
    from reasonrl.setup.roles import evaluation_roles, load_roles

    started = time.perf_counter()
    answer_verifier = make_verifier(stage)
    parts = make_reward_parts(stage, answer_verifier)
    assert parts[0].verifier is not None
    heldout = load_data(stage, parts[0].verifier, offline=offline).heldout
    language_model = load_language_model(stage, weights, offline=offline)
    tokenizer = language_model.tokenizer
    check_lengths(
        stage,
        tokenizer,
        language_model.model.config,
        [problem for problems in heldout.values() for problem in problems],
    )
    roles = load_roles(stage, evaluation_roles(stage), language_model, offline=offline)
    actor = roles.speaker("actor")
    engine = make_engine(stage, language_model)
    evaluator = dataclasses.replace(
        evaluator_for(stage, engine, tokenizer, parts, actor=actor, other_engines=roles.engines),
        samples_per_problem=n,
        seed=(seed, "eval"),
    )
    evaluations = [evaluator.evaluate(name, problems) for name, problems in heldout.items()]
    metrics: dict[str, Any] = {}
    for evaluation in evaluations:
        metrics |= evaluation.metrics
    if controls and stage.critic is not None and actor is not None:
        compared = Controls(stage.critic.format.load(), actor, evaluator.engine, roles.engines, answer_verifier)
        for evaluation in evaluations:
            name = evaluation.set_name
            critiques = [row["response"] for row in evaluation.samples if row["mode"] == "greedy"]
            control_seed = (seed, "controls", name)
            metrics |= compared.metrics(heldout[name], critiques, f"eval/{name}/greedy", control_seed)
    results = {
        "model": model,
        "weights": weights,
        "seed": seed,
        "metrics": metrics,
        "sampling": {
            "temperature": evaluator.sampling.temperature,
            "max_new_tokens": stage.rollout.max_new_tokens,
            "stop": stage.rollout.stop,
            "samples_per_problem": n,
        },
        "verifier": {"name": stage.verifier.name, **stage.verifier.options},
        "seconds": time.perf_counter() - started,
        **run_facts(["reasonrl", "eval", model]),
    }
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "samples.jsonl").unlink(missing_ok=True)  # of an attempt that got no further
        append_rows(output / "samples.jsonl", [row for evaluation in evaluations for row in evaluation.samples])
        replace_text(output / "results.json", json.dumps(results, indent=1) + "\n")
    emit(as_json, results, result_table(metrics, list(heldout)) + (f"\nwritten to {output}" if output else ""))


def evaluation_recipe(
    model: str, *, data: str | None, recipe: str | None, limit: int | None, overrides: list[str], offline: bool = False
) -> tuple[Recipe, str]:
    """The recipe to evaluate by, without its training set, and the weights to load.

    A run is evaluated as it was trained (its last stage). A model without a recipe is asked plain questions as a chat
    message, if its tokenizer has a chat template, and as they stand if not; `--set data.prompt.template=...` changes
    that. Messages pass unchanged.
    """
    run = Path(model)
    weights = model
    if (run / "recipe.yaml").is_file():
        from reasonrl.setup.run_models import newest_model

        weights = str(newest_model(run))
        stage_dirs = sorted((run / "stages").glob("*/recipe.yaml"))
        recipe = recipe or str(stage_dirs[-1] if stage_dirs else run / "recipe.yaml")
    heldout: dict[str, Any] = {}
    if recipe is not None:
        raw = read_yaml(find_recipe(recipe))
        if "stages" in raw:
            raw = load_recipe(recipe).stages[-1].model_dump(mode="json")
        heldout = dict((raw.get("data") or {}).get("heldout") or {})
    else:
        if data is None:
            raise UsageError("nothing to evaluate on: name a file with --data, or a recipe with --recipe")
        raw = {"name": "eval", "rollout": {"max_new_tokens": 512}, "verifier": {"name": "math", "mode": "lenient"}}
        if has_chat_template(weights, offline=offline):
            raw["data"] = {"prompt": {"style": "chat"}}
    if data is not None:
        heldout = {Path(data).stem.replace("/", "-") or "data": {"source": data}}
    raw.setdefault("data", {})
    raw["data"] = {**raw["data"], "heldout": heldout}
    loaded = parse_recipe(yaml.safe_dump(_with_any_train(raw)), recipe or "eval", overrides)
    stage = resolve_links(loaded.stages[-1], run)
    sources = {name: s.model_copy(update={"limit": limit}) if limit else s for name, s in stage.data.heldout.items()}
    if not sources:
        raise UsageError("the recipe has no data.heldout: name problems with --data")
    return (
        stage.model_copy(update={"data": stage.data.model_copy(update={"train": None, "heldout": sources})}),
        weights,
    )


def critic_recipe(model: str, *, offline: bool) -> tuple[Recipe, str]:
    """The recipe that a critic was trained by, and its weights. A model that is not a run has the defaults, and no
    `critic` section.

    Raises UsageError for a run that trained something else.
    """
    run = Path(model)
    if model.startswith(("http://", "https://")) or not (run / "recipe.yaml").is_file():
        raw = {"name": "critic-eval", "data": {"train": {"source": "none"}}}
        return parse_recipe(yaml.safe_dump(raw), "critic eval").stages[0], model
    stage_dirs = sorted((run / "stages").glob("*/recipe.yaml"))
    recipe = load_recipe(str(stage_dirs[-1] if stage_dirs else run / "recipe.yaml")).stages[-1]
    if recipe.critic is None:
        raise UsageError(
            f"{model} is a run that trained no critic (its last stage, {recipe.name}, has no section `critic`); name"
            " another"
        )
    from reasonrl.setup.run_models import newest_model

    return recipe, str(newest_model(run))


def resolve_links(recipe: Recipe, run: Path) -> Recipe:
    """With paths for what a stage takes from the other stages of its run."""
    from reasonrl.recipe.links import links_of, with_paths
    from reasonrl.setup.run_models import newest_model

    if not links_of(recipe):
        return recipe
    root = run.parent.parent if run.parent.name == "stages" else run
    return with_paths(recipe, root, newest_model)


def has_chat_template(model: str, *, offline: bool) -> bool:
    from reasonrl.models.loading import load_tokenizer_and_config

    return load_tokenizer_and_config(model, offline=offline)[0].chat_template is not None


def _with_any_train(raw: dict[str, Any]) -> dict[str, Any]:
    """A recipe without data.train is not a recipe; evaluation needs none, so one that is never loaded stands in."""
    data = raw["data"]
    return {**raw, "data": {**data, "train": data.get("train") or {"source": "none"}}}


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
