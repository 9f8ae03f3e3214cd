"""`reasonrl critic strategies`: which test-time strategy is worth its tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from critics.strategies import STRATEGIES, Strategy, load_strategy
from reasonrl.commands.results import refuse_old_results, results_folder, write_and_emit
from reasonrl.commands.serve import ServedModels, load_cast
from reasonrl.errors import UsageError
from reasonrl.runs.folder import run_facts
from verifiers.loading import load_verifier
from verifiers.types import Problem


def strategies_command(
    models: ServedModels,
    data: str,
    *,
    names: Sequence[str],
    samples: int,
    rounds: int,
    limit: int | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Plays each strategy on problems with known answers, and compares it with votes that spend as much."""
    refuse_old_results(output)
    chosen = _strategies(names, samples, rounds)
    from reasonrl.data import load_problems
    from reasonrl.serving.comparison import play_all, results_of, votes_up_to

    problems = load_problems(data, limit=limit, offline=models.offline)
    if lacking := [problem.id for problem in problems if problem.kind != "math"]:
        raise UsageError(f"--data {data}: problem {lacking[0]} is of kind {problems[0].kind}; answers of math can vote")
    with results_folder(output):
        cast = load_cast(models)
        votes = votes_up_to(4 * samples)
        played: dict[str, Strategy] = {**votes, **chosen}
        started = time.perf_counter()

        def tell(done: int) -> None:
            if done % 50 == 0 or done == len(problems):
                typer.echo(f"{done:,} of {len(problems):,} problems", err=True)

        async def run() -> Any:
            try:
                return await play_all(
                    cast,
                    [_asked(p) for p in problems],
                    played,
                    load_verifier("math", mode="lenient"),
                    seed=seed,
                    tell=tell,
                )
            finally:
                for voice in {id(v): v for v in (cast.actor, cast.critic)}.values():
                    await voice.close()

        rows = asyncio.run(run())
        results = results_of(rows, list(votes), seed=seed)
        value = {
            "critic": models.critic,
            "actor": cast.actor.name,
            "data": data,
            "problems": len(problems),
            "seed": seed,
            "temperature": models.temperature,
            "critic_temperature": models.critic_temperature,
            "options": {name: asdict(strategy) for name, strategy in chosen.items()},
            "strategies": [result.to_json() for result in results],
            "seconds": time.perf_counter() - started,
            **run_facts(["reasonrl", "critic", "strategies", models.critic]),
        }
        samples_rows = [{"strategy": name, **asdict(one)} for name, several in rows.items() for one in several]
        write_and_emit(output, value, samples_rows, table_text(results), as_json=as_json)


def table_text(results: Sequence[Any]) -> str:
    """The table of a terminal. Of the plain votes it has those of 1, 2, 4, 8, ... drafts, and those that a strategy is
    compared with; results.json has all.
    """
    votes = [result.name for result in results if not result.is_compared]
    shown = {result.against for result in results} | {votes[2**power - 1] for power in range(len(votes).bit_length())}
    table = Table(show_edge=False, pad_edge=False)
    for title in ("strategy", "accuracy", "95%", "actor", "critic", "gain at equal tokens", "95%", "p", "against"):
        table.add_column(title, justify="left" if title in ("strategy", "against") else "right")
    for result in results:
        if not result.is_compared and result.name not in shown:
            continue
        cells = [result.name, "", ""]
        if result.accuracy is not None:
            estimate, low, high, _ = result.accuracy
            cells[1:] = [f"{estimate:.1%}", f"{low:.1%} to {high:.1%}"]
        cells += [f"{result.actor_tokens:,.0f}", f"{result.critic_tokens:,.0f}"]
        if result.difference is None:
            cells += ["", "", "", ""]
        else:
            gain = result.difference.normal
            cells += [f"{100 * gain.estimate:+.1f}", f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"]
            cells += [f"{result.p_value:.2g}", result.against]
        table.add_row(*cells)
    console = Console(width=140, highlight=False)
    with console.capture() as captured:
        console.print(table)
    notes = [
        "tokens: completion tokens of a problem, mean; gain: points over the vote that spends as much; p: Holm's, for"
        " all rows"
    ]
    if dear := [result.name for result in results if result.is_compared and not result.against and result.accuracy]:
        notes.append(f"{', '.join(dear)}: no vote here spends as much, so there is no gain; raise --samples")
    if unread := max(result.unread for result in results):
        share = f"up to {unread:.1%}" if unread >= 0.001 else "under 0.1%"
        notes.append(f"{share} of a strategy's critiques could not be read: see results.json")
    if unfinished := max(result.unfinished for result in results):
        notes.append(f"on up to {unfinished:,} problems the actor could not go on: the best draft until then counts")
    if unjudged := max(result.unjudged for result in results):
        notes.append(f"up to {unjudged:,} problems have no verdict, and do not count: see results.json")
    if uncritiqued := max(result.uncritiqued for result in results):
        notes.append(f"on up to {uncritiqued:,} problems the critic could not answer: the best draft until then counts")
    return "\n".join([captured.get().rstrip(), *notes])


def _strategies(names: Sequence[str], samples: int, rounds: int) -> dict[str, Strategy]:
    chosen: dict[str, Strategy] = {}
    known = [name for name in STRATEGIES if name not in ("single", "majority")]
    for name in names or known:
        try:
            bare = load_strategy(name.replace("-", "_"))
        except ValueError as error:
            raise UsageError(f"--strategies: {error}") from error
        if bare.name not in known:
            raise UsageError(f"--strategies: {bare.name} is what the others are compared with; leave it out")
        wanted = {"samples": samples, "tries": samples, "rounds": rounds}
        options = {option: value for option, value in wanted.items() if hasattr(bare, option)}
        chosen[bare.name] = load_strategy(bare.name, **options)
    return chosen


def _asked(problem: Problem) -> Problem:
    """As a client of the server would ask it."""
    if not isinstance(problem.prompt, str):
        return problem
    chat: Any = [{"role": "user", "content": problem.prompt}]
    return Problem(problem.id, chat, problem.kind, problem.reference, problem.source, problem.meta)
