"""The critics in the reward, with their formats."""

from __future__ import annotations

from pathlib import Path

from critics.formats.base import CritiqueFormat
from reasonrl.environments.reviews import Reviewer
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.errors import RecipeError
from reasonrl.recipe.links import PREFIX
from reasonrl.recipe.reading import load_recipe
from reasonrl.recipe.rewards import ReviewerSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.roles import Roles
from reasonrl.setup.run_models import weights_of


def make_reviewers(recipe: Recipe, roles: Roles) -> list[Reviewer]:
    """One for each part of the reward that names a critic; `roles` holds their speakers.

    Raises RecipeError where nothing says how a critic writes, and for a model without a chat template.
    """
    reviewers = []
    for name, part in recipe.reward.items():
        if (spec := part.critic) is None:
            continue
        speaker = roles.speaker(f"reward.{name}")
        assert speaker is not None
        form = format_of(spec, f"reward.{name}.critic")
        if isinstance(speaker, LocalSpeaker) and speaker.tokenizer.chat_template is None:
            raise RecipeError(
                f"reward.{name}.critic.model: critiques are asked for in a chat, but the tokenizer of {spec.model} has"
                " no chat template; name a chat model"
            )
        reviewers.append(Reviewer(name, speaker, form, spec.steps, spec.samples, spec.score == "progress"))
    return reviewers


def check_formats(recipe: Recipe) -> None:
    """What a dry run can know of the critics in the reward. Raises RecipeError where nothing says how one writes."""
    for name, part in recipe.reward.items():
        if part.critic is not None and not part.critic.model.startswith(PREFIX):
            format_of(part.critic, f"reward.{name}.critic")


def format_of(spec: ReviewerSpec, key: str) -> CritiqueFormat:
    """The format that the recipe names, or that of the run which trained the critic.

    Raises RecipeError where there is none, and for one that judges the last step of a solution alone.
    """
    if spec.format is not None:
        return _judging_all(spec.format.load(), spec, key)
    weights = Path(weights_of(spec.model, f"{key}.model"))
    file = weights.parent.parent / "recipe.yaml"  # of RUN/checkpoints/STEP
    critic = load_recipe(str(file)).stages[-1].critic if file.is_file() else None
    if critic is None:
        raise RecipeError(
            f"{key}.format: {spec.model} is not a run that trained a critic, so nothing says how it writes critiques;"
            " write e.g. format: boxed_index (docs/critics.md)"
        )
    return _judging_all(critic.format.load(), spec, key)


def _judging_all(form: CritiqueFormat, spec: ReviewerSpec, key: str) -> CritiqueFormat:
    if form.judges_last_step:
        raise RecipeError(
            f"{key}.format: {form.name} judges the last step of a solution alone, so {spec.model} would accept a"
            " response whose error is in an earlier one; name a critic that judges whole solutions"
        )
    return form
