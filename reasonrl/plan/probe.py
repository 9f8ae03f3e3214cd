"""A dry run calls the user's own code once, on gold and on empty responses: what would break the run breaks the
plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from critics.formats import CritiqueFormat
from critics.rewards import wants_refinement
from critics.types import CriticEpisode
from critics.verifier import solution_of
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.environments.loading import BUILT_IN
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.recipe.critics import CriticSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.critique import CritiqueRewards
from reasonrl.rewards.scoring import score_episodes
from reasonrl.setup.environments import EnvironmentFor, rollout_sampling
from reasonrl.setup.run_models import runs_elsewhere
from reasonrl.user_code.guards import is_no_answer
from verifiers.types import Problem, Verifier

PROBED = 2
"""Problems that are tried, each with a whole group of responses: a function may compare those of a prompt."""


@dataclass
class RewardProbe:
    """What calling the reward functions once has shown."""

    warnings: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    """What could not be tried here, and why."""
    rewards: dict[str, str] = field(default_factory=dict)
    """By the key of a function: what it returned for gold and for empty responses."""


def probe_environment(recipe: Recipe, tokenizer: Any, environment_for: EnvironmentFor) -> None:
    """Construct the environment. Raises RecipeError where it cannot be, and ReasonRLError where this machine lacks what
    its tools need.
    """
    if tokenizer is not None:
        environment_for(rollout_sampling(recipe))


def probe_rewards(
    recipe: Recipe, parts: Sequence[RewardPart], verifier: Verifier, problems: Sequence[Problem], tokenizer: Any
) -> RewardProbe:
    """Call each reward function on gold and empty responses. (Verifiers are tried by `reasonrl.plan.checks`.)

    A function that looks at episodes is not tried where the user's own environment plays them: only that knows what it
    notes in them.

    Raises RecipeError: what one of them raises or returns would stop the run.
    """
    probe = RewardProbe()
    if recipe.critic is not None:
        problems = [problem for problem in problems if problem.kind == "critique" and recipe.kind == "rl"]
    if not problems:
        return probe
    own_environment = recipe.rollout.environment.name not in BUILT_IN
    episodes = probe_episodes(recipe, verifier, problems[:PROBED], tokenizer)
    if recipe.critic is not None and not own_environment:
        for number, episode in enumerate(episodes):
            add_critique(episode, recipe.critic, parts, is_right=number % 2 == 0)
    batches = [[episode] for episode in episodes] if runs_elsewhere(recipe) else [episodes]  # as the trainers do
    for part in [*parts[:1], *(part for part in parts[1:] if part.verifier is None and not part.is_reviewed)]:
        if part.episodes is not None and own_environment:
            key = _key(part, recipe)
            probe.untried.append(f"{key} looks at episodes, which only {recipe.rollout.environment.name} can play")
            continue
        try:
            for batch in batches:
                score_episodes(batch, [part], on_timeout=recipe.train.on_timeout, step=1)
        except TrainingError as error:
            if is_no_answer(error.__cause__):
                probe.untried.append(f"{error}: what it asks does not answer here")
                continue
            raise RecipeError(str(error)) from error
        if part.verifier is None:
            key = _key(part, recipe)
            probe.rewards[key] = _returned(part, episodes)
            if (warning := _constant(part, episodes, key)) is not None:
                probe.warnings.append(warning)
    return probe


def add_critique(episode: Episode, spec: CriticSpec, parts: Sequence[RewardPart], *, is_right: bool) -> None:
    """Read the text of an episode as a critique and, where the reward looks at refinements, add some: solutions that
    are right, or empty ones.
    """
    problem = episode.problem
    solution = solution_of(problem.reference, problem.id)
    form: CritiqueFormat = spec.format.load()
    critique = form.parse(episode.text, len(solution.steps) or None)
    episode.critique = CriticEpisode(problem, solution, critique)
    episode.trained_index = 0
    rewards = next((part.episodes for part in parts if isinstance(part.episodes, CritiqueRewards)), None)
    if rewards is None or not spec.looks_at_refinements or not wants_refinement(episode.critique, spec.refine.when):
        return
    text = _gold(rewards.answer_verifier, problem) if is_right else ""
    trained = episode.trained_trajectory
    actor = Trajectory("actor", trained.prompt_ids, [0], [False], [0.0], text, "stop")
    episode.trajectories += [actor] * spec.refine.refinements


def probe_episodes(recipe: Recipe, verifier: Verifier, problems: Sequence[Problem], tokenizer: Any) -> list[Episode]:
    """A group for each problem, of its gold response and empty ones in turn."""
    episodes: list[Episode] = []
    for problem in problems:
        gold = _gold(verifier, problem)
        prompt_ids = [0] if tokenizer is None else encode_prompt(tokenizer, problem)
        for rollout in range(recipe.rollout.rollouts_per_prompt):
            text = gold if len(episodes) % 2 == 0 else ""
            ids = [0] if tokenizer is None else [*tokenizer(text, add_special_tokens=False)["input_ids"]]
            ids = ids or [int(tokenizer.eos_token_id or 0)]
            trajectory = Trajectory("policy", prompt_ids, ids, [True] * len(ids), [-1.0] * len(ids), text, "stop")
            episodes.append(Episode(problem, rollout, recipe.seed, [trajectory]))
    return episodes


def _key(part: RewardPart, recipe: Recipe) -> str:
    """The key of the recipe that names the function of a part."""
    return f"reward.{part.name}.function" if part.name in recipe.reward else "critic.reward"


def _returned(part: RewardPart, episodes: Sequence[Episode]) -> str:
    """Such as "1 for gold responses, 0 to 0.5 for empty ones"; None is what leaves a rollout unjudged."""
    empty = {episode.reward_parts[part.name] for episode in episodes if not episode.text}
    gold = {episode.reward_parts[part.name] for episode in episodes if episode.text}
    texts = [f"{_range(gold)} for gold responses"] if gold else []
    return ", ".join([*texts, f"{_range(empty)} for empty {'ones' if gold else 'responses'}"])


def _range(values: set[float | None]) -> str:
    numbers = sorted(value for value in values if value is not None)
    texts = (
        [f"{numbers[0]:g}" if numbers[0] == numbers[-1] else f"{numbers[0]:g} to {numbers[-1]:g}"] if numbers else []
    )
    return " or ".join([*texts, *(["None"] if None in values else [])])


def _constant(part: RewardPart, episodes: Sequence[Episode], key: str) -> str | None:
    """A function that cannot tell a gold response from an empty one."""
    values = {episode.reward_parts[part.name] for episode in episodes}
    if len(values) > 1 or part.weight == 0 or len({episode.text for episode in episodes}) < 2:
        return None
    (value,) = values
    if value is None:
        return (
            f"{key}: returned None for gold and for empty responses. None masks a rollout, and a"
            " run whose rollouts are all masked learns nothing"
        )
    return f"{key}: returned {value:g} for gold and for empty responses alike; a constant teaches nothing"


def _gold(verifier: Verifier, problem: Problem) -> str:
    """Empty for a verifier that cannot write one."""
    try:
        return verifier.gold_response(problem.reference)
    except ValueError:
        return ""
