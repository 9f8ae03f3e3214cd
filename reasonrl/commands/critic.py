"""`reasonrl critic train` and `reasonrl critic eval`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from reasonrl.commands.output import emit
from reasonrl.commands.train import train_command
from reasonrl.errors import UsageError
from reasonrl.files import replace_text
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.reading import load_recipe
from reasonrl.runs.folder import append_rows, run_facts


def critic_train_command(recipe: str, overrides: list[str], **options: Any) -> None:
    """`reasonrl train`, for a recipe that trains a critic: anything else is refused before it costs an hour."""
    loaded = load_recipe(recipe, [o for o in overrides if not o.startswith("run_dir=")])
    if not any(stage.critic is not None and KINDS[stage.kind].trains for stage in loaded.stages):
        raise UsageError(f"{recipe} trains no critic: no stage has a section `critic`. Use: reasonrl train {recipe}")
    train_command(recipe, overrides, **options)


def critic_eval_command(
    model: str,
    *,
    data: str,
    format_name: str | None,
    format_options: dict[str, Any],
    served_name: str | None,
    n: int,
    temperature: float,
    max_new_tokens: int | None,
    limit: int | None,
    output: Path | None,
    seed: int,
    offline: bool,
    as_json: bool,
) -> None:
    if output is not None and (output / "results.json").exists():
        raise UsageError(f"{output} already holds results; name another folder with --output")
    from critics.formats import load_format
    from reasonrl.commands.evaluate import critic_recipe
    from reasonrl.data import load_problems
    from reasonrl.data.critiques import critique_problem
    from reasonrl.evaluation.critic_benchmark import criticise, figures_by_subset, sample_rows
    from reasonrl.recipe.critics import RoleSpec
    from reasonrl.setup.roles import load_critic

    recipe, weights = critic_recipe(model, offline=offline)
    spec = recipe.critic
    try:
        named = format_name or ("boxed_index" if spec is None else None)
        form = load_format(named, **format_options) if named else spec.format.load()  # type: ignore[union-attr]
    except ValueError as error:
        raise UsageError(f"--format: {error}") from error
    problems = [
        critique_problem(problem, form)
        for problem in load_problems(data, kind="critique", limit=limit, offline=offline)
    ]
    tokens = max_new_tokens or (recipe.rollout.max_new_tokens if spec is not None else 2048)
    role = RoleSpec(
        model=weights,
        served_name=served_name,
        temperature=temperature,
        max_new_tokens=tokens,
        stop=tuple(recipe.rollout.stop),
    )
    critic, engine = load_critic(recipe, role, problems, offline=offline)
    started = time.perf_counter()
    criticised = criticise(problems, form, critic, engine, n=n, seed=seed)
    failures = [solution.failure for solution in criticised if solution.failure]
    results = {
        "model": model,
        "weights": weights,
        "data": data,
        "format": form.name,
        "n": n,
        "temperature": temperature,
        "max_new_tokens": tokens,
        "seed": seed,
        "subsets": figures_by_subset(criticised, seed=seed),
        "failures": failures[:10],
        "seconds": time.perf_counter() - started,
        **run_facts(["reasonrl", "critic", "eval", model]),
    }
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "samples.jsonl").unlink(missing_ok=True)
        append_rows(output / "samples.jsonl", sample_rows(criticised))
        replace_text(output / "results.json", json.dumps(results, indent=1) + "\n")
    emit(as_json, results, results_text(results) + (f"\nwritten to {output}" if output else ""))


def results_text(results: dict[str, Any]) -> str:
    """A block for each subset: figure, interval, sample size."""
    lines = []
    for name, figures in results["subsets"].items():
        lines.append(f"{name} ({figures['solutions']:,} solutions)" if "solutions" in figures else name)
        if figures.get("not answered"):
            lines.append(f"  not answered         {figures['not answered']} ({results['failures'][0]})")
        for what, value in figures.items():
            if isinstance(value, dict):
                interval = f"  [{value['low']:.1%}, {value['high']:.1%}]  n={value['n']}" if "low" in value else ""
                lines.append(f"  {what:<20} {value['estimate']:6.1%}{interval}")
    return "\n".join(lines)
