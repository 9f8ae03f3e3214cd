"""Models of the server: loaded here, or behind another server."""

from __future__ import annotations

import re
from pathlib import PurePath

from reasonrl.engines.local.engine import CachedEngine
from reasonrl.engines.local.serving import ServingEngine
from reasonrl.engines.served import ServedModel
from reasonrl.errors import ModelError
from reasonrl.models.architecture import most_positions
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


def load_voice(recipe: Recipe, weights: str, name: str, *, served_name: str | None = None, offline: bool) -> Voice:
    """A model under a public name. Raises ModelError."""
    if is_address(weights):
        model = ServedModel(weights, served_name, timeout_s=ANSWER_S)
        model.check()
        return ServedVoice(name, model)
    language_model = load_language_model(recipe, weights, offline=offline)
    for parameter in language_model.model.parameters():
        parameter.requires_grad_(False)
    engine = make_engine(recipe, language_model)
    if not isinstance(engine, CachedEngine):
        raise ModelError(
            f"{weights}: requests of many clients are gathered by rollout.engine: hf on a CPU alone. Start vLLM"
            f" (vllm serve {weights}) and name its address: http://HOST:PORT/v1"
        )
    context = most_positions(language_model.model.config) or DEFAULT_CONTEXT
    return LocalVoice(name, language_model.tokenizer, ServingEngine(engine, most_waiting=CALLS_UNDER_WAY), context)
