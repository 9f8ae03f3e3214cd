"""`reasonrl critic train` and `reasonrl critic eval`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from critics.formats import CritiqueFormat
from reasonrl.commands.evaluated_recipe import critic_recipe
from reasonrl.commands.results import refuse_old_results, results_folder, write_and_emit
from reasonrl.commands.train import train_command
from reasonrl.errors import UsageError
from reasonrl.recipe.critics import FormatSpec, RoleSpec
from reasonrl.recipe.fields import LARGEST_TEMPERATURE, LEAST_TEMPERATURE
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.folder import run_facts
from verifiers.types import Problem

MAX_NEW_TOKENS = 2048
"""The limit of a critique by a model that no recipe trained."""


def critic_train_command(recipe: str, overrides: list[str], **options: Any) -> None:
    """`reasonrl train` for recipes that train a critic; any other recipe is refused at once."""
    loaded = load_recipe(recipe, [o for o in overrides if not o.startswith("run_dir=")])
    if not any(stage.critic is not None and KINDS[stage.kind].trains for stage in loaded.stages):
        raise UsageError(f"{recipe} trains no critic: no stage has a section `critic`. Use: reasonrl train {recipe}")
    train_command(recipe, overrides, **options)


def critic_eval_command(
    model: str,
    *,
    data: str | None,
    benchmarks: str | None = None,
    format_name: str | None,
    format_options: dict[str, Any],
    served_name: str | None,
    n: int,
    temperature: float,
    max_new_tokens: int | None,
    limit: int | None,
    canaries: int = 0,
    output: Path | None,
    seed: int,
    offline: bool,
    as_json: bool,
) -> None:
    if not (math.isfinite(temperature) and temperature >= 0):
        raise UsageError(f"--temperature: {temperature:g} is not a number from 0; 0 is greedy")
    if temperature and not LEAST_TEMPERATURE <= temperature <= LARGEST_TEMPERATURE:
        raise UsageError(
            f"--temperature: {temperature:g} cannot be sampled at; write 0 for greedy, or a number from"
            f" {LEAST_TEMPERATURE:g} to {LARGEST_TEMPERATURE:g}"
        )
    refuse_old_results(output)
    recipe, weights = critic_recipe(model, offline=offline)
    form = critique_format(recipe, format_name, format_options)
    problems = _labelled_solutions(data, benchmarks, form, limit=limit, offline=offline)
    role = _critic_role(
        recipe, weights, served_name=served_name, temperature=temperature, max_new_tokens=max_new_tokens
    )
    from reasonrl.evaluation.canaries import canary_figures, canary_problems
    from reasonrl.evaluation.critic_benchmark import criticise, figures_by_subset, sample_rows
    from reasonrl.setup.roles import load_critic

    forged = canary_problems(problems, form, per_kind=canaries, seed=seed) if canaries else []
    with results_folder(output):
        critic = load_critic(recipe, role, problems, optional=forged, offline=offline)
        started = time.perf_counter()
        criticised = criticise(problems, form, critic.speaker, critic.engine, n=n, seed=seed)
        judged_canaries = criticise(critic.fitting, form, critic.greedy_speaker, critic.engine, n=1, seed=seed)
        failures = [solution.failure for solution in (*criticised, *judged_canaries) if solution.failure]
        results = {
            "model": model,
            "weights": weights,
            "data": data or benchmarks,
            "format": form.name,
            "n": n,
            "temperature": temperature,
            "max_new_tokens": role.max_new_tokens,
            "seed": seed,
            "subsets": figures_by_subset(criticised, seed=seed),
            **(
                {"canaries": canary_figures(judged_canaries), "canaries_too_long": len(forged) - len(critic.fitting)}
                if canaries
                else {}
            ),
            "failures": failures[:10],
            "seconds": time.perf_counter() - started,
            **run_facts(["reasonrl", "critic", "eval", model]),
        }
        rows = [*sample_rows(criticised, greedy=temperature == 0), *sample_rows(judged_canaries, greedy=True)]
        write_and_emit(output, results, rows, results_text(results), as_json=as_json)


def critique_format(recipe: Recipe, name: str | None, options: dict[str, Any]) -> CritiqueFormat:
    """The user's format, or that of the critic's recipe, or boxed_index for a model without a recipe."""
    try:
        if name is None and recipe.critic is not None:
            return recipe.critic.format.load()
        return FormatSpec.model_construct(name=name or "boxed_index", **options).load()
    except ValueError as error:
        raise UsageError(f"--format: {error}") from error


def _labelled_solutions(
    source: str | None, benchmarks: str | None, form: CritiqueFormat, *, limit: int | None, offline: bool
) -> list[Problem]:
    """Solutions to judge, with prompts in the format."""
    from reasonrl.data import load_problems
    from reasonrl.data.critiques import critique_problem

    if (source is None) == (benchmarks is None):
        raise UsageError("write either --data FILE or --benchmarks processbench, bigbench_mistake=FILE, ...")
    if source is not None:
        problems = load_problems(source, kind="critique", limit=limit, offline=offline)
    else:
        problems = _of_benchmarks(str(benchmarks), limit=limit, offline=offline)
    return [critique_problem(problem, form) for problem in problems]


def _of_benchmarks(wanted: str, *, limit: int | None, offline: bool) -> list[Problem]:
    from reasonrl.commands.benchmarks import wanted_benchmarks
    from reasonrl.evaluation.benchmarks import find_benchmark
    from reasonrl.evaluation.benchmarks.loading import load_benchmark

    problems: list[Problem] = []
    for name, path in wanted_benchmarks(wanted):
        loaded = load_benchmark(find_benchmark(name, for_critics=True), path=path, limit=limit, offline=offline)
        for note in (*loaded.notes, *loaded.benchmark.notes):
            typer.echo(f"{name}: {note}", err=True)
        problems += loaded.problems
    return problems


def _critic_role(
    recipe: Recipe, weights: str, *, served_name: str | None, temperature: float, max_new_tokens: int | None
) -> RoleSpec:
    """How the critic is sampled; a critique is as long as in the run that trained it, if there was one."""
    default = recipe.rollout.max_new_tokens if recipe.critic is not None else MAX_NEW_TOKENS
    return RoleSpec(
        model=weights,
        served_name=served_name,
        temperature=temperature,
        max_new_tokens=max_new_tokens or default,
        stop=tuple(recipe.rollout.stop),
    )


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
    if "canaries" in results:
        lines.append(canaries_text(results["canaries"], results["canaries_too_long"]))
    return "\n".join(lines)


def canaries_text(kinds: Mapping[str, Mapping[str, Any]], too_long: int) -> str:
    """A table with a row for each kind of canary."""
    table = Table(show_edge=False, pad_edge=False)
    for title in ("canaries", "judged", "accepted", "false accepts", "95%", "unread", "not answered"):
        table.add_column(title, justify="left" if title == "canaries" else "right")
    for kind, figures in kinds.items():
        share = figures.get("false accepts")
        cells = (
            ["", ""] if share is None else [f"{share['estimate']:.1%}", f"{share['low']:.1%} to {share['high']:.1%}"]
        )
        counts = [f"{figures[name]:,}" for name in ("n", "accepted", "unread", "not answered")]
        table.add_row(kind, *counts[:2], *cells, *counts[2:])
    console = Console(width=120, highlight=False)
    with console.capture() as captured:
        console.print(table)
    left_out = f"\nleft out, too long for the model: {too_long:,}" if too_long else ""
    return f"\n{captured.get().rstrip()}\naccepted: an empty or forged solution that was called correct{left_out}"
