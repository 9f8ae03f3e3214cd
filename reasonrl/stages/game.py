"""The stage `kind: game`: sneaky generator, solver and critic play, and what they said is kept with what it earned.

The folder then holds `critic.jsonl` and `sneaky.jsonl`, rows of kind "offline" for stages of that kind
(`stage:NAME/critic`), `games.jsonl` with every game, and `game.json` with who won how often.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from critics.rewards import Validation
from critics.sneaky import SneakyPrompt
from reasonrl.data.convert import write_problems
from reasonrl.engines.base import BatchEngine, derive_seed, run_episodes
from reasonrl.environments.roles import Speaker
from reasonrl.environments.sneaky import Game, SneakyGame, Turn
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.models.loading import LanguageModel
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import append_rows, write_atomically
from reasonrl.setup.data import load_data
from reasonrl.setup.models import load_for, load_role, make_engine
from reasonrl.stats import wilson
from verifiers.types import Problem, Verifier

DONE = "game.json"


def run_game(recipe: Recipe, path: Path, console: TrainConsole, *, init_from: str, offline: bool) -> Path:
    """Play into the folder `path`, unless that has been done. Raises ReasonRLError; nothing is written when it does."""
    if (path / DONE).exists():
        console.note(f"{path} is complete")
        return path
    if recipe.critic is None:
        raise RecipeError("critic: a game needs the section critic, for the format in which steps are judged")
    oracle = make_verifier(recipe)
    # Checked as problems with an answer, which the solver has to arrive at; whether a last step is right is only asked
    # in the game.
    data = load_data(recipe.model_copy(update={"critic": None}), oracle, offline=offline)
    right = [problem for problem in data.train if problem.reference.get("first_error") == -1]
    if not right:
        raise TrainingError(
            "data.train: no solution is known to be right (first_error -1), so there is no right step to spoil"
        )
    chosen = right[: recipe.game.solutions] if recipe.game.solutions is not None else right
    base = load_for(recipe, init_from, offline=offline)
    speakers, engines = load_players(recipe, base, offline=offline)
    console.note(f"{len(chosen):,} right solutions, {recipe.game.attempts_per_solution} attempts on each")
    games = play(recipe, chosen, speakers, engines, make_engine(recipe, base), oracle)
    close = getattr(oracle, "close", None)
    if close is not None:
        close()
    counts = summary(games)
    console.note(sentence(counts))
    if not any(game.critic_turns for game in games):
        reason = next(
            (game.failure for game in games if game.failure), "the spoilt steps did no harm, or the solver is too weak"
        )
        raise TrainingError(
            f"game: no spoilt step was validated in {len(games):,} games ({reason}). Look at game.completions and the"
            " solver"
        )
    path.mkdir(parents=True, exist_ok=True)
    for role in ("critic", "sneaky"):
        write_problems(offline_rows(games, role, recipe.name), path / f"{role}.jsonl", form="plain")
    (path / "games.jsonl").unlink(missing_ok=True)
    append_rows(path / "games.jsonl", [game_row(game) for game in games])
    write_atomically(path / DONE, json.dumps(counts, indent=1) + "\n")
    return path


def load_players(
    recipe: Recipe, base: LanguageModel, *, offline: bool
) -> tuple[dict[str, Speaker], dict[str, BatchEngine]]:
    """Sneaky generator, solver and critic, with the engines of those that are not `same`."""
    speakers: dict[str, Speaker] = {}
    engines: dict[str, BatchEngine] = {}
    for role in ("sneaky", "solver", "critic"):
        speakers[role], more = load_role(role, recipe, getattr(recipe.game, role), base, offline=offline)
        engines |= more
    return speakers, engines


def play(
    recipe: Recipe,
    problems: Sequence[Problem],
    speakers: Mapping[str, Speaker],
    engines: Mapping[str, BatchEngine],
    base: BatchEngine,
    oracle: Verifier,
) -> list[Game]:
    spec = recipe.game
    assert recipe.critic is not None
    table = SneakyGame(
        sneaky=speakers["sneaky"],
        solver=speakers["solver"],
        critic=speakers["critic"],
        oracle=oracle,
        format=recipe.critic.format.load(),
        prompt=SneakyPrompt(**spec.prompt),  # type: ignore[arg-type]  # checked in the recipe
        validation=Validation(spec.least_before, spec.most_after),
        completions=spec.completions,
        detected_reward=spec.detected_reward,
    )
    plays = [
        functools.partial(
            table.play, problem, attempt, derive_seed(recipe.seed, "game", recipe.name, problem.id, attempt)
        )
        for problem in problems
        for attempt in range(spec.attempts_per_solution)
    ]
    return run_episodes(plays, base, engines)


def offline_rows(games: Sequence[Game], role: str, name: str) -> list[Problem]:
    """What a role said, as problems of kind "offline"."""
    rows: list[Problem] = []
    for game in games:
        turns: list[Turn] = game.critic_turns if role == "critic" else game.sneaky_turns
        for turn in turns:
            reference = {"response": turn.response, "reward": turn.reward}
            identity = f"{name}/{role}-{len(rows)}"
            rows.append(Problem(identity, turn.prompt, "offline", reference, name, {"problem_id": game.problem.id}))
    return rows


def summary(games: Sequence[Game]) -> dict[str, Any]:
    """Who won how often; rates with their 95% intervals."""
    validated = [game for game in games if game.validated and not game.failure]
    made: dict[str, Any] = {
        "games": len(games),
        "failed": sum(bool(game.failure) for game in games),
        "no new step": sum(game.spoilt is None and not game.failure for game in games),
        "validated": len(validated),
    }
    if validated:
        made["sneaky wins"] = _share(sum(game.detected is False for game in validated), len(validated))
        made["critic: error recall"] = _share(sum(game.detected is True for game in validated), len(validated))
        made["critic: correct recall"] = _share(sum(game.false_alarm is False for game in validated), len(validated))
    return made


def _share(count: int, of: int) -> dict[str, float]:
    interval = wilson(count, of)
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high, "n": interval.n}


def sentence(counts: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value['estimate']:.1%}" if isinstance(value, dict) else f"{value:,} {name}"
        for name, value in counts.items()
    )


def game_row(game: Game) -> dict[str, Any]:
    return {
        "problem_id": game.problem.id,
        "step": game.step,
        "error_type": game.error_type,
        "original": game.original,
        "spoilt": game.spoilt,
        "before": game.before,
        "after": game.after,
        "validated": game.validated,
        "detected": game.detected,
        "false_alarm": game.false_alarm,
        "failure": game.failure,
        "critiques": [turn.response for turn in game.critic_turns],
    }
