"""Calls of transformers that read a model's files: one message for whatever is wrong with them.

transformers leaves weights that a file lacks random, drops those that a model has no place for, and reports both in its
log alone. Here both are errors.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from reasonrl.errors import ModelError, ModelNotHere, ReasonRLError
from reasonrl.host.network import no_waiting_for_the_hub
from reasonrl.host.outputs import user_path
from reasonrl.models.hub import explain_hub_error
from reasonrl.models.progress import bars_on_terminals_only

COPY_TOKENIZER = "Copy the tokenizer's files from the model that this one was trained from"
NO_TOKENIZER = "there is no tokenizer.json or other file of a tokenizer that can be read"
COPY_WEIGHTS = "Copy the folder again, or name another model or an earlier checkpoint"
UNUSED_BUFFERS = (".inv_freq", ".attn.bias", ".attn.masked_bias")
"""Ends of the names of constants that older versions of transformers saved with the weights."""


def load_config(name: str, source: str, *, local_only: bool) -> Any:
    """The config of the model `name`, from a folder or the hub. Raises ModelError, also for one that no causal language
    model can be built from.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    with _guarded(name, "config.json", "Name the folder of a causal language model", local_only):
        config = AutoConfig.from_pretrained(source, local_files_only=local_only, trust_remote_code=False)
        with torch.device("meta"):
            AutoModelForCausalLM.from_config(config)
        return config


def load_tokenizer(name: str, source: str, *, local_only: bool) -> Any:
    """The tokenizer of the model `name`, from a folder or the hub. Raises ModelError."""
    from transformers import AutoTokenizer

    with _guarded(name, "its tokenizer", COPY_TOKENIZER, local_only):
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local_only, trust_remote_code=False)
        if len(tokenizer) <= len(tokenizer.all_special_tokens):  # transformers < 5.19, where there are no files
            raise ValueError(NO_TOKENIZER)
        return tokenizer


def load_weights(
    name: str, source: str, *, dtype: torch.dtype, local_only: bool, attention: str = "sdpa", on_meta: bool = False
) -> Any:
    """The model `name` with its weights. `on_meta` reads the names and shapes of the weights alone.

    Raises:
        ModelError: the files cannot be read, or the weights are not those of the model that config.json describes.
    """
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"device_map": "meta"} if on_meta else {}
    with _guarded(name, "its weights", COPY_WEIGHTS, local_only):
        check_files(source)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            attn_implementation=attention,
            local_files_only=local_only,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **options,
        )
    model, report = loaded
    _require_all_weights(name, model, report)
    return model


def check_weight_names(name: str, source: str, *, attention: str = "sdpa") -> None:
    """Whether the weights in a folder are those that its config.json describes; their values are not read.

    Raises ModelError where they are not.
    """
    if importlib.util.find_spec("accelerate") is None:  # transformers wants it for a model without values
        return
    try:
        load_weights(name, source, dtype=torch.float32, attention=attention, local_only=True, on_meta=True)
    except ModelError as error:
        if not isinstance(error.__cause__, NotImplementedError):  # transformers < 5.19 compares values of tied weights
            raise


def check_files(source: str) -> None:
    """What transformers passes over in a folder, or reports without the file's name.

    Raises ValueError for a generation_config.json that it would ignore, and with it the tokens that end a response; for
    a safetensors file that is cut off; and for integers as weights where no quantisation is declared.
    """
    from safetensors import SafetensorError, safe_open

    folder = Path(source)
    path = folder / "generation_config.json"
    if path.is_file():
        try:
            readable = isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
        except ValueError:
            readable = False
        if not readable:
            raise ValueError(f"{path.name} is not a JSON object")
    config = folder / "config.json"
    quantised = config.is_file() and "quantization_config" in config.read_text(encoding="utf-8")
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                dtypes = {} if quantised else {key: tensors.get_slice(key).get_dtype() for key in tensors.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{file.name} is cut off or damaged ({error})") from error
        integer = next((key for key, kind in dtypes.items() if kind.startswith(("I", "U", "BOOL"))), None)
        if integer is not None:
            raise ValueError(
                f"{file.name}: {integer} holds integers ({dtypes[integer]}), and config.json names no quantisation"
            )


def _require_all_weights(name: str, model: Any, report: dict[str, Any]) -> None:
    misshapen = sorted(report["mismatched_keys"])
    if misshapen:
        key, file_shape, shape = misshapen[0]
        raise ModelError(
            f"model.path: '{name}': the weights do not fit config.json: {key}{_others(misshapen)} has the shape"
            f" {list(file_shape)} in the file and {list(shape)} in the model. {COPY_WEIGHTS}"
        )
    if missing := sorted(report["missing_keys"]):
        raise ModelError(
            f"model.path: '{name}': the files lack weights that config.json asks for: {missing[0]}{_others(missing)};"
            f" they would be random. {COPY_WEIGHTS}"
        )
    if getattr(model.config, "quantization_config", None) is not None:
        return
    surplus = sorted(key for key in report["unexpected_keys"] if _belongs_inside(model, key))
    if surplus:
        advice = (
            "Merge the adapter into its base model first"
            if any(".lora_" in key for key in surplus)
            else "Correct config.json (layers, biases), or copy the folder again"
        )
        raise ModelError(
            f"model.path: '{name}': the files hold weights that the model of config.json has no place for:"
            f" {surplus[0]}{_others(surplus)}. {advice}"
        )


def _belongs_inside(model: Any, key: str) -> bool:
    """Whether a weight without a place belongs to a part that the language model has: a layer too many, say. Other
    parts, an encoder of images say, may be left out.
    """
    if key.endswith(UNUSED_BUFFERS):
        return False
    modules = dict(model.named_modules())
    parent = key
    while parent:
        parent = parent.rpartition(".")[0]
        if parent in modules:
            break
    return parent not in ("", model.base_model_prefix)


def _others(names: list[Any]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


@contextmanager
def hub_errors(name: str, *, local_only: bool) -> Iterator[None]:
    """ModelError for what goes wrong with the hub."""
    with _guarded(name, "its files", "Check its name", local_only):
        yield


@contextmanager
def _guarded(name: str, part: str, advice: str, local_only: bool) -> Iterator[None]:
    """ModelError for whatever a library raises over files. tokenizers raises bare Exceptions."""
    try:
        asks_hub = not (local_only or user_path(name, "model.path:").is_dir())
        with bars_on_terminals_only(), _quiet_transformers(), no_waiting_for_the_hub(asks=asks_hub):
            yield
    except ReasonRLError:
        raise
    except Exception as error:  # foreign code, reading foreign files
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        is_folder = user_path(name, "model.path:").is_dir()
        if not is_folder and (reason := explain_hub_error(error, local_only=local_only)) is not None:
            raise (ModelNotHere if local_only else ModelError)(
                f"model.path: '{name}' cannot be loaded: {reason}"
            ) from error
        kind = ModelNotHere if local_only and not is_folder and name.count("/") == 1 else ModelError
        where_from = "" if local_only else " (is the network reachable, and is the name spelt as on the hub?)"
        raise kind(
            f"model.path: '{name}' cannot be loaded{where_from}: {part}: {_words(error)}. {_advice(error, advice)}"
        ) from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Its report on weights that do not fit is a table in the log, beside our message."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _advice(error: Exception, usual: str) -> str:
    text = str(error)
    if "attn_implementation" in text or "scaled_dot_product_attention" in text:
        return "Write model.attention: eager"
    if "trust_remote_code" in text or "custom code" in text:
        return "Code that comes with a model is not run; name a model that transformers has the code of"
    return usual


def _words(error: Exception) -> str:
    """What a library says, on one line; its type where the text alone says little."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if len(lines) > 1 and text.endswith(":"):
        text = f"{text} {lines[1]}"
    if "backend tokenizer" in text:
        return NO_TOKENIZER
    if isinstance(error, pickle.UnpicklingError):
        return "pytorch_model.bin is damaged, or is not a file of weights"
    text = text.rstrip(".")[:400]
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"it is not valid JSON: {text}"
    return text if text and isinstance(error, OSError | ValueError) else f"{type(error).__name__}: {text}".rstrip(": ")
