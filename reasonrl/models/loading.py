"""From the name in a recipe to a model and its tokenizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reasonrl.errors import ModelError
from reasonrl.host.outputs import user_path
from reasonrl.models import embedded, tiny
from reasonrl.models.chat_template import name_of
from reasonrl.models.devices import choose_device
from reasonrl.models.hub import download_snapshot, split_revision
from reasonrl.models.pretrained import (
    check_weight_names,
    hub_errors,
    load_config,
    load_tokenizer,
    load_weights,
)
from reasonrl.models.vocabulary import check_end_tokens, embedding_rows, guard_embedding
from reasonrl.models.weights import READ_BYTES, check_weight_values, require_finite_weights

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MERGE = "Merge it (peft: merge_and_unload), save the result, and name that folder"


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

    Raises ModelError for an eos_token_id that is not an id or a list of ids: transformers reads a text or a fraction
    without a word.
    """
    configured = getattr(generation_config, "eos_token_id", None)
    configured = configured if isinstance(configured, list) else [configured]
    wrong = next((i for i in configured if i is not None and (isinstance(i, bool) or not isinstance(i, int))), None)
    if wrong is not None:
        known = tokenizer.get_vocab().get(wrong) if isinstance(wrong, str) else None
        raise ModelError(
            f"model.path: {name_of(tokenizer)}: eos_token_id of generation_config.json (or config.json) holds"
            f" {wrong!r}, which is not the id of a token. Write {f'the id {known}' if known is not None else 'ids'}"
            " there, or remove it"
        )
    return sorted({i for i in [tokenizer.eos_token_id, *configured] if i is not None})


def load_generation_config(source: str) -> Any:
    """The generation config beside a model; where there is none, what transformers makes of the model's config."""
    from transformers import AutoConfig, GenerationConfig

    try:
        return GenerationConfig.from_pretrained(source)
    except OSError:
        return GenerationConfig.from_model_config(AutoConfig.from_pretrained(source))


def load_model(
    name: str,
    *,
    dtype: str = "float32",
    device: str = "auto",
    seed: int = 0,
    offline: bool = False,
    attention: str = "sdpa",
) -> LanguageModel:
    """Load an embedded model (`smollm2-135m`, `tiny-arithmetic`, ...), a local folder, or a Hugging Face id.

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
    source = model_source(name, offline=offline)
    local_only = offline or Path(source).is_dir()
    if local_only:
        load_config(name, source, local_only=True)  # for its own message; the tokenizer and the weights need it too
    tokenizer = load_tokenizer(name, source, local_only=local_only)
    model = load_weights(name, source, dtype=DTYPES[dtype], attention=attention, local_only=local_only)
    require_finite_weights(name, model)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    guard_embedding(name, model, tokenizer)
    language_model = LanguageModel(model.to(where).eval(), tokenizer, name)
    check_end_tokens(name, tokenizer, language_model.eos_ids, model.get_input_embeddings().weight.shape[0])
    return language_model


def model_source(name: str, *, offline: bool) -> str:
    """The folder of an embedded or a local model, or of a model of the hub at a revision (org/name@revision), which is
    downloaded; or the id to ask the hub for. Raises ModelError for what is none of them.
    """
    if name == embedded.NAME:
        return str(embedded.smollm2_folder(offline=offline))
    path = user_path(name, "model.path:")
    if path.is_dir():
        if not (path / "config.json").exists():
            raise ModelError(_not_a_model(path))
        if (path / "adapter_config.json").exists():
            raise ModelError(f"model.path: {path} holds an adapter beside a model. {MERGE}")
        return str(path)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ModelError(
            f"model.path: '{name}' is neither a folder nor a Hugging Face id (org/name). Without a network use"
            f" '{embedded.NAME}'"
        )
    repository, revision = split_revision(name)
    if revision is None:
        return name
    with hub_errors(name, local_only=offline):
        return download_snapshot(repository, revision, local_only=offline)


def _not_a_model(folder: Path) -> str:
    if (folder / "adapter_config.json").exists():
        return f"model.path: {folder} holds an adapter without its base model. {MERGE}"
    return f"model.path: {folder} is a folder without config.json, so it holds no Hugging Face model"


def load_tokenizer_and_config(name: str, *, offline: bool = False) -> tuple[Any, Any]:
    """Tokenizer and config without the weights, for checks before a run. Raises ModelError."""
    if name in tiny.MODELS:
        return tiny.build_tokenizer(name), tiny.build_model(0, torch.float32, name).config
    source = model_source(name, offline=offline)
    local_only = offline or Path(source).is_dir()
    config = load_config(name, source, local_only=local_only)
    return load_tokenizer(name, source, local_only=local_only), config


def check_model_files(
    name: str,
    tokenizer: Any,
    config: Any,
    *,
    attention: str = "sdpa",
    offline: bool = False,
) -> None:
    """What can be known of a model's weights before a run, where they are on this machine: whether they are those of
    its config, whether they are finite numbers, and whether the model can end a response.

    Raises ModelError.
    """
    if name in tiny.MODELS:
        return
    source = Path(model_source(name, offline=offline))
    if not source.is_dir():
        return
    check_weight_names(name, str(source), attention=attention)
    if name != embedded.NAME:
        check_weight_values(name, source, up_to_bytes=READ_BYTES)
    rows = embedding_rows(config)
    if rows is not None:
        check_end_tokens(name, tokenizer, end_token_ids(tokenizer, load_generation_config(str(source))), rows)
