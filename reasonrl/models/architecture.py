"""Whether an architecture can be trained as `reasonrl.models.logprobs` computes: tried on a few random tokens."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from reasonrl.errors import ModelError
from reasonrl.models.logprobs import Packing, TokenRow, base_and_head, response_logprobs

_SAME_PASS = 1e-3
"""Log-probs from one pass through the model: no rounding differs between its head and its logits."""


def causal_of(model: Any) -> Any:
    """The causal language model, beneath adapters if it has some."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def tree_is_exact(model: Any, *, tolerance: float, packing: Packing = "tree_mask") -> bool:
    """Whether this architecture gives the same log-probs from a tree as from plain rows; compared on a few short rows.

    A window of attention can be longer than any row that is worth trying, so windows are looked for in the config.
    """
    config = model.config.get_text_config()
    if _has_window(config) or steady_positions(config) is not None:
        return False
    vocabulary = config.vocab_size
    generator = torch.Generator().manual_seed(0)
    draw = torch.randint(0, vocabulary, (5, 8), generator=generator).tolist()
    rows = [
        TokenRow(draw[0], draw[1]),
        TokenRow(draw[0], draw[1][:3] + draw[2][:2]),
        TokenRow(draw[0][:3] + draw[3], draw[4][:4]),
    ]
    with torch.no_grad():
        try:
            tree = response_logprobs(model, rows, packing=packing).logprobs
        except (TypeError, ValueError, RuntimeError, AttributeError):
            return False  # an architecture that refuses a mask or an attention of our own
        plain = response_logprobs(model, rows, packing="rows").logprobs
    return bool((tree - plain).abs().max() <= tolerance)


def refuse_stateful(config: Any) -> None:
    """For the engine `hf`, which pads a batch on the left: a padded place must leave no trace in a row.

    Raises ModelError for an architecture with a running state (Mamba, RWKV and hybrids), whose texts and log-probs
    would be wrong, where the state could be batched at all.
    """
    kind = _class_of(config)
    if kind is not None and getattr(kind, "_is_stateful", False):
        raise ModelError(
            f"model.path: {kind.__name__} keeps a running state beside or instead of attention, which rollout.engine:"
            " hf cannot decode in batches. Write rollout.engine: vllm, or choose a model of attention alone"
        )


def refuse_scaled_logits(config: Any) -> None:
    """`logits_are_heads` before the weights are loaded, as far as the keys of the known architectures tell.

    Raises ModelError for a model that is to be trained and whose logits are capped or scaled after its head.
    """
    text, kind = config.get_text_config(), _class_of(config)
    cap = getattr(text, "final_logit_softcapping", None)
    scales = [getattr(text, key, None) for key in ("logits_scaling", "logit_scale")]
    scaled = any(isinstance(scale, int | float) and scale != 1 for scale in scales)
    if kind is not None and (cap is not None or scaled):
        raise ModelError(
            f"model.path: {kind.__name__} caps or scales its logits after its head (final_logit_softcapping,"
            " logits_scaling or the like); training such a model is not supported. Choose one without"
        )


def _class_of(config: Any) -> Any:
    """The class of the causal language model that transformers builds from a config; None where it knows none."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    return MODEL_FOR_CAUSAL_LM_MAPPING.get(type(config), None)


def drops_out(model: Any) -> bool:
    """Whether a pass through the model in training is another one each time."""
    modules = any(isinstance(module, torch.nn.Dropout) and module.p > 0 for module in model.modules())
    return modules or any(
        "drop" in name and isinstance(value, int | float) and value > 0
        for name, value in model.config.get_text_config().to_dict().items()
    )


def logits_are_numbers(model: Any) -> bool:
    """Whether the logits of a few tokens are free of NaN and of +inf; a model may mask a token with -inf."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.randint(0, vocabulary, (1, 8), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = model(input_ids=ids.to(base_and_head(model)[1].weight.device), use_cache=False).logits
    return bool((logits < math.inf).all())


def logits_are_heads(model: Any, *, tolerance: float) -> bool:
    """Whether the model's logits are what its head makes of its last states. Some architectures cap or scale them
    after the head.
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.randint(0, vocabulary, (1, 8), generator=torch.Generator().manual_seed(0))
    base, head = base_and_head(model)
    if base.get_output_embeddings() is not None:  # Llama 4 names no part below its head
        return False
    outputs: list[Tensor] = []
    hook = head.register_forward_hook(lambda _module, _arguments, output: outputs.append(output))
    with torch.no_grad():
        try:
            logits = model(input_ids=ids.to(head.weight.device), use_cache=False).logits
        finally:
            hook.remove()
        head_logits = head(base(input_ids=ids.to(head.weight.device), use_cache=False).last_hidden_state)
    if outputs and outputs[-1].shape == logits.shape and _gap(logits, outputs[-1]) > _SAME_PASS:
        return False
    return _gap(logits, head_logits) <= tolerance


def _gap(logits: Tensor, others: Tensor) -> float:
    """The largest difference of two log-probs. [B, T, V]"""
    return float((torch.log_softmax(logits.float(), -1) - torch.log_softmax(others.float(), -1)).abs().max())


def most_positions(config: Any) -> int | None:
    """How many tokens a row may have, prompt and response together, and be computed alike in any company; None: as many
    as there is memory for.
    """
    positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return min((int(n) for n in (positions, steady_positions(config)) if n), default=None)


def steady_positions(config: Any) -> int | None:
    """Up to how many tokens a model turns its queries and keys by the same frequencies; None: always. Where some row of
    a pass is longer, LongRoPE takes others for the whole pass.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    several = [one for one in rope.values() if isinstance(one, dict)] or [rope]  # by type of layer, in some models
    kinds = {one.get("rope_type", one.get("type")) for one in several}
    positions = getattr(text, "max_position_embeddings", None)
    if not kinds & {"longrope", "su"}:  # "dynamic" changes behind max_position_embeddings, where nothing gets to
        return None
    lengths = [one.get("original_max_position_embeddings") for one in several]
    original = next((n for n in lengths if n), None) or getattr(text, "original_max_position_embeddings", None)
    return int(original) if original and (positions is None or original < positions) else None


def _has_window(config: Any) -> bool:
    """Whether some layer sees less than everything before it. A config that names its layers' types is believed over
    the bare number.
    """
    if "local" in (getattr(config, "attention_layers", None) or ()):  # GPT-Neo
        return True
    kinds = getattr(config, "layer_types", None)
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    window = getattr(config, "sliding_window", None)
    return (
        window is not None
        and window < getattr(config, "max_position_embeddings", math.inf)
        and getattr(config, "use_sliding_window", True)
    )
