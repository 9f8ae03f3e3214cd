"""From the name in a recipe to a model and its tokenizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reasonrl.errors import ModelError, ModelNotHere
from reasonrl.models import embedded, tiny
from reasonrl.models.progress import bars_on_terminals_only

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass
class LanguageModel:
    """A causal language model with the tokenizer that belongs to it."""

    model: Any
    tokenizer: Any
    name: str

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def eos_ids(self) -> list[int]:
        """Every token that ends a response."""
        return end_token_ids(self.tokenizer, self.model.generation_config)


def end_token_ids(tokenizer: Any, generation_config: Any) -> list[int]:
    """Every token that ends a response: the tokenizer's, and those that the generation config adds (Llama 3 and Qwen
    have several).
    """
    configured = getattr(generation_config, "eos_token_id", None)
    ids = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    return sorted({i for i in ids if i is not None})


def load_generation_config(source: str) -> Any:
    """The generation config beside a model; where there is none, what transformers makes of the model's config."""
    from transformers import AutoConfig, GenerationConfig

    try:
        return GenerationConfig.from_pretrained(source)
    except OSError:
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(source))


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one. Raises ModelError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            f"device: {name} was asked for, but torch {torch.__version__} sees no GPU. Write device: auto or"
            " device: cpu"
        )
    return device


def load_model(
    name: str,
    *,
    dtype: str = "float32",
    device: str = "auto",
    seed: int = 0,
    offline: bool = False,
    attention: str = "sdpa",
) -> LanguageModel:
    """Load an embedded model (`smollm2-135m`, `tiny-arithmetic`, `tiny-critic`), a local folder, or a Hugging Face id.

    `seed` serves models with random weights only. Raises ModelError with one message when the model cannot be found or
    read.
    """
    where = choose_device(device)
    # oneDNN keeps a compiled kernel for each shape that it has met, 1024 by default and 50 KB each; it reads this when
    # it is first used.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    if name in tiny.MODELS:
        return LanguageModel(
            tiny.build_model(seed, DTYPES[dtype], name).to(where).eval(), tiny.build_tokenizer(name), name
        )
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = model_source(name, offline=offline)
    local_only = offline or Path(source).is_dir()
    try:
        with bars_on_terminals_only():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local_only)
            model: Any = AutoModelForCausalLM.from_pretrained(
                source, dtype=DTYPES[dtype], attn_implementation=attention, local_files_only=local_only
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise _unloadable(name, error, local_only) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return LanguageModel(model.to(where).eval(), tokenizer, name)


def model_source(name: str, *, offline: bool) -> str:
    """The folder of an embedded or a local model, or the id to ask the hub for. Raises ModelError for what is
    neither.
    """
    if name == embedded.NAME:
        return str(embedded.smollm2_folder(offline=offline))
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ModelError(f"model.path: {path} is a folder without config.json, so it holds no Hugging Face model")
        return str(path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(
            f"model.path: '{name}' is neither a folder nor a Hugging Face id (org/name). Without a network use"
            f" '{embedded.NAME}'"
        )
    return name


def load_tokenizer_and_config(name: str, *, offline: bool = False) -> tuple[Any, Any]:
    """Tokenizer and config without the weights, for checks before a run. Raises ModelError."""
    if name in tiny.MODELS:
        return tiny.build_tokenizer(name), tiny.build_model(0, torch.float32, name).config
    from transformers import AutoConfig, AutoTokenizer

    source = model_source(name, offline=offline)
    local_only = offline or Path(source).is_dir()
    try:
        return AutoTokenizer.from_pretrained(source, local_files_only=local_only), AutoConfig.from_pretrained(
            source, local_files_only=local_only
        )
    except (OSError, ValueError) as error:
        raise _unloadable(name, error, local_only) from error


def _unloadable(name: str, error: Exception, local_only: bool) -> ModelError:
    first = str(error).strip().splitlines()[0]
    where_from = "" if local_only else " (is the network reachable, and is the name spelt as on the hub?)"
    kind = ModelNotHere if local_only and not Path(name).is_dir() and name.count("/") == 1 else ModelError
    return kind(f"model.path: '{name}' cannot be loaded{where_from}: {first}")
