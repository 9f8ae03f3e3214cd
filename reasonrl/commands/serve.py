"""`reasonrl serve` and `reasonrl refine`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import typer

from critics.strategies import load_strategy
from critics.strategies.base import StoppedBy
from reasonrl.commands.critic import critique_format
from reasonrl.commands.evaluated_recipe import critic_recipe, recipe_of_critic_run, resolve_links
from reasonrl.commands.output import emit
from reasonrl.engines.base import Sampling
from reasonrl.errors import ModelError, UsageError
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.setup.run_models import model_for_role
from verifiers.loading import load_verifier
from verifiers.types import Problem, Verifier

_VERIFY_CODE_S = 60.0
"""Of all tests of one request. A client may send many, each just within its own limit."""


@dataclass(frozen=True)
class ServedModels:
    """Which models, and how they are sampled where a request does not say. None: as the critic's run."""

    critic: str
    critic_run: str | None = None
    """The run that trained a critic which is at an address."""
    actor: str | None = None
    critic_name: str | None = None
    actor_name: str | None = None
    format_name: str | None = None
    format_options: dict[str, Any] | None = None
    temperature: float = 0.7
    critic_temperature: float = 0.0
    max_new_tokens: int | None = None
    critic_max_new_tokens: int | None = None
    engine: str | None = None
    """hf or vllm, of the models that are loaded here. None: as the critic's run sampled."""
    offline: bool = False
    most_requests: int = 256
    remote_names: tuple[str | None, str | None] = (None, None)
    """Of the critic and of the actor, on the servers that their addresses name."""


@dataclass(frozen=True)
class Rewards:
    """How requests of trainers for a reward are answered: `RewardOptions` of the server, as users write them."""

    tokenizer: str | None = None
    template: Path | None = None
    critiques: int = 1
    unread: float | None = None
    boxed_name: str | None = None


def reward_template(rewards: Rewards, models: ServedModels) -> Any:
    """The template of the user's file, read before any model is loaded; None without one. Raises UsageError."""
    from reasonrl.serving.rendered import BadTemplate, TextTemplate

    if rewards.critiques > 1 and models.critic_temperature == 0:
        raise UsageError("--reward-critiques: greedy critiques are all the same; write --critic-temperature 0.7 too")
    if rewards.template is None:
        return None
    try:
        return TextTemplate.parse(rewards.template.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadTemplate) as error:
        raise UsageError(f"--reward-template {rewards.template}: {error}") from error


def reward_options(rewards: Rewards, models: ServedModels, critic: Any, text_template: Any) -> Any:
    """Raises UsageError, ModelError."""
    from reasonrl.models.loading import load_tokenizer_and_config
    from reasonrl.serving.rendered import BadTemplate, ChatTemplate
    from reasonrl.serving.rewards import RewardOptions

    tokenizer, chat_template = getattr(critic, "tokenizer", None), None
    if rewards.tokenizer is not None:
        tokenizer, _ = load_tokenizer_and_config(rewards.tokenizer, offline=models.offline)
    try:
        chat_template = None if tokenizer is None else ChatTemplate.of_tokenizer(tokenizer)
    except BadTemplate as error:  # without the option, only requests that need the template are refused
        if rewards.tokenizer is not None:
            raise UsageError(f"--reward-tokenizer: {error}") from error
    _, weights = critic_recipe(models.critic, offline=models.offline)
    names = {models.critic, weights, *filter(None, [rewards.tokenizer])}
    names |= {str(Path(name).resolve()) for name in names if Path(name).is_dir()}
    return RewardOptions(
        chat_template, text_template, frozenset(names), rewards.critiques, rewards.unread, rewards.boxed_name
    )


def load_cast(models: ServedModels) -> Any:
    """The models, loaded. Raises UsageError, ModelError, RecipeError."""
    from reasonrl.serving.answers import VerifierReader
    from reasonrl.serving.loading import is_address, load_voice, public_name
    from reasonrl.serving.play import Cast

    recipe, weights = critic_recipe(models.critic, offline=models.offline)
    if models.critic_run is not None:
        if not is_address(models.critic):
            raise UsageError(
                f"--critic-run is of a critic at an address; {models.critic} is none. Leave one of them out"
            )
        recipe = recipe_of_critic_run(Path(models.critic_run))
    options = dict(models.format_options or {})
    if recipe.critic is None and models.format_name is None:
        # Nobody says that this model was trained as a critic: no prompt is the one that it knows.
        options.setdefault("random_delimiters", True)
        if is_address(models.critic):
            typer.echo(
                f"note: {models.critic} is asked as a general model. If reasonrl trained it, name its run with"
                " --critic-run: it is then asked as it was trained",
                err=True,
            )
    form = critique_format(recipe, models.format_name, options)
    actor = models.actor or _actor_of(recipe, models.critic_run or models.critic) or models.critic
    actor_weights = weights if actor == models.critic else model_for_role("actor", actor)
    names = [models.critic_name or public_name(models.critic), models.actor_name or public_name(actor)]
    if names[0] == names[1]:
        names[0] = f"{names[0]}-critic"
    load = partial(load_voice, recipe, engine=_engine(models, recipe), offline=models.offline)
    critic_voice = load(weights, names[0], served_name=models.remote_names[0])
    if actor_weights == weights:
        actor_voice = replace(critic_voice, name=names[1])  # type: ignore[type-var]
    else:
        actor_voice = load(actor_weights, names[1], served_name=models.remote_names[1])
    limit = models.max_new_tokens or _actor_limit(recipe)
    critic_limit = models.critic_max_new_tokens or (recipe.rollout.max_new_tokens if recipe.critic else 2048)
    return Cast(
        actor=actor_voice,
        critic=critic_voice,
        format=form,
        reader=VerifierReader(*_answer_verifier(recipe)),
        actor_sampling=Sampling(limit, models.temperature, stop=tuple(recipe.rollout.stop)),
        critic_sampling=Sampling(critic_limit, models.critic_temperature, stop=tuple(recipe.rollout.stop)),
    )


def keys_of(path: Path | None) -> list[str]:
    """The keys in a file, one in each line, and that of REASONRL_API_KEY. Raises UsageError."""
    keys = list(filter(None, [os.environ.get("REASONRL_API_KEY", "").strip()]))
    if path is None:
        return keys
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--api-key-file {path}: {error}") from error
    written = [line.strip() for line in lines if line.strip()]
    if not written:
        raise UsageError(f"--api-key-file {path}: it holds no key; write one in each line")
    return [*keys, *written]


def serve_command(
    models: ServedModels,
    *,
    host: str,
    port: int,
    api_keys: Sequence[str],
    verify: Sequence[str],
    lean: str = "",
    rewards: Rewards,
    hosts: Sequence[str] = (),
    grace_s: int,
) -> None:
    """Serves until SIGTERM or Ctrl-C. `lean`: the folder of a Lean project or the address of a Kimina server."""
    _need_serve_extra()
    is_local = host in ("127.0.0.1", "localhost", "::1")
    if not is_local and not api_keys:
        raise UsageError(
            f"--host {host}: other machines could ask without a key. Set REASONRL_API_KEY (or --api-key-file),"
            " or listen on 127.0.0.1"
        )
    if unknown := [kind for kind in verify if kind not in ("math", "code", "lean")]:
        raise UsageError(f"--verify {unknown[0]}: write math, code or lean")
    if lean and "lean" not in verify:
        raise UsageError(f"--lean {lean} is for --verify lean; write that, too")
    from reasonrl.serving.admission import Admission
    from reasonrl.serving.app import create_app
    from reasonrl.serving.guard import LOCAL_HOSTS, Guard
    from reasonrl.serving.metrics import ServerMetrics
    from reasonrl.serving.run import run_server
    from reasonrl.serving.service import Service

    template = reward_template(rewards, models)
    where = {"url" if lean.startswith(("http://", "https://")) else "project": lean} if lean else {}
    options: dict[str, dict[str, Any]] = {
        "math": {"mode": "lenient"},
        "lean": {"mode": "lenient", **where},
        "code": {"total_s": _VERIFY_CODE_S},
    }
    verifiers: dict[str, Verifier] = {kind: load_verifier(kind, **options.get(kind, {})) for kind in verify}
    cast = load_cast(models)
    service = Service(cast, verifiers, reward_options(rewards, models, cast.critic, template))
    admission = Admission(most=models.most_requests, most_of_one=max(1, models.most_requests // 2))
    app = create_app(service, admission, ServerMetrics())
    guarded = Guard(app, keys=api_keys, hosts=LOCAL_HOSTS.union(hosts) if is_local else None)
    shown = ", ".join(service.targets)
    typer.echo(f"models: {shown}", err=True)
    address = shown_address(host, port)
    typer.echo(f"{address}/  (page),  {address}/v1  (OpenAI clients)", err=True)
    run_server(guarded, admission, host=host, port=port, grace_s=grace_s)


def shown_address(host: str, port: int) -> str:
    """Without a slash at the end. A host of IPv6 stands in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def refine_command(
    models: ServedModels,
    problem: str,
    *,
    strategy: str,
    options: dict[str, Any],
    budget_tokens: int | None,
    deadline_s: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """One problem, without a server."""
    from reasonrl.engines.served import ServedFailure
    from reasonrl.serving.play import BudgetSpent, ModelPlay, play
    from reasonrl.serving.trace import play_trace
    from reasonrl.serving.voices import BadPrompt

    try:
        chosen = load_strategy(strategy.replace("-", "_"), **options)
    except (ValueError, TypeError) as error:
        raise UsageError(f"--strategy: {error}") from error
    cast = load_cast(models)

    async def run() -> tuple[ModelPlay, StoppedBy]:
        task = Problem("problem", [{"role": "user", "content": problem}], "math", {}, "command")
        tell = lambda line: typer.echo(line, err=True)  # noqa: E731
        game = ModelPlay(cast, task, seed, budget_tokens, tell)
        try:
            return game, await play(chosen, game, deadline_s=deadline_s)
        finally:
            for voice in {id(v): v for v in (cast.actor, cast.critic)}.values():
                await voice.close()

    try:
        game, stopped_by = asyncio.run(run())
    except BudgetSpent as error:
        raise UsageError("--budget-tokens does not allow one draft; write more") from error
    except TimeoutError as error:
        raise UsageError("--deadline came before there was a draft; write more") from error
    except BadPrompt as error:
        raise UsageError(f"the actor cannot be given this problem: {error}") from error
    except ServedFailure as error:
        raise ModelError(f"the actor did not answer: {error}") from error
    best = game.best
    assert best is not None
    value = {
        "text": best.text,
        "answer": best.answer,
        "draft": best.name,
        "stopped_by": stopped_by,
        "seed": seed,
        "usage": game.usage.to_json(shown=best.tokens),
        "trace": play_trace(game, chosen, stopped_by, deadline_s=deadline_s),
    }
    spent = ", ".join(f"{name} {role.completion_tokens:,}" for name, role in sorted(game.usage.roles.items()))
    emit(as_json, value, f"{best.text}\n\n{stopped_by}; {best.name}; tokens: {spent}")


def _need_serve_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError("reasonrl serve needs the extra `serve`: pip install 'reasonrl[serve]'") from error


def _engine(models: ServedModels, recipe: Recipe) -> str:
    """Raises UsageError."""
    if models.engine not in (None, "hf", "vllm"):
        raise UsageError(f"--engine {models.engine}: write hf or vllm. A model behind another server has none")
    return models.engine or recipe.rollout.engine


def _actor_of(recipe: Recipe, critic: str) -> str | None:
    """The actor that the critic's run refined with."""
    run = Path(critic)
    if recipe.critic is None or not (run / "recipe.yaml").is_file():
        return None
    linked = resolve_links(recipe, run)
    model = (
        linked.critic.refine.actor.model if linked.critic is not None and linked.critic.refine.refinements else "same"
    )
    return None if model == "same" else model


def _actor_limit(recipe: Recipe) -> int:
    """New tokens of a solution: the actor's of the run, else 1,024."""
    if recipe.critic is not None and recipe.critic.refine.refinements:
        return recipe.critic.refine.actor.max_new_tokens
    return 1024


def _answer_verifier(recipe: Recipe) -> tuple[Verifier, dict[str, Any]]:
    """Answers vote as the critic's run compared them; math, leniently, where there is no such run. With its options."""
    if recipe.critic is not None and recipe.verifier.name == "math":
        return make_verifier(recipe), recipe.verifier.options
    return load_verifier("math", mode="lenient"), {"mode": "lenient"}
