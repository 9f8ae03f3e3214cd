"""Whether a model computes the same through the block cache as by itself: tried on a few tokens.

Some architectures do not call the attention that their config names, or tell it of places by a mask that ours is not
given (ALiBi, learned windows). Their texts would be wrong, and nothing would say so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonrl.engines.local.attention import Pass, cached_attention, computing
from reasonrl.engines.local.cache import BlockCache
from reasonrl.engines.local.kernel import BLOCK

_TOKENS = BLOCK + 7
_SHARE = 0.1
"""Rounding moves the log-probs by less than this share of what another context does."""


def attends_alike(model: Any) -> bool:
    """`model`: a causal language model, with adapters or without."""
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = causal.config.get_text_config()
    generator = torch.Generator().manual_seed(0)
    device = next(model.parameters()).device
    tokens = torch.randint(0, config.vocab_size, (1, _TOKENS), generator=generator).to(device)
    other = tokens.clone()
    other[:, : _TOKENS - 1] = torch.randint(0, config.vocab_size, (1, _TOKENS - 1), generator=generator).to(device)
    with torch.inference_mode():
        plain, changed = (_last(model(input_ids=ids, use_cache=False).logits) for ids in (tokens, other))
        try:
            cached = _through_cache(model, config, tokens)
        except (LookupError, ValueError, TypeError, RuntimeError, AttributeError):
            return False  # an architecture that calls it otherwise
    return bool((cached - plain).abs().max() <= _SHARE * (changed - plain).abs().max() + 1e-4)


def _through_cache(model: Any, config: Any, tokens: Tensor) -> Tensor:
    """In two passes, the second of one token."""
    cache = BlockCache()
    table = np.array([[cache.take(), cache.take()]], np.int32)
    with cached_attention(config):
        for start, end in ((0, _TOKENS - 1), (_TOKENS - 1, _TOKENS)):
            places = np.arange(start, end, dtype=np.int32)
            with computing(Pass(cache, table, np.zeros(end - start, np.int32), places)):
                positions = torch.from_numpy(places).long()[None].to(tokens.device)
                logits = model(input_ids=tokens[:, start:end], position_ids=positions, use_cache=False).logits
    return _last(logits)


def _last(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits[0, -1].float(), -1)
