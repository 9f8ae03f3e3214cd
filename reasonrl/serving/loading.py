"""Models of the server: loaded here, or behind another server."""

from __future__ import annotations

import re
from pathlib import PurePath

from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.serving import ServingEngine
from reasonrl.engines.served import ServedModel
from reasonrl.errors import UsageError
from reasonrl.models.architecture import most_positions
from reasonrl.models.devices import choose_device
from reasonrl.recipe.schema import Recipe
from reasonrl.serving.voices import CALLS_UNDER_WAY, LocalVoice, ServedVoice, Voice
from reasonrl.setup.models import load_language_model, make_engine

_NUMBER = re.compile(r"^\d+-(?=.)")
DEFAULT_CONTEXT = 4096
"""Where a model's configuration does not say."""
ANSWER_S = 600.0
"""How long another server may take for one answer, as OpenAI's client waits: a long critique comes in one piece."""


def is_address(model: str) -> bool:
    return model.startswith(("http://", "https://"))


def public_name(model: str) -> str:
    """The last part of a path or of a hub id; of the folder of a stage, the stage's name."""
    path = PurePath(model.rstrip("/"))
    name = path.name or "model"
    return _NUMBER.sub("", name) if path.parent.name == "stages" else name


def load_voice(
    recipe: Recipe, weights: str, name: str, *, engine: str = "hf", served_name: str | None = None, offline: bool
) -> Voice:
    """A model under a public name. `engine`: of weights that are not behind another server, as `rollout.engine`.

    Raises ModelError; UsageError for an engine that takes no requests as they arrive.
    """
    if is_address(weights):
        model = ServedModel(weights, served_name, timeout_s=ANSWER_S)
        model.check()
        return ServedVoice(name, model)
    if engine == "vllm":
        from reasonrl.engines.vllm_serving import VLLMServingEngine

        vllm = VLLMServingEngine(
            weights,
            dtype=recipe.model.dtype,
            device=choose_device(recipe.device),
            seed=recipe.seed,
            offline=offline,
            rows_per_batch=recipe.rollout.rows_per_batch,
            **recipe.rollout.vllm.model_dump(),
        )
        return LocalVoice(name, vllm.tokenizer, vllm, vllm.positions)
    language_model = load_language_model(recipe, weights, offline=offline)
    for parameter in language_model.model.parameters():
        parameter.requires_grad_(False)
    rollout = recipe.rollout.model_copy(update={"engine": engine})
    cached = make_engine(recipe.model_copy(update={"rollout": rollout}), language_model)
    if not isinstance(cached, CachedEngine):
        raise UsageError(
            f"rollout.engine: {engine}, with which the critic's run sampled, takes no requests of many clients. Write"
            " --engine hf or --engine vllm, or start a server of its own and name its address: http://HOST:PORT/v1"
        )
    context = most_positions(language_model.model.config) or DEFAULT_CONTEXT
    return LocalVoice(name, language_model.tokenizer, ServingEngine(cached, most_waiting=CALLS_UNDER_WAY), context)
