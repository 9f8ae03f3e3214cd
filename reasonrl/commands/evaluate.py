"""`reasonrl eval`: a model, or the model of a run, on problems."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.recipe.reading import find_recipe, load_recipe, parse_recipe, read_yaml
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.folder import append_rows, run_facts, write_atomically


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
    chosen, weights = settings(model, data=data, recipe=recipe, limit=limit, overrides=overrides, offline=offline)
    if temperature is not None:
        chosen = chosen.model_copy(
            update={"evaluation": chosen.evaluation.model_copy(update={"temperature": temperature})}
        )
    if output is not None and (output / "results.json").exists():
        raise UsageError(f"{output} already holds results; name another folder with --output")
    if controls and (chosen.critic is None or not chosen.critic.refine.refinements or not chosen.evaluation.greedy):
        raise UsageError(
            "--controls: only a critic whose recipe has an actor (critic.refine), evaluated greedily, has refinements"
            " to compare with"
        )
    from reasonrl.environments.single_turn import render_prompt_text
    from reasonrl.evaluation.controls import control_metrics
    from reasonrl.evaluation.evaluate import evaluate
    from reasonrl.rewards.loading import make_reward_parts, make_verifier
    from reasonrl.setup.data import check_lengths, load_data
    from reasonrl.setup.environments import environment_maker, eval_sampling
    from reasonrl.setup.models import load_actor, load_for, make_engine

    started = time.perf_counter()
    oracle = make_verifier(chosen)
    parts = make_reward_parts(chosen, oracle)[: 1 if chosen.critic is None else None]
    assert parts[0].verifier is not None
    problems = load_data(chosen, parts[0].verifier, offline=offline).heldout
    language_model = load_for(chosen, weights, offline=offline)
    check_lengths(
        chosen, language_model.tokenizer, language_model.model.config, [p for rows in problems.values() for p in rows]
    )
    engine = make_engine(chosen, language_model)
    actor, others = load_actor(chosen, language_model, offline=offline)
    metrics: dict[str, Any] = {}
    samples: list[dict[str, Any]] = []
    for name, rows in problems.items():
        made = evaluate(
            rows,
            set_name=name,
            engine=engine,
            environment_for=environment_maker(chosen, language_model.tokenizer, actor, evaluating=True),
            parts=parts,
            others=others,
            sampling=eval_sampling(chosen),
            greedy=chosen.evaluation.greedy,
            samples_per_problem=n,
            seed=(seed, "eval"),
            render=lambda problem: render_prompt_text(language_model.tokenizer, problem),
        )
        metrics |= made.metrics
        if controls and chosen.critic is not None and actor is not None:
            greedy = [row["response"] for row in made.samples if row["mode"] == "greedy"]
            ways = {
                "form": chosen.critic.format.load(),
                "actor": actor,
                "engine": engine,
                "others": others,
                "oracle": oracle,
            }
            metrics |= control_metrics(rows, greedy, **ways, key=f"eval/{name}/greedy", seed=(seed, "controls", name))  # type: ignore[arg-type]
        samples += made.samples
    results = {
        "model": model,
        "weights": weights,
        "seed": seed,
        "metrics": metrics,
        "sampling": {
            "temperature": eval_sampling(chosen).temperature,
            "max_new_tokens": chosen.rollout.max_new_tokens,
            "stop": chosen.rollout.stop,
            "samples_per_problem": n,
        },
        "verifier": {"name": chosen.verifier.name, **chosen.verifier.options},
        "seconds": time.perf_counter() - started,
        **run_facts(["reasonrl", "eval", model]),
    }
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "samples.jsonl").unlink(missing_ok=True)  # of an attempt that got no further
        append_rows(output / "samples.jsonl", samples)
        write_atomically(output / "results.json", json.dumps(results, indent=1) + "\n")
    emit(as_json, results, table(metrics, list(problems)) + (f"\nwritten to {output}" if output else ""))


def settings(
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
        own = stage_dirs[-1] if stage_dirs else run / "recipe.yaml"
        recipe = recipe or str(own)
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
    chosen = linked(loaded.stages[-1], run)
    sources = {name: s.model_copy(update={"limit": limit}) if limit else s for name, s in chosen.data.heldout.items()}
    if not sources:
        raise UsageError("the recipe has no data.heldout: name problems with --data")
    return (
        chosen.model_copy(update={"data": chosen.data.model_copy(update={"train": None, "heldout": sources})}),
        weights,
    )


def settings_of_critic(model: str, *, offline: bool) -> tuple[Recipe, str]:
    """The recipe that a critic was trained by, and its weights. A model that is no run has the defaults, and no
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


def linked(recipe: Recipe, run: Path) -> Recipe:
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


def table(metrics: dict[str, Any], sets: list[str]) -> str:
    """One line for each set and mode."""
    lines = []
    for name in sets:
        key = f"eval/{name}"
        for mode in ("greedy", "sampled"):
            if f"{key}/{mode}" not in metrics:
                continue
            low, high = metrics[f"{key}/{mode}_low"], metrics[f"{key}/{mode}_high"]
            count = f"n={metrics[f'{key}/problems']}"
            if mode == "sampled":
                count += f" x {metrics[f'{key}/samples_per_problem']} samples"
            lines.append(f"{name}  {mode:<8} {metrics[f'{key}/{mode}']:6.1%}  [{low:.1%}, {high:.1%}]  {count}")
        if f"{key}/greedy_refine" in metrics:
            shown = {
                "refine": "refined",
                **{f"refine_{control}": f"  {control}" for control in ("empty", "shuffled", "indicative")},
            }
            for figure, words in shown.items():
                if (value := metrics.get(f"{key}/greedy_{figure}")) is not None:
                    low, high = metrics[f"{key}/greedy_{figure}_low"], metrics[f"{key}/greedy_{figure}_high"]
                    lines.append(
                        f"{name}  {words:<12} {value:6.1%}  [{low:.1%}, {high:.1%}]  before"
                        f" {metrics[f'{key}/greedy_refine_before']:.1%}"
                    )
        unread = [
            f"{what} {metrics[f'{key}/{what}']:.1%}"
            for what in ("unparsed", "truncated", "timeout", "error")
            if metrics[f"{key}/{what}"]
        ]
        if unread:
            lines.append(f"{name}  of all answers: {', '.join(unread)}")
    return "\n".join(lines)
