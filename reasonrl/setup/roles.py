"""Roles: the speakers of an episode besides the trained policy, and the engines that they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from reasonrl.engines.base import BatchEngine
from reasonrl.engines.served import ServedModel
from reasonrl.engines.vllm_setup import LONGEST
from reasonrl.environments.refined import Refiner
from reasonrl.environments.roles import LocalSpeaker, ServedSpeaker, Speaker
from reasonrl.errors import ModelError, ModelNotHere, RecipeError
from reasonrl.models.architecture import most_positions
from reasonrl.models.chat_template import apply_template, check_dialogue
from reasonrl.models.loading import LanguageModel, check_model_files, load_tokenizer_and_config
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.links import PREFIX
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.environments import role_sampling, rollout_sampling
from reasonrl.setup.lengths import check_lengths, fitting_problems
from reasonrl.setup.models import load_language_model, make_engine
from reasonrl.setup.run_models import model_for_role
from verifiers.types import Problem

Spoken = TypeVar("Spoken", bound=RoleSpec)


@dataclass(frozen=True)
class Roles:
    """The speakers of an episode besides the trained policy, and the engines that they need."""

    speakers: Mapping[str, Speaker] = field(default_factory=dict)
    engines: Mapping[str, BatchEngine] = field(default_factory=dict)
    """Engines of the roles with a model of their own in this process. The others use the policy's, or a server."""

    def speaker(self, role: str) -> Speaker | None:
        """None where the stage has no such role."""
        return self.speakers.get(role)


def evaluation_roles(recipe: Recipe) -> dict[str, RoleSpec]:
    """Roles that an evaluation asks: the actor, who refines solutions on critiques."""
    if recipe.critic is None or not recipe.critic.refine.refinements:
        return {}
    return {"actor": recipe.critic.refine.actor}


def training_roles(recipe: Recipe) -> dict[str, RoleSpec]:
    """Roles of a stage that trains: those of its evaluations, the critic of Critique-GRPO, critics in the reward."""
    specs = evaluation_roles(recipe) | reviewing_roles(recipe)
    if recipe.critique_grpo is not None and recipe.critique_grpo.critic is not None:
        specs["critic"] = recipe.critique_grpo.critic
    return specs


def reviewing_roles(recipe: Recipe) -> dict[str, RoleSpec]:
    """The critics in the reward, as roles called `reward.NAME`."""
    return {f"reward.{name}": part.critic for name, part in recipe.reward.items() if part.critic is not None}


def load_roles(recipe: Recipe, specs: Mapping[str, RoleSpec], policy: LanguageModel, *, offline: bool) -> Roles:
    """Speakers for `same` (the current weights of `policy`), for separate models, and for served models.

    Raises:
        ModelError: a model cannot be loaded, or its server does not answer.
        RecipeError: a model was trained to judge, and its role solves or writes.
        DataError: an actor's chat template refuses a conversation.
    """
    speakers: dict[str, Speaker] = {}
    engines: dict[str, BatchEngine] = {}
    for role, spec in specs.items():
        if spec.served:
            model = served_model(spec)
            model.check()
            speakers[role] = ServedSpeaker(role, model, role_sampling(spec))
        elif spec.model == "same":
            _check_actor(role, policy.tokenizer)
            positions = policy_positions(recipe, policy)
            speakers[role] = LocalSpeaker(role, policy.tokenizer, role_sampling(spec), positions=positions)
        else:
            language_model = load_role_model(recipe, role, spec, offline=offline)
            _check_actor(role, language_model.tokenizer)
            positions = most_positions(language_model.model.config)
            speakers[role] = LocalSpeaker(role, language_model.tokenizer, role_sampling(spec), role, positions)
            engines[role] = make_engine(recipe_of_role(recipe), language_model)
    return Roles(speakers, engines)


def policy_positions(recipe: Recipe, policy: LanguageModel) -> int | None:
    """How many tokens prompt and response of the policy may have in the engine of its rollouts."""
    limits = [most_positions(policy.model.config)]
    if recipe.rollout.engine == "vllm":
        limits.append(recipe.rollout.vllm.max_model_len or LONGEST)
    return min((limit for limit in limits if limit is not None), default=None)


def roles_without_engines(specs: Mapping[str, RoleSpec], tokenizer: Any) -> Roles:
    """Roles for a process that holds no model: served speakers, which are not contacted yet and whose names are known
    (`with_served_names`), and `same`.

    `tokenizer` is that of the policy.

    Raises:
        RecipeError: a role names a model of its own.
    """
    speakers: dict[str, Speaker] = {}
    for role, spec in specs.items():
        if spec.served:
            speakers[role] = ServedSpeaker(role, served_model(spec), role_sampling(spec))
        elif spec.model == "same":
            speakers[role] = LocalSpeaker(role, tokenizer, role_sampling(spec))
        else:
            raise RecipeError(
                f"the {role}'s model {spec.model} is not served; serve it and write its address, or write model: same"
            )
    return Roles(speakers)


def with_served_names(recipe: Recipe) -> Recipe:
    """The recipe with the names of the models that its actor and the critics in its reward have on their servers, for
    processes that do not ask there. Raises ModelError where a server does not answer, or has several models.
    """

    def named(spec: Spoken) -> Spoken:
        if not spec.served:
            return spec
        model = served_model(spec)
        model.check()
        return spec.model_copy(update={"served_name": model.name})

    parts = {
        name: part if part.critic is None else part.model_copy(update={"critic": named(part.critic)})
        for name, part in recipe.reward.items()
    }
    update: dict[str, Any] = {"reward": parts}
    if recipe.critic is not None and "actor" in evaluation_roles(recipe):
        refine = recipe.critic.refine.model_copy(update={"actor": named(recipe.critic.refine.actor)})
        update["critic"] = recipe.critic.model_copy(update={"refine": refine})
    return recipe.model_copy(update=update)


def served_model(spec: RoleSpec) -> ServedModel:
    return ServedModel(spec.model, spec.served_name, spec.timeout_s, spec.api_key_env)


def load_role_model(recipe: Recipe, role: str, spec: RoleSpec, *, offline: bool) -> LanguageModel:
    """The frozen model of a role. Raises ModelError, which begins with the role."""
    with errors_of_role(role):
        language_model = load_language_model(recipe, model_for_role(role, spec.model), offline=offline)
    for parameter in language_model.model.parameters():
        parameter.requires_grad_(False)
    return language_model


@contextmanager
def errors_of_role(role: str) -> Iterator[None]:
    """A ModelError of a role's model begins with the role, not with the key of the model that is trained."""
    try:
        yield
    except ModelError as error:
        raise type(error)(f"the model of the role {role}: {str(error).removeprefix('model.path: ')}") from error


def check_role_models(recipe: Recipe, specs: Mapping[str, RoleSpec], *, offline: bool) -> list[str]:
    """Look at the files of the models that the roles `specs` of a stage have for themselves; nothing is loaded.

    Returns the roles whose model is not in the local cache, offline. Raises ModelError, which begins with the role.
    """
    missing = []
    for role, spec in specs.items():
        if spec.served or spec.model == "same" or spec.model.startswith(PREFIX):
            continue
        name = model_for_role(role, spec.model)
        try:
            with errors_of_role(role):
                tokenizer, config = load_tokenizer_and_config(name, offline=offline)
                check_model_files(name, tokenizer, config, attention=recipe.model.attention, offline=offline)
        except ModelNotHere:
            if not offline:
                raise
            missing.append(f"the model {name} of the role {role} is not in the local cache")
    return missing


def recipe_of_role(recipe: Recipe) -> Recipe:
    """The recipe for the engine of a role: a process has one vLLM, and that holds the trained weights."""
    if recipe.rollout.engine != "vllm":
        return recipe
    return recipe.model_copy(update={"rollout": recipe.rollout.model_copy(update={"engine": "hf"})})


def make_refiner(recipe: Recipe, policy: LanguageModel, roles: Roles) -> Refiner | None:
    """Critique-GRPO's refiner, in which the policy refines its own responses; None for a recipe without the method.

    Raises:
        RecipeError: the policy's tokenizer has no chat template.
        DataError: its chat template refuses a conversation.
    """
    spec = recipe.critique_grpo
    if spec is None:
        return None
    if policy.tokenizer.chat_template is None:
        raise RecipeError(
            "critique_grpo: refining is a conversation, but the model's tokenizer has no chat template; use a chat"
            " model"
        )
    check_dialogue(policy.tokenizer, "critique_grpo")
    positions = policy_positions(recipe, policy)
    speaker = LocalSpeaker("policy", policy.tokenizer, rollout_sampling(recipe), positions=positions)
    return Refiner(speaker, spec.format.load(), roles.speaker("critic"), spec.with_answer)


def check_refining(recipe: Recipe, tokenizer: Any) -> None:
    """What a dry run can know: whether the policy's chat template takes the conversations in which it refines, and the
    questions of a game.

    Raises DataError or ModelError.
    """
    if recipe.critique_grpo is not None:
        check_dialogue(tokenizer, "critique_grpo")
    if recipe.kind == "collect" and recipe.collect.make == "responses" and recipe.collect.critic is not None:
        check_dialogue(tokenizer, "collect.critic")
    if recipe.kind == "game" and "same" in (
        recipe.game.sneaky.model,
        recipe.game.solver.model,
        recipe.game.critic.model,
    ):
        apply_template(tokenizer, [{"role": "user", "content": "?"}], "game", add_generation_prompt=True)
    for role, spec in evaluation_roles(recipe).items() if KINDS[recipe.kind].trains else ():
        if spec.model == "same":
            _check_actor(role, tokenizer)


def _check_actor(role: str, tokenizer: Any) -> None:
    """An actor refines in a conversation; the other roles are asked one question."""
    if role == "actor":
        check_dialogue(tokenizer, "critic.refine.actor")


@dataclass(frozen=True)
class LoadedCritic:
    """A critic that is only evaluated: a model in this process with its engine, or a served one without."""

    speaker: LocalSpeaker | ServedSpeaker
    engine: BatchEngine | None
    fitting: list[Problem]
    """Of the problems that may be left out, those whose prompt fits the model. A server decides that for itself."""

    @property
    def greedy_speaker(self) -> Speaker:
        return replace(self.speaker, sampling=replace(self.speaker.sampling, temperature=0.0))


def load_critic(
    recipe: Recipe, spec: RoleSpec, problems: Sequence[Problem], *, optional: Sequence[Problem] = (), offline: bool
) -> LoadedCritic:
    """A critic for `problems`, and for those of `optional` that fit it.

    Raises:
        ModelError: the model cannot be loaded, or its server does not answer.
        RecipeError: the longest prompt and its critique do not fit the model.
    """
    if spec.served:
        model = served_model(spec)
        model.check()
        return LoadedCritic(ServedSpeaker("critic", model, role_sampling(spec)), None, list(optional))
    language_model = load_language_model(recipe, spec.model, offline=offline)
    rollout = recipe.rollout.model_copy(update={"max_new_tokens": spec.max_new_tokens})
    limited = recipe.model_copy(update={"rollout": rollout})
    tokenizer, config = language_model.tokenizer, language_model.model.config
    check_lengths(limited, tokenizer, config, list(problems))
    return LoadedCritic(
        LocalSpeaker("critic", tokenizer, role_sampling(spec)),
        make_engine(recipe, language_model),
        fitting_problems(limited, tokenizer, config, optional),
    )
