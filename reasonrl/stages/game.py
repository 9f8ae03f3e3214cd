"""The stage `kind: game`: sneaky generator, solver and critic play, and their turns are saved with their rewards.

The folder then holds `critic.jsonl` and `sneaky.jsonl`, rows of kind "offline" for stages of that kind
(`stage:NAME/critic`), `games.jsonl` with every game, and `game.json` with who won how often.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from critics.rewards import Validation
from critics.sneaky import SneakyPrompt
from critics.verifier import solution_of
from reasonrl.engines.base import BatchEngine, derive_seed
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.sneaky import Game as PlayedGame
from reasonrl.environments.sneaky import SneakyGame
from reasonrl.errors import DataError, RecipeError, TrainingError
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.folder import append_rows
from reasonrl.setup.data import RunData, load_data, recipe_for_data
from reasonrl.setup.models import load_language_model, make_engine
from reasonrl.setup.roles import Roles, check_refining, load_roles
from reasonrl.stages.base import Session, Workload
from reasonrl.stages.complete import SUMMARIES
from reasonrl.stages.gathering import GatheringKind, open_verifier, start_journal, write_sets, write_summary
from reasonrl.stats import wilson
from verifiers.types import Problem, Verifier

SUMMARY = SUMMARIES["game"]
ROLES = ("sneaky", "solver", "critic")
TAUGHT_ROLES = ("critic", "sneaky")
"""Whose turns later stages learn from."""


class Game(GatheringKind):
    """The kind `game`."""

    name: ClassVar[str] = "game"

    def workload(self, recipe: Recipe, data: RunData) -> Workload:
        """At most: a game ends early when no step was corrupted or the corrupted step was harmless."""
        spec = recipe.game
        solutions = len(right_solutions(data.train)[: spec.solutions]) if data.train else spec.solutions or 0
        games = solutions * spec.attempts_per_solution
        tokens = (
            spec.sneaky.max_new_tokens
            + 2 * spec.completions * spec.solver.max_new_tokens
            + 2 * spec.critic.max_new_tokens
        )
        return Workload(1, solutions, games * (1 + 2 * spec.completions + 2), sampled_tokens_per_step=games * tokens)

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        count = workload.prompts_per_step
        solutions = f"{count:,} correct solutions" if count else "all correct solutions"
        return {"plays": f"on {solutions}, {2 * recipe.game.completions} completions of the solver in each game"}

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        return player_roles(recipe)

    def check(self, recipe: Recipe, data: RunData) -> None:
        """Raises DataError where no solution is labelled correct, or one that will be played on has no steps."""
        solutions = right_solutions(data.train)[: recipe.game.solutions]
        if not solutions:
            raise DataError(
                "data.train: no solution is labelled correct (first_error: -1), so there is no step to corrupt"
            )
        for problem in solutions:
            try:
                steps = solution_of(problem.reference, problem.id).steps
            except ValueError as error:
                raise DataError(f"data.train: problem {problem.id}: {error}") from error
            if not steps:
                raise DataError(
                    f"data.train: the solution of problem {problem.id} is not split into steps, so there is none to"
                    " corrupt. Write 'steps' (a list of strings) into its reference"
                )

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        """Play into `folder`, unless that has been done. No row is written when this raises; what was generated is
        recorded for a resumed stage.
        """
        console = session.console
        if (folder / SUMMARY).exists():
            console.note(f"{folder} is already complete")
            return folder
        players = self.roles(recipe)
        with open_verifier(recipe) as answer_verifier:
            # Checked as problems with an answer, which the solver must reach.
            data = load_data(recipe_for_data(recipe), answer_verifier, offline=session.offline)
            self.check(recipe, data)
            problems = right_solutions(data.train)[: recipe.game.solutions]
            journal = start_journal(recipe, folder, session, data, players)
            policy = load_language_model(recipe, session.init_from, offline=session.offline)
            check_refining(recipe, policy.tokenizer)
            rows_per_batch = recipe.rollout.rows_per_batch
            engine = journal.engine(make_engine(recipe, policy), rows_per_batch)
            roles = journal.roles(load_roles(recipe, players, policy, offline=session.offline), rows_per_batch)
            attempts = recipe.game.attempts_per_solution
            console.note(f"{len(problems):,} correct solutions, {attempts} attempts on each")
            games = Players(recipe, engine, answer_verifier, roles).play(problems)
        counts = summary(games)
        console.note(sentence(counts))
        if not any(game.critic_turns for game in games):
            failures = [game.failure for game in games if game.failure]
            reason = failures[0] if failures else "the corrupted steps were harmless, or the solver is too weak"
            raise TrainingError(
                f"game: no corrupted step was harmful in {len(games):,} games ({reason}). Look at game.completions and"
                " the solver"
            )
        write_sets(folder, {role: offline_rows(games, role, recipe.name) for role in TAUGHT_ROLES})
        (folder / "games.jsonl").unlink(missing_ok=True)
        append_rows(folder / "games.jsonl", [game_row(game) for game in games])
        write_summary(folder / SUMMARY, counts)
        journal.remove()
        return folder


def player_roles(recipe: Recipe) -> dict[str, RoleSpec]:
    """Raises RecipeError where there is no section `critic` with the format of the critiques."""
    if recipe.critic is None:
        raise RecipeError(
            "critic: missing; a game needs this section, which sets the format of critiques. Write critic: {}"
        )
    return {role: getattr(recipe.game, role) for role in ROLES}


def right_solutions(problems: Sequence[Problem]) -> list[Problem]:
    """Solutions whose steps are all known to be right."""
    return [problem for problem in problems if problem.reference.get("first_error") == -1]


class Players:
    """Sneaky generator, solver and critic of a stage; `engine` is the policy's, for roles that are `same`."""

    def __init__(self, recipe: Recipe, engine: BatchEngine, answer_verifier: Verifier, roles: Roles) -> None:
        assert recipe.critic is not None
        spec = recipe.game
        self._recipe, self._engine, self._roles = recipe, engine, roles
        self._game = SneakyGame(
            sneaky=roles.speakers["sneaky"],
            solver=roles.speakers["solver"],
            critic=roles.speakers["critic"],
            oracle=answer_verifier,
            format=recipe.critic.format.load(),
            prompt=SneakyPrompt(**spec.prompt),  # type: ignore[arg-type]  # checked in the recipe
            validation=Validation(spec.least_before, spec.most_after),
            completions=spec.completions,
            detected_reward=spec.detected_reward,
        )

    def play(self, problems: Sequence[Problem]) -> list[PlayedGame]:
        """`game.attempts_per_solution` games on each problem, in order."""
        recipe = self._recipe
        episodes = []
        for problem in problems:
            for attempt in range(recipe.game.attempts_per_solution):
                seed = derive_seed(recipe.seed, "game", recipe.name, problem.id, attempt)
                episodes.append(functools.partial(self._game.play, problem, attempt, seed))
        return run_episodes(episodes, self._engine, self._roles.engines)


def offline_rows(games: Sequence[PlayedGame], role: str, name: str) -> list[Problem]:
    """The turns of a role as problems of kind "offline". `name` is the stage's: ids begin with it."""
    rows: list[Problem] = []
    for game in games:
        for turn in game.critic_turns if role == "critic" else game.sneaky_turns:
            reference = {"response": turn.response, "reward": turn.reward}
            identity = f"{name}/{role}-{len(rows)}"
            rows.append(Problem(identity, turn.prompt, "offline", reference, name, {"problem_id": game.problem.id}))
    return rows


def summary(games: Sequence[PlayedGame]) -> dict[str, Any]:
    """Who won how often; rates with their 95% intervals."""
    validated = [game for game in games if game.validated and not game.failure]
    figures: dict[str, Any] = {
        "games": len(games),
        "failed": sum(bool(game.failure) for game in games),
        "no new step": sum(game.spoilt is None and not game.failure for game in games),
        "validated": len(validated),
    }
    if validated:
        wins = {
            "sneaky wins": sum(game.detected is False for game in validated),
            "critic: error recall": sum(game.detected is True for game in validated),
            "critic: correct recall": sum(game.false_alarm is False for game in validated),
        }
        figures |= {name: wilson(count, len(validated))._asdict() for name, count in wins.items()}
    return figures


def sentence(figures: Mapping[str, Any]) -> str:
    """The summary on one line."""
    return ", ".join(
        f"{name} {value['estimate']:.1%}" if isinstance(value, dict) else f"{value:,} {name}"
        for name, value in figures.items()
    )


def game_row(game: PlayedGame) -> dict[str, Any]:
    """The row of games.jsonl."""
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
