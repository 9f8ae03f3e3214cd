"""`--dry-run`: check every stage without its weights, show the model's input, and estimate memory and time."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reasonrl.environments.refined import require_answers
from reasonrl.environments.single_turn import render_prompt_text
from reasonrl.errors import DataNotHere, ModelNotHere, RecipeError, TrainingError
from reasonrl.models.architecture import refuse_scaled_logits, refuse_stateful
from reasonrl.models.cache_size import row_gib
from reasonrl.models.devices import choose_device, computed_dtype, dtype_warning
from reasonrl.models.loading import check_model_files, load_tokenizer_and_config
from reasonrl.models.lora import check_targets_of_config, refuse_tied_targets
from reasonrl.models.sizes import count_parameters, parameters_by_name
from reasonrl.plan.checks import response_view, reward_warnings, shown_target, taught_thought_warning, without_links
from reasonrl.plan.collect_probe import check_collecting, probe_collecting
from reasonrl.plan.estimate import estimate_memory_gb, estimate_minutes, measure_speed
from reasonrl.plan.method_probe import probe_methods
from reasonrl.plan.probe import probe_environment, probe_rewards
from reasonrl.plan.prompt_view import view_prompt
from reasonrl.plan.resume import check_resume
from reasonrl.plan.stage_plan import Plan, StagePlan
from reasonrl.recipe.links import check_links
from reasonrl.recipe.reading import LoadedRecipe
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_offline_verifier, make_reward_parts, make_verifier
from reasonrl.setup.data import RunData, load_data, recipe_for_data
from reasonrl.setup.environments import environment_maker
from reasonrl.setup.lengths import check_cache, check_lengths
from reasonrl.setup.prompt_checks import known_end_ids, template_warnings
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from reasonrl.setup.reviewers import check_formats
from reasonrl.setup.roles import check_refining, check_role_models
from reasonrl.setup.run_models import runs_elsewhere, weights_of
from reasonrl.setup.starts import check_start
from reasonrl.stages import stage_kind
from reasonrl.stages.base import Workload
from reasonrl.stages.run import check_engines, check_options
from verifiers.types import Verifier

SHOWN = 2
"""Problems whose prompts are shown."""
ASSUMED_PROMPT = 1024
"""Tokens of the longest prompt, where the data or the tokenizer are not available."""

BackendPlan = Callable[[Recipe, str, int, int, int], list[str]]
"""(stage, its model, tokens of the longest prompt, parameters, training problems or 0 where they are not here) -> the
plan of another backend. Raises RecipeError for what it cannot do.
"""


def preflight(
    loaded: LoadedRecipe,
    *,
    offline: bool = False,
    backends: Mapping[str, BackendPlan] | None = None,
    resumed: Path | None = None,
    allow_changes: bool = False,
) -> Plan:
    """Check every stage of a recipe without its weights. `backends` plan stages that run elsewhere, by name.

    With `resumed`, the folder of a run, look also for what resuming it would refuse. `allow_changes` as in `train`.

    Raises:
        ReasonRLError: something would stop the run. Offline, missing models and data are only listed.
    """
    # offline, a vLLM that is not installed is listed with what else is not here
    check_engines([recipe for recipe in loaded.stages if not (offline and recipe.rollout.engine == "vllm")])
    check_links(loaded.stages)
    check_options(resume=resumed is not None, allow_changes=allow_changes)
    resume = [] if resumed is None else check_resume(loaded, resumed, offline=offline, allow_changes=allow_changes)
    plans = []
    for recipe in loaded.stages:
        unchecked = check_start(recipe, loaded.stages, offline=offline)
        try:
            plans.append(plan_stage(recipe, offline=offline, backends=backends or {}))
        except TrainingError as error:  # user code that was called on the way; nothing is trained yet
            raise RecipeError(str(error)) from error
        plans[-1].not_checked.extend(unchecked)
    return Plan(loaded.name, plans, resume)


def cache_gb(recipe: Recipe, config: Any, longest_prompt: int, workload: Workload) -> float:
    """What keys and values take in the engine `hf` on a CPU, in GB, if responses are as long as allowed."""
    if config is None or recipe.rollout.engine != "hf" or runs_elsewhere(recipe):
        return 0.0
    tokens = (longest_prompt or ASSUMED_PROMPT) + recipe.rollout.response_limit
    row = row_gib(config, computed_dtype(recipe.model.dtype, choose_device(recipe.device)), tokens)
    rows = min(workload.rollouts_per_step, recipe.rollout.rows_per_batch)
    limit = recipe.rollout.cache_gib
    return (row * rows if limit is None else min(row * rows, limit)) * 2**30 / 1e9


def plan_stage(recipe: Recipe, *, offline: bool, backends: Mapping[str, BackendPlan]) -> StagePlan:
    kind = stage_kind(recipe.kind)
    tokenizer, config, missing = load_tokenizer(recipe, offline=offline)
    missing_roles = check_role_models(recipe, kind.roles(recipe), offline=offline)
    check_formats(recipe)
    data_recipe = recipe_for_data(recipe)
    answer_verifier, unasked = make_offline_verifier(recipe) if offline else (make_verifier(recipe), [])
    parts = make_reward_parts(data_recipe, answer_verifier)
    verifier = parts[0].verifier
    assert verifier is not None
    probe_environment(recipe, tokenizer, environment_maker(recipe, tokenizer))
    check_collecting(recipe)
    probe_methods(recipe, parts)
    present, later = without_links(data_recipe)
    data, missing_data = load_present_data(present, verifier, offline=offline)
    if data.train:
        kind.check(recipe, data)
    longest = check_lengths(recipe, tokenizer, config, data.problems) if data.problems and config is not None else 0
    if not data.problems and config is not None and not runs_elsewhere(recipe) and recipe.rollout.engine == "hf":
        check_cache(recipe, config, 0)
    unused: list[str] = []
    if data.problems and config is not None:
        unused = check_prompt_tokens(weights_of(recipe.model.path), tokenizer, config, data.problems)
    parameters = count_parameters(config) if config is not None else parameters_by_name(recipe.model.path)
    workload = kind.workload(recipe, data)
    backend: list[str] = []
    if runs_elsewhere(recipe):
        plan_backend = backends[recipe.backend]
        backend = plan_backend(
            recipe, weights_of(recipe.model.path), longest or ASSUMED_PROMPT, parameters, len(data.train)
        )
    minutes = 0.0
    slow = None if runs_elsewhere(recipe) else dtype_warning(recipe.model.dtype, choose_device(recipe.device))
    warnings = [*recipe.warnings(), *filter(None, [slow]), *data.warnings, *unused]
    if tokenizer is not None:
        end_ids = known_end_ids(weights_of(recipe.model.path), tokenizer, config)
        check_refining(recipe, tokenizer)
        refining = recipe.critique_grpo
        if refining is not None and refining.with_answer and refining.critic is None:
            require_answers(data.train)
        warnings += template_warnings(recipe, tokenizer, end_ids, data.problems)
        speed = measure_speed(recipe, parameters, data.train, tokenizer)
        minutes = estimate_minutes(recipe, workload, speed, data.evaluated)
        try:
            warnings += reward_warnings(parts, data.train, tokenizer)
        except TrainingError as error:  # a verifier of the user's own; nothing is trained yet
            raise RecipeError(str(error)) from error
        if recipe.kind == "sft" and data.train:
            target = kind.target(recipe, verifier, data.train[0])
            warnings += filter(None, [taught_thought_warning(tokenizer, data.train[0], target)])
    probe = probe_rewards(recipe, parts, verifier, data.train, tokenizer)
    untried = [*probe.untried, *probe_collecting(recipe, verifier, data.train)]
    shown = data.train[:SHOWN] if tokenizer is not None else []
    return StagePlan(
        name=recipe.name,
        kind=recipe.kind,
        train_problems=len(data.train),
        heldout_problems={name: len(problems) for name, problems in data.heldout.items()},
        longest_prompt_tokens=longest,
        first_prompts=[render_prompt_text(tokenizer, problem) for problem in shown],
        first_prompt_tokens=[view_prompt(tokenizer, problem) for problem in shown],
        gold_responses=[shown_target(kind, recipe, verifier, problem) for problem in shown],
        gold_label=kind.target_label,
        response_text=response_view(tokenizer, data.train) if tokenizer is not None else "",
        data_checks={name: str(report) for name, report in data.reports.items()} | later,
        steps=workload.steps,
        prompts_per_step=workload.prompts_per_step,
        rollouts_per_step=workload.rollouts_per_step,
        optimizer_updates=workload.optimizer_updates,
        most_tokens_sampled_per_step=workload.sampled_tokens_per_step,
        work=kind.describe(recipe, workload) | checkpoint_line(recipe, workload),
        trainable_parameters=parameters,
        memory_gb=estimate_memory_gb(recipe, kind, parameters, cache_gb(recipe, config, longest, workload)),
        minutes=minutes,
        backend=backend,
        not_checked=[*missing, *missing_roles, *unasked, *missing_data, *untried],
        warnings=[*warnings, *probe.warnings],
        rewards=probe.rewards,
    )


def checkpoint_line(recipe: Recipe, workload: Workload) -> dict[str, str]:
    """When a stage that trains can be resumed from."""
    if not workload.updates_per_step:
        return {}
    every = recipe.checkpoint.every_steps
    if every is not None:
        return {"checkpoints": f"every {every} steps" if every < workload.steps else "at the end"}
    return {"checkpoints": "at the end and on Ctrl-C; a killed run starts over (checkpoint.every_steps saves earlier)"}


def load_tokenizer(recipe: Recipe, *, offline: bool) -> tuple[Any, Any, list[str]]:
    """Tokenizer and config of the model, or None and None where it is missing; and what was left unchecked.

    Raises:
        ModelNotHere: the model cannot be found; offline it is only listed.
    """
    tokenizer, config, not_checked = None, None, []
    try:
        weights = weights_of(recipe.model.path)
        tokenizer, config = load_tokenizer_and_config(weights, offline=offline)
        if not runs_elsewhere(recipe):
            choose_device(recipe.device)
        check_model_files(weights, tokenizer, config, attention=recipe.model.attention, offline=offline)
        if recipe.rollout.engine == "hf" and not runs_elsewhere(recipe):
            refuse_stateful(config)
        if recipe.kind in ("rl", "sft", "offline") and not runs_elsewhere(recipe):
            refuse_scaled_logits(config)
        if recipe.model.lora is not None:
            check_targets_of_config(config, recipe.model.lora.target_modules)
            if runs_elsewhere(recipe):
                refuse_tied_targets(config, recipe.model.lora.target_modules)
    except ModelNotHere:
        if not offline:
            raise
        size = "was guessed from its name" if parameters_by_name(recipe.model.path) else "is not in its name"
        not_checked.append(
            f"the model {recipe.model.path} is not in the local cache: its chat template and the prompt lengths"
            f" were not checked, and its size {size}"
        )
    if recipe.rollout.engine == "vllm" and not runs_elsewhere(recipe) and importlib.util.find_spec("vllm") is None:
        not_checked.append("vLLM is not installed here, so whether it runs this model was not checked")
    return tokenizer, config, not_checked


def load_present_data(recipe: Recipe, verifier: Verifier, *, offline: bool) -> tuple[RunData, list[str]]:
    """The sets that are on this machine, and what was left unchecked because it is not. Raises DataError."""
    try:
        return load_data(recipe, verifier, offline=offline), []
    except DataNotHere as error:
        if not offline:
            raise
        place = str(error).partition(":")[0]
        return RunData([], {}, {}), [f"{place} is not in the local cache: no row, prompt or gold answer was checked"]
