"""What keys and values take in the cache of `rollout.engine: hf`, from a model's config."""

from __future__ import annotations

from typing import Any

BLOCK = 32
"""Tokens of a block of the cache."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def block_bytes(config: Any, dtype: str) -> int:
    """Bytes of a block in all layers. 0 where the config does not say it (latent attention)."""
    text = config.get_text_config()
    heads = getattr(text, "num_key_value_heads", None)
    size = getattr(text, "head_dim", None)
    if not isinstance(size, int) and getattr(text, "num_attention_heads", None):
        size = text.hidden_size // text.num_attention_heads
    if not isinstance(heads, int) or not isinstance(size, int) or hasattr(text, "kv_lora_rank"):
        return 0
    return int(BLOCK * text.num_hidden_layers * heads * size * 2 * _BYTES.get(dtype, 4))


def row_gib(config: Any, dtype: str, tokens: int) -> float:
    """What the cache must have for one row of so many tokens, in GiB; 0 where it is not known."""
    return block_bytes(config, dtype) * (-(-tokens // BLOCK) + 1) / 2**30  # one more: for tokens that nobody reads
