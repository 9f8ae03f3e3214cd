"""Everything that a stage needs before its first step, checked: data, verifier, reward parts, model, engine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from reasonrl.data import load_problems, render_prompt
from reasonrl.data.checks import DataReport, check_problems, shared_prompts
from reasonrl.data.critiques import critique_problem
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import DataError, RecipeError
from reasonrl.recipe.data import SourceSpec
from reasonrl.recipe.schema import Recipe
from verifiers.types import Problem, Verifier


@dataclass(frozen=True)
class RunData:
    """Problems with their final prompts. Names of `heldout` are those of the recipe."""

    train: list[Problem]
    heldout: dict[str, list[Problem]]
    reports: dict[str, DataReport]
    """By set: whether gold answers score 1 and empty answers 0."""
    replay: list[Problem] = field(default_factory=list)
    """offline: demonstrations."""


def load_data(recipe: Recipe, verifier: Verifier, *, offline: bool = False) -> RunData:
    """Load, render and check all sets of a recipe. Raises DataError when a gold answer does not score 1 or sets
    overlap.
    """
    reports: dict[str, DataReport] = {}
    train = _load_train(recipe, verifier, reports, offline)
    heldout: dict[str, list[Problem]] = {}
    for name, source in recipe.data.heldout.items():
        heldout[name] = _loaded(source, recipe, f"data.heldout.{name}", offline)
        _checked(heldout[name], verifier, f"data.heldout.{name}", name, reports)
    replay = _load_replay(recipe, verifier, reports, offline)
    for name, problems in heldout.items():
        shared = shared_prompts(train, problems)
        if shared:
            raise DataError(
                f"data.heldout.{name}: {len(shared)} of {len(problems)} problems are also in data.train (first:"
                f" {shared[0]}). Held-out accuracy would measure memory. Use another split"
            )
    return RunData(train, heldout, reports, replay)


def _load_train(recipe: Recipe, verifier: Verifier, reports: dict[str, DataReport], offline: bool) -> list[Problem]:
    """All sources of data.train, one after the other. What an `offline` stage learns from was judged when it was
    said.
    """
    sources = recipe.data.train_sources
    train: list[Problem] = []
    used: set[str] = set()
    for i, source in enumerate(sources):
        where = "data.train" if len(sources) == 1 else f"data.train.{i}"
        if recipe.kind == "offline":
            problems = _offline(source, where, offline)
        else:
            problems = _loaded(source, recipe, where, offline)
            _checked(problems, verifier, where, "train" if len(sources) == 1 else f"train.{i}", reports)
        clash = next((p.id for p in problems if p.id in used), None)
        if clash is not None:
            raise DataError(f"{where}: the id {clash!r} is also in an earlier source of data.train. Ids must differ")
        used |= {p.id for p in problems}
        train += problems
    return train


def _load_replay(recipe: Recipe, verifier: Verifier, reports: dict[str, DataReport], offline: bool) -> list[Problem]:
    """All sources of data.replay: solutions to judge, or problems of any kind that show what to say."""
    sources = recipe.data.replay_sources
    replay: list[Problem] = []
    for i, source in enumerate(sources):
        where, name = ("data.replay", "replay") if len(sources) == 1 else (f"data.replay.{i}", f"replay.{i}")
        problems = _loaded(source, recipe, where, offline, demonstrations=True)
        judged = [problem for problem in problems if recipe.critic is None or problem.kind == "critique"]
        if judged:
            _checked(judged, verifier, where, name, reports)
        shown = [problem for problem in problems if recipe.critic is not None and problem.kind != "critique"]
        bare = next(
            (problem.id for problem in shown if not isinstance(problem.reference.get("demonstration"), str)), None
        )
        if bare is not None:
            raise DataError(
                f"{where}: problem {bare} is no solution to judge, and shows no 'demonstration' in its reference"
            )
        replay += problems
    return replay


def _loaded(
    source: SourceSpec, recipe: Recipe, where: str, offline: bool, *, demonstrations: bool = False
) -> list[Problem]:
    try:
        return [
            _rendered(problem, recipe, demonstrations)
            for problem in load_problems(**source.model_dump(), offline=offline)
        ]
    except DataError as error:
        raise type(error)(f"{where}: {error}") from error


def _checked(
    problems: list[Problem], verifier: Verifier, where: str, name: str, reports: dict[str, DataReport]
) -> None:
    reports[name] = check_problems(problems, verifier)
    if not reports[name].ok:
        raise DataError(
            f"{where}: the gold answer of each problem must score 1 and an empty one 0, or the run would learn"
            f" noise.\n{reports[name]}"
        )


def _offline(source: SourceSpec, where: str, offline: bool) -> list[Problem]:
    """Rows of kind "offline": a prompt, and {"response", "reward"} in the reference."""
    try:
        problems = load_problems(**source.model_dump() | {"kind": "offline"}, offline=offline)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    for row, problem in enumerate(problems, 1):
        reward = problem.reference.get("reward")
        number = isinstance(reward, int | float) and not isinstance(reward, bool) and math.isfinite(reward)
        if not isinstance(problem.reference.get("response"), str) or not number:
            raise DataError(
                f"{where}: row {row} ({problem.id}): what an offline stage learns from has a 'response' (a text) and a"
                f" 'reward' (a number) in its reference, not {sorted(problem.reference)}. A stage of kind game makes"
                " such rows"
            )
    return problems


def _rendered(problem: Problem, recipe: Recipe, demonstrations: bool = False) -> Problem:
    if recipe.critic is not None and not ((demonstrations or recipe.critic.policy_rows) and problem.kind != "critique"):
        return critique_problem(problem, recipe.critic.format.load())
    prompt = recipe.data.prompt
    if prompt is None:
        return problem
    template = (
        None if prompt.template == "{question}" else prompt.template
    )  # asks for nothing, so finished messages pass
    return render_prompt(problem, template=template, few_shot=prompt.few_shot, style=prompt.style, system=prompt.system)


def check_lengths(recipe: Recipe, tokenizer: Any, config: Any, problems: list[Problem]) -> int:
    """Tokens of the longest prompt. Raises RecipeError when it does not fit the model together with the longest
    response.
    """
    try:
        lengths = [len(encode_prompt(tokenizer, problem)) for problem in problems]
    except ValueError as error:
        raise RecipeError(str(error)) from error
    longest = max(lengths)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    if limit is not None and longest + recipe.rollout.max_new_tokens > limit:
        problem = problems[lengths.index(longest)]
        raise RecipeError(
            f"rollout.max_new_tokens: the prompt of problem {problem.id} has {longest} tokens, and with"
            f" {recipe.rollout.max_new_tokens} new ones it exceeds the {limit} positions of the model. Lower"
            " rollout.max_new_tokens, or leave out long prompts"
        )
    return longest
