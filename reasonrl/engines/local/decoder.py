"""The layers of Llama, Mistral, Qwen2 and Qwen3 for decoding: packed weights, and one pass over memory for what stands
between them.

A layer of transformers is forty small operations, which with a few rows cost as much as its products. Here it is four
products and four calls. It computes the same; `decodes_alike` tries that on the model itself. Other architectures go
through their own modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reasonrl.engines.local.attention import Pass, attend
from reasonrl.engines.local.cache import BlockCache
from reasonrl.engines.local.kernel import layers_for
from reasonrl.engines.local.linear import PackedLinear, pack, packing_dtype
from reasonrl.engines.local.trial import alike_share, last_logprobs, through_cache, trial_tokens
from reasonrl.models.architecture import causal_of

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Whose layers are those below, at any length: a trial on a few tokens cannot tell."""


@dataclass(frozen=True)
class _Heads:
    """How a layer attends."""

    queries: int
    keys: int
    size: int
    scale: float
    window: int
    """0: to everything before"""

    def attend(self, step: Pass, layer: int, rows: Tensor) -> Tensor:
        """From queries, keys and values side by side to [N, queries * size]."""
        query, key, value = (
            part.view(len(rows), -1, self.size).transpose(0, 1)[None]
            for part in rows.split([self.queries * self.size, self.keys * self.size, self.keys * self.size], 1)
        )
        return attend(step, layer, query, key, value, self.scale, self.window).view(len(rows), -1)


@dataclass(frozen=True)
class _Layer:
    before_attention: Tensor
    query_key_value: PackedLinear
    query_norm: Tensor | None
    key_norm: Tensor | None
    attention_out: PackedLinear
    before_mlp: Tensor
    gate_up: PackedLinear
    down: PackedLinear
    epsilon: float
    head_epsilon: float
    heads: _Heads


class Decoder:
    """A copy of a model's weights as they are now. Raises Unsuitable for a model that has other layers."""

    def __init__(self, model: Any) -> None:
        causal = causal_of(model)
        base, config = causal.base_model, causal.config.get_text_config()
        weight = _embedding_of(base)
        if config.model_type not in MODEL_TYPES or weight.device.type != "cpu":
            raise Unsuitable
        dtype = packing_dtype(weight.dtype)
        if dtype is None:
            raise Unsuitable(f"this torch cannot lay out {weight.dtype} weights for oneDNN")
        functions = layers_for(dtype)
        if functions is None:
            raise Unsuitable("there is no C compiler for its layers (`reasonrl doctor` says more)")
        self._functions = functions
        self.dtype = dtype
        self._embedding = weight
        self._rotary = base.rotary_emb
        self._layers = [_read_layer(layer, i, config, dtype) for i, layer in enumerate(base.layers)]
        self._norm, self._epsilon = _norm_of(base.norm, dtype)
        self.head = _pack([causal.get_output_embeddings()], dtype)

    @property
    def products(self) -> list[PackedLinear]:
        return [
            self.head,
            *(p for one in self._layers for p in (one.query_key_value, one.attention_out, one.gate_up, one.down)),
        ]

    def states(self, tokens: Sequence[int], step: Pass, places: Sequence[int]) -> Tensor:
        """What the head gets at some places of a pass [places, H]."""
        threads = torch.get_num_threads()
        hidden = self._embedding[torch.tensor(tokens)].to(self.dtype)
        count, size = hidden.shape
        cosine, sine = self._rotary(hidden[None], torch.from_numpy(step.position).long()[None])
        cosine, sine = cosine[0].contiguous(), sine[0].contiguous()
        normed = torch.empty_like(hidden)
        delta: Tensor | None = None
        add_and_norm, rotate, gate = self._functions.add_and_norm, self._functions.rotate, self._functions.gate
        for number, layer in enumerate(self._layers):
            heads = layer.heads
            add_and_norm(
                *map(_address, (hidden, delta, layer.before_attention, normed)), count, size, layer.epsilon, threads
            )
            rows = layer.query_key_value(normed)
            rotate(
                *map(_address, (rows, cosine, sine, layer.query_norm, layer.key_norm)),
                *(count, rows.shape[1], heads.queries, heads.keys, heads.size, layer.head_epsilon, threads),
            )
            delta = layer.attention_out(heads.attend(step, number, rows))
            add_and_norm(*map(_address, (hidden, delta, layer.before_mlp, normed)), count, size, layer.epsilon, threads)
            both = layer.gate_up(normed)
            gated = both.new_empty(count, both.shape[1] // 2)
            gate(_address(both), _address(gated), count, gated.shape[1], threads)
            delta = layer.down(gated)
        wanted = torch.tensor(places, dtype=torch.long)
        hidden, delta = hidden[wanted], None if delta is None else delta[wanted].contiguous()
        out = torch.empty_like(hidden)
        add_and_norm(*map(_address, (hidden, delta, self._norm, out)), len(hidden), size, self._epsilon, threads)
        return out


class Unsuitable(Exception):
    """A model whose layers are others; with a reason where the machine is in the way."""


def decodes_alike(decoder: Decoder, model: Any) -> bool:
    """Whether the log-probs after a few random tokens are the model's own."""
    causal = causal_of(model)
    tokens, other = trial_tokens(causal.config.get_text_config().vocab_size)

    def logits(some: Sequence[int], step: Pass) -> Tensor:
        return decoder.head(decoder.states(some, step, [len(some) - 1]))[-1]

    with torch.inference_mode():
        cached = through_cache(BlockCache(), tokens, logits)
        return alike_share(cached, *(last_logprobs(model, ids) for ids in (tokens, other)))


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _read_layer(layer: Any, number: int, config: Any, dtype: torch.dtype) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    if not isinstance(mlp.act_fn, nn.SiLU) and type(mlp.act_fn).__name__ != "SiLUActivation":
        raise Unsuitable
    first, epsilon = _norm_of(layer.input_layernorm, dtype)
    second, other_epsilon = _norm_of(layer.post_attention_layernorm, dtype)
    norms = [getattr(attention, name) for name in ("q_norm", "k_norm") if hasattr(attention, name)]
    head_norms = [_norm_of(norm, dtype) for norm in norms]
    size = attention.head_dim
    # Llama's layers look at everything, whatever its config says; Mistral's read the config
    named = config.sliding_window if config.model_type == "mistral" else None
    window = getattr(attention, "sliding_window", named)
    if epsilon != other_epsilon or len(head_norms) == 1 or size % 2 or attention.layer_idx != number:
        raise Unsuitable
    return _Layer(
        first,
        _pack([attention.q_proj, attention.k_proj, attention.v_proj], dtype),
        head_norms[0][0] if head_norms else None,
        head_norms[1][0] if head_norms else None,
        _pack([attention.o_proj], dtype),
        second,
        _pack([mlp.gate_proj, mlp.up_proj], dtype),
        _pack([mlp.down_proj], dtype),
        epsilon,
        head_norms[0][1] if head_norms else epsilon,
        _Heads(
            queries=config.num_attention_heads,
            keys=config.num_key_value_heads,
            size=size,
            scale=attention.scaling,
            window=window or 0,
        ),
    )


def _embedding_of(base: Any) -> Tensor:
    embedding = getattr(base, "embed_tokens", None)
    if type(embedding) is not nn.Embedding:
        raise Unsuitable
    return embedding.weight.detach()


def _norm_of(module: Any, dtype: torch.dtype) -> tuple[Tensor, float]:
    if not type(module).__name__.endswith("RMSNorm"):
        raise Unsuitable
    return module.weight.detach().to(dtype).contiguous(), float(module.variance_epsilon)


def _pack(modules: Sequence[Any], dtype: torch.dtype) -> PackedLinear:
    """Several linear layers of one input as one product; adapters are added in."""
    weights, biases = [], []
    for module in modules:
        plain = module.base_layer if hasattr(module, "base_layer") else module
        if type(plain) is not nn.Linear:
            raise Unsuitable
        weight = plain.weight.detach()
        if plain is not module:
            weight = _adapted(module, weight.to(dtype), dtype)
        weights.append(weight)
        biases.append(None if plain.bias is None else plain.bias.detach())
    with torch.inference_mode():
        return pack(weights, biases, dtype)


def _adapted(module: Any, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight with the adapters that are at work, in `dtype`: a small change would be lost in bfloat16."""
    if module.disable_adapters or module.merged:
        return weight
    for name in module.active_adapters:
        if name not in module.lora_A:
            continue
        if getattr(module, "use_dora", {}).get(name) or getattr(module, "lora_bias", {}).get(name):
            raise Unsuitable
        weight = weight + module.get_delta_weight(name).detach().to(dtype)
    return weight


def weights_now(model: Any) -> tuple[Any, ...]:
    """What tells one state of the weights from another: where they are, how often each was written to, and which
    adapters are on.
    """
    adapters = [
        (module.disable_adapters, module.merged, *module.active_adapters)
        for module in (model.modules() if hasattr(model, "peft_config") else ())
        if hasattr(module, "active_adapters") and hasattr(module, "base_layer")
    ]
    return (*((one.data_ptr(), one._version) for one in model.parameters()), *adapters)


__all__ = ["Decoder", "Unsuitable", "decodes_alike", "weights_now"]
