"""Judges saved responses again when a replay names another verifier than the run had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reasonrl.errors import RecipeError
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.rewards.scoring import apply_timeout_policy
from reasonrl.runs.reading import Row
from reasonrl.update.samples import LEFT_OUT, LONGEST_REFERENCE
from verifiers.types import Status, Verifier

CORRECTNESS = "correctness"


def part_weights(recipe: Recipe) -> dict[str, float]:
    """By part of the reward, its weight: those of the recipe, or those of a critic's own parts."""
    if recipe.critic is None:  # correctness first, as in `make_reward_parts`: sums depend on the order
        first = {CORRECTNESS: recipe.reward[CORRECTNESS].weight}
        return first | {name: spec.weight for name, spec in recipe.reward.items()}
    return {part.name: part.weight for part in make_reward_parts(recipe, make_verifier(recipe))}


def new_verifiers(recipe: Recipe, saved: Recipe, overrides: Sequence[str]) -> dict[str, Verifier]:
    """By part of the reward, the verifier that judges it again: of `recipe`, where it is not that of the `saved` one.
    An override that writes a verifier (or `train.on_timeout`) has correctness judged again even if it changes nothing.

    Raises RecipeError: a verifier cannot be loaded, or what the overrides change cannot be judged from saved responses.
    """
    correctness = any(text.startswith(("verifier", "train.on_timeout")) for text in overrides)
    if recipe.critic is not None and (correctness or recipe.critic != saved.critic):
        raise RecipeError(
            "a critic's run can only be replayed with its own rewards: leave out verifier, train.on_timeout and"
            " critic. A critic's reward also depends on refinements, which the samples hold only in part"
        )
    changed = [name for name, spec in recipe.reward.items() if _differs(name, recipe, saved)]
    for name in changed:
        if recipe.reward[name].function is not None:
            raise RecipeError(
                f"reward.{name}.function: a new reward function cannot be replayed, because the samples lack the"
                " problems that it needs; write the run's own function, or a verifier"
            )
        if recipe.reward[name].critic is not None:
            raise RecipeError(
                f"reward.{name}.critic: what another critic would say is not in the samples; write the run's own"
            )
    names = [*([CORRECTNESS] if correctness else []), *changed]
    if not names:
        return {}
    parts = {part.name: part.verifier for part in make_reward_parts(recipe, make_verifier(recipe))}
    return {name: verifier for name in names if (verifier := parts[name]) is not None}


def judge_again(rows: Sequence[Row], verifiers: Mapping[str, Verifier], on_timeout: str) -> int:
    """Writes new verdicts and scores into the rows. Returns how many verdicts of correctness changed. An episode whose
    partner failed has nothing to judge, as in `rewards.scoring.verify_episodes`.

    Raises RecipeError: a verifier returns another number of verdicts than there are rows, or a reference is too long to
    be in the samples.
    """
    changed = 0
    played = [row for row in rows if not _is_unplayed(row)]
    if verifiers and any(isinstance(row["reference"], dict) and set(row["reference"]) == {LEFT_OUT} for row in played):
        raise RecipeError(
            f"the samples hold references of more than {LONGEST_REFERENCE:,} characters by their size alone, so their"
            " responses cannot be judged again from them: leave out verifier and train.on_timeout, or judge the"
            " responses with `reasonrl verify`"
        )
    for row in rows:
        for name in verifiers if _is_unplayed(row) else ():
            row["verdicts"][name] = dict(row["verdicts"][CORRECTNESS])
            row["reward_parts"][name] = None
    for name, verifier in verifiers.items():
        verdicts = verifier.verify([row["response"] for row in played], [row["reference"] for row in played])
        if len(verdicts) != len(played):
            raise RecipeError(
                f"reward.{name}: the verifier returned {len(verdicts)} verdicts for {len(played)} responses; it must"
                " return one for each"
            )
        for row, raw_verdict in zip(played, verdicts, strict=True):
            verdict = apply_timeout_policy(raw_verdict, on_timeout)
            if name == CORRECTNESS:
                changed += row["verdicts"][name]["correct"] is not verdict.correct
            row["verdicts"][name] = verdict.to_dict()
            row["reward_parts"][name] = verdict.score
    return changed


def _is_unplayed(row: Row) -> bool:
    """Whether the environment failed in this episode, by the verdict that stands for it."""
    verdict = row["verdicts"][CORRECTNESS]
    return verdict.get("method") == "environment" and verdict.get("status") == Status.ERROR.value


def _differs(name: str, recipe: Recipe, saved: Recipe) -> bool:
    """Whether a part other than correctness has another verifier, function or critic than in the run, or is new."""
    if name == CORRECTNESS:
        return False
    now, then = recipe.reward[name], saved.reward.get(name)
    return then is None or (now.verifier, now.function, now.critic) != (then.verifier, then.function, then.critic)
