"""`--dry-run`: load the data, show what the model will see, check the rewards, and print the plan with its units."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reasonrl.environments.single_turn import encode_prompt, render_prompt_text
from reasonrl.errors import DataNotHere, ModelNotHere
from reasonrl.models.sizes import count_parameters, parameters_by_name
from reasonrl.recipe.links import PREFIX, check_links
from reasonrl.recipe.reading import LoadedRecipe
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.setup.data import RunData, check_lengths, load_data
from reasonrl.setup.run_models import runs_elsewhere, weights_of
from reasonrl.stages.sft import taught_response
from verifiers.types import Problem, Verifier

SHOWN = 2
ASSUMED_PROMPT = 1024
"""Tokens of the longest prompt, where the data or the tokenizer are not at hand."""
TRAINED = ("rl", "sft", "offline")
PROBES = ("", " ", "x", "12", "\\boxed{1}")
"""Responses of different shapes: a format reward that cannot tell them apart is a constant."""


@dataclass
class StagePlan:
    """What one stage will do. Every number has its unit in its name."""

    name: str
    kind: str
    train_problems: int
    heldout_problems: dict[str, int]
    longest_prompt_tokens: int
    first_prompts: list[str]
    gold_responses: list[str]
    """Of kind sft: what is taught, in the words of sft.response; of kind offline: what was said."""
    data_checks: dict[str, str]
    warnings: list[str]
    steps: int
    prompts_per_step: int
    rollouts_per_step: int
    methods: list[str]
    optimizer_updates: int
    most_tokens_sampled_per_step: int
    trainable_parameters: int
    memory_gb: float
    minutes: float
    backend: list[str] = field(default_factory=list)
    """Of a stage that another backend runs: its plan, a line each."""
    not_checked: list[str] = field(default_factory=list)
    """Offline: what is not on this machine, and what was left unchecked for that."""


@dataclass
class Plan:
    recipe: str
    stages: list[StagePlan] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        return "\n\n".join(_stage_text(stage) for stage in self.stages) + "\n\nnothing was trained (--dry-run)"


BackendPlan = Callable[[Recipe, str, int, int], list[str]]
"""(stage, its model, tokens of the longest prompt, parameters) -> the plan of another backend. Raises RecipeError for
what it cannot do.
"""


def preflight(
    loaded: LoadedRecipe, *, offline: bool = False, backends: Mapping[str, BackendPlan] | None = None
) -> Plan:
    """Check every stage of a recipe without its weights. Raises ReasonRLError for what would stop the run."""
    from reasonrl.stages.run import check_methods

    check_methods(loaded, installed=not offline)
    check_links(loaded.stages)
    return Plan(
        loaded.name, [_plan_stage(recipe, offline=offline, backends=backends or {}) for recipe in loaded.stages]
    )


def _plan_stage(recipe: Recipe, *, offline: bool, backends: Mapping[str, BackendPlan]) -> StagePlan:
    if recipe.kind == "collect":
        recipe = recipe.model_copy(update={"critic": None})
    from reasonrl.models.loading import load_tokenizer_and_config

    not_checked: list[str] = []
    tokenizer, config = None, None
    try:
        tokenizer, config = load_tokenizer_and_config(weights_of(recipe.model.path), offline=offline)
    except ModelNotHere:
        if not offline:
            raise
        unknown = "its chat template and the lengths of prompts were not checked, its size is taken from its name"
        not_checked.append(f"the model {recipe.model.path} is not in the local cache: {unknown}")
    if recipe.rollout.engine == "vllm" and not runs_elsewhere(recipe) and importlib.util.find_spec("vllm") is None:
        not_checked.append("vLLM is not installed here, so whether it runs this model was not checked")
    parts = make_reward_parts(recipe, make_verifier(recipe))
    verifier = parts[0].verifier
    assert verifier is not None
    present, later = without_links(recipe)
    data = RunData([], {}, {})
    try:
        data = load_data(present, verifier, offline=offline)
    except DataNotHere as error:
        if not offline:
            raise
        not_checked.append(
            f"{str(error).partition(':')[0]} is not in the local cache: no row, prompt or gold answer was checked"
        )
    everything = [*data.train, *(p for rows in data.heldout.values() for p in rows)]
    longest = check_lengths(recipe, tokenizer, config, everything) if everything and config is not None else 0
    rl = recipe.kind == "rl"
    prompts = {"rl": recipe.train.prompts_per_step, "offline": recipe.offline.rows_per_step}.get(
        recipe.kind, recipe.sft.rows_per_step
    )
    rollouts = prompts * recipe.rollout.rollouts_per_prompt if rl else 0
    if recipe.kind == "collect":
        prompts, rollouts = len(everything), len(everything) * recipe.collect.samples_per_problem
    if recipe.kind == "game":
        prompts, rollouts = recipe.game.solutions or len(everything), 2 * recipe.game.completions
    parameters = count_parameters(config) if config is not None else parameters_by_name(recipe.model.path)
    elsewhere = runs_elsewhere(recipe)
    backend = (
        backends[recipe.backend](recipe, weights_of(recipe.model.path), longest or ASSUMED_PROMPT, parameters)
        if elsewhere
        else []
    )
    shown = data.train[:SHOWN] if tokenizer is not None else []
    known = config is not None
    return StagePlan(
        backend=backend,
        not_checked=not_checked,
        name=recipe.name,
        kind=recipe.kind,
        train_problems=len(data.train),
        heldout_problems={name: len(rows) for name, rows in data.heldout.items()},
        longest_prompt_tokens=longest,
        first_prompts=[render_prompt_text(tokenizer, problem) for problem in shown],
        gold_responses=[_gold(recipe, verifier, problem) for problem in shown],
        data_checks={name: str(report) for name, report in data.reports.items()} | later,
        warnings=[
            *recipe.warnings(),
            *(w for part in parts[1:] if known and (w := constant_warning(part, data.train, tokenizer))),
        ],
        steps=recipe.total_steps,
        prompts_per_step=prompts,
        rollouts_per_step=rollouts,
        methods=methods_of(recipe) if rl else [],
        optimizer_updates=recipe.total_steps
        * (recipe.train.updates_per_step * recipe.train.epochs_per_step if rl else 1),
        most_tokens_sampled_per_step=rollouts * recipe.rollout.max_new_tokens,
        trainable_parameters=parameters,
        memory_gb=estimate_memory_gb(recipe, parameters),
        minutes=(
            estimate_minutes(recipe, parameters, data.train, {n: len(r) for n, r in data.heldout.items()}, tokenizer)
            if known
            else 0.0
        ),
    )


def _gold(recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
    if recipe.kind == "offline":
        return str(problem.reference["response"])
    return (
        taught_response(recipe.sft.response, verifier, problem)
        if recipe.kind == "sft"
        else verifier.gold_response(problem.reference)
    )


def without_links(recipe: Recipe) -> tuple[Recipe, dict[str, str]]:
    """The recipe without the sets that an earlier stage will collect, and what to say of them."""
    later: dict[str, str] = {}
    train = [source for source in recipe.data.train_sources if not source.source.startswith(PREFIX)]
    links = [source.source for source in recipe.data.train_sources if source.source.startswith(PREFIX)]
    if links:
        later["train"] = f"comes from {', '.join(links)}, and is checked when that has run"
    replay = [source for source in recipe.data.replay_sources if not source.source.startswith(PREFIX)]
    if links := [source.source for source in recipe.data.replay_sources if source.source.startswith(PREFIX)]:
        later["replay"] = f"comes from {', '.join(links)}"
    heldout = {}
    for name, source in recipe.data.heldout.items():
        if source.source.startswith(PREFIX):
            later[name] = f"comes from {source.source}"
        else:
            heldout[name] = source
    return (
        recipe.model_copy(
            update={"data": recipe.data.model_copy(update={"train": train, "replay": replay, "heldout": heldout})}
        ),
        later,
    )


def methods_of(recipe: Recipe) -> list[str]:
    """What is switched on, in words, with its numbers."""
    train, found = (
        recipe.train,
        [f"advantage {recipe.train.advantage}", f"loss {recipe.train.loss}, {recipe.loss_aggregation}"],
    )
    if recipe.curriculum.name == "pcl":
        candidates = recipe.curriculum.candidates_per_prompt * train.prompts_per_step
        found.append(
            f"curriculum pcl: {candidates} candidates a step, those nearest to {recipe.curriculum.target_rate:g} are"
            " taken"
        )
    elif recipe.curriculum.name != "uniform":
        found.append(f"curriculum {recipe.curriculum.name}")
    if recipe.budget.name == "knapsack":
        found.append(
            f"budget knapsack: {recipe.budget.low} to {recipe.budget.high} rollouts a prompt, rates from"
            f" {recipe.rate_source}"
        )
    if train.credit != "none":
        found.append(f"credit {train.credit}")
    if train.unlikeliness is not None:
        found.append(f"unlikeliness {train.unlikeliness.beta:g}")
    if train.refill.enabled:
        found.append(f"refill: up to {train.refill.max_rounds} more rounds of prompts")
    elif train.drop_silent_groups:
        found.append("silent groups are dropped")
    return found


def constant_warning(part: RewardPart, problems: list[Problem], tokenizer: Any) -> str | None:
    """A format part that gives every response the same score, by itself or because the prompt already holds what it
    looks for.
    """
    if part.verifier is None:
        return None
    problem = problems[0]
    try:
        gold = part.verifier.gold_response(problem.reference)
    except ValueError:
        gold = None
    probes = [*PROBES, *([gold] if gold is not None else [])]
    scores = {v.score for v in part.verifier.verify(probes, [problem.reference] * len(probes))}
    if len(scores) > 1:
        if gold is not None and part.verifier.verify([gold], [problem.reference])[0].score != 1.0:
            return f"reward.{part.name}: even its own gold response does not score 1"
        return None if gold is None else _prefill_warning(part, problem, gold, tokenizer)
    return f"reward.{part.name}: gives the same score to every response that was tried, so it teaches nothing"


def _prefill_warning(part: RewardPart, problem: Problem, gold: str, tokenizer: Any) -> str | None:
    """A chat template that opens <think> itself leaves nothing for the model to open: the format reward would
    stay 0.
    """
    assert part.verifier is not None
    tail = tokenizer.decode(encode_prompt(tokenizer, problem))[-40:].rstrip()
    for marker in ("<think>", "<answer>", "\\boxed{"):
        if tail.endswith(marker) and gold.lstrip().startswith(marker):
            rest = gold.lstrip().removeprefix(marker)
            if part.verifier.verify([rest], [problem.reference])[0].score != 1.0:
                return (
                    f"reward.{part.name}: the prompt already ends in {marker}, so a response that goes on from there"
                    " scores 0 and the part is constant. Leave the marker out of the pattern"
                )
    return None


def estimate_memory_gb(recipe: Recipe, parameters: int) -> float:
    """Weights, gradients and moments (16 bytes a weight in either dtype), a reference, one micro-batch, vLLM's copy and
    cache; libraries take 0.5 GB.
    """
    width = 2 if recipe.model.dtype == "bfloat16" else 4
    model = parameters * (1.1 * width if recipe.model.lora is not None else 16 if recipe.kind in TRAINED else width)
    reference = parameters * width if recipe.train.kl.coefficient > 0 and recipe.model.lora is None else 0
    activations = recipe.train.positions_per_micro_batch * 900e3 * (parameters / 135e6) ** 0.5
    copy = parameters * width + recipe.rollout.vllm.kv_cache_gib * 2**30 if recipe.rollout.engine == "vllm" else 0
    return (model + reference + activations + copy + 0.5e9) / 1e9


def estimate_minutes(
    recipe: Recipe, parameters: int, train: list[Problem], heldout: dict[str, int], tokenizer: Any
) -> float:
    """A rough guess (within a factor of two or so) from a matrix product timed on this machine."""
    import time

    import torch

    from reasonrl.models.loading import DTYPES, choose_device

    device, dtype = choose_device(recipe.device), DTYPES[recipe.model.dtype]
    a = torch.randn(512, 1024, device=device, dtype=dtype)
    b = torch.randn(1024, 1024, device=device, dtype=dtype)
    (a @ b).sum().item()
    started = time.perf_counter()
    for _ in range(20):
        c = a @ b
    c.sum().item()
    rate = (
        0.5 * 20 * 2 * 512 * 1024 * 1024 / (time.perf_counter() - started)
    )  # layers reach about half of a plain product
    prompt = sum(len(encode_prompt(tokenizer, p)) for p in train[:20]) / max(1, len(train[:20]))
    new = recipe.rollout.max_new_tokens * 0.6
    per_token = 2 * parameters
    if recipe.kind == "sft":
        step = 3 * per_token * recipe.sft.rows_per_step * (prompt + new) / rate
    else:
        prompts, rows = (
            recipe.train.prompts_per_step,
            recipe.train.prompts_per_step * recipe.rollout.rollouts_per_prompt,
        )
        floor = (
            new * 0.03 * (rows / recipe.rollout.rows_per_batch + 1)
        )  # a decoding step costs its launches even for few rows
        sampled = per_token * (prompts * prompt + rows * new) / rate + floor
        trained = 3 * 0.6 * per_token * (prompts * prompt + rows * new) / rate
        step = sampled + trained + parameters * 2e-9
    evaluations = (
        2 if recipe.evaluation.every_steps is None else 1 + recipe.total_steps // recipe.evaluation.every_steps
    )
    answers = sum(heldout.values()) * (recipe.evaluation.samples_per_problem + int(recipe.evaluation.greedy))
    evaluation = evaluations * (per_token * answers * (prompt / 4 + new) / rate)
    return (recipe.total_steps * step + evaluation) / 60


def _stage_text(plan: StagePlan) -> str:
    warnings = [f"  not checked     {text}" for text in plan.not_checked] + [
        f"  WARNING         {text}" for text in plan.warnings
    ]
    heldout = ", ".join(f"{name} ({count})" for name, count in plan.heldout_problems.items()) or "none"
    lines = [
        f"stage {plan.name} ({plan.kind})",
        (
            f"  problems        {plan.train_problems:,} to train on; held out: {heldout}; longest prompt"
            f" {plan.longest_prompt_tokens} tokens"
            if plan.train_problems
            else "  problems        not here yet"
        ),
    ]
    lines += [f"  check {name:<9} {text}" for name, text in plan.data_checks.items()]
    label = {"sft": "is taught", "offline": "was said"}.get(plan.kind, "gold response")
    for prompt, gold in zip(plan.first_prompts, plan.gold_responses, strict=True):
        lines += ["  prompt          " + prompt.replace("\n", "\n                  "), f"  {label:<15} {gold!r}"]
    if plan.kind == "rl":
        lines.append(
            f"  each step       {plan.prompts_per_step} prompts, {plan.rollouts_per_step} rollouts, at most "
            f"{plan.most_tokens_sampled_per_step:,} sampled tokens"
        )
        lines.append("  methods         " + "; ".join(plan.methods))
    elif plan.kind == "collect":
        lines.append(f"  collects        {plan.rollouts_per_step:,} solutions of {plan.prompts_per_step:,} problems")
    elif plan.kind == "game":
        solutions = f"{plan.prompts_per_step:,} right solutions" if plan.prompts_per_step else "all right solutions"
        lines.append(
            f"  plays           on {solutions}, {plan.rollouts_per_step} completions of the solver in each game"
        )
    elif plan.kind == "offline":
        lines.append(f"  each step       {plan.prompts_per_step} rows of what was said and what it earned")
    else:
        lines.append(f"  each step       {plan.prompts_per_step} responses that are taught")
    if plan.kind in TRAINED:
        lines.append(f"  in all          {plan.steps:,} steps, {plan.optimizer_updates:,} optimiser updates")
    if plan.backend:
        return "\n".join(
            [*lines, f"  model           {plan.trainable_parameters / 1e6:,.1f} M parameters", *plan.backend, *warnings]
        )
    lines += [
        f"  model           {plan.trainable_parameters / 1e6:,.1f} M parameters",
        f"  memory          about {plan.memory_gb:.1f} GB",
    ]
    if not plan.minutes:
        return "\n".join([*lines, *warnings])
    lines += [
        (
            f"  time            about {plan.minutes:.0f} min (a rough guess from this machine's speed)"
            if plan.minutes >= 1
            else f"  time            about {plan.minutes * 60:.0f} s (a rough guess from this machine's speed)"
        ),
    ]
    return "\n".join([*lines, *warnings])
