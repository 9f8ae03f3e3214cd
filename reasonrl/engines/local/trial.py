"""Whether a model computes the same through the block cache as by itself: tried on a few tokens.

Some architectures do not call the attention that their config names, or tell it of places by a mask that ours is not
given (ALiBi, learned windows). Their texts would be wrong, and nothing would say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reasonrl.engines.local.attention import Pass, cached_attention, computing
from reasonrl.engines.local.cache import BlockCache
from reasonrl.models.architecture import causal_of
from reasonrl.models.cache_size import BLOCK

_TOKENS = BLOCK + 7
_SHARE = 0.1
"""Rounding moves the log-probs by less than this share of what another context does."""


def attends_alike(model: Any) -> bool:
    """`model`: a causal language model, with adapters or without."""
    causal = causal_of(model)
    config = causal.config.get_text_config()
    device = next(model.parameters()).device
    tokens, other = trial_tokens(config.vocab_size)

    def logits(some: Sequence[int], step: Pass) -> Tensor:
        with computing(step):
            positions = torch.from_numpy(step.position).long()[None].to(device)
            ids = torch.tensor([some], device=device)
            last: Tensor = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0, -1]
        return last

    with torch.inference_mode():
        plain, changed = (last_logprobs(model, ids) for ids in (tokens, other))
        try:
            with cached_attention(config):
                cached = through_cache(BlockCache(), tokens, logits)
        except (LookupError, ValueError, TypeError, RuntimeError, AttributeError):
            return False  # an architecture that calls it otherwise
    return alike_share(cached, plain, changed)


def trial_tokens(vocabulary: int) -> tuple[list[int], list[int]]:
    """Random tokens, and others of which only the last is the same."""
    generator = torch.Generator().manual_seed(0)
    tokens, other = torch.randint(0, vocabulary, (2, _TOKENS), generator=generator).tolist()
    return tokens, [*other[:-1], tokens[-1]]


def last_logprobs(model: Any, tokens: Sequence[int]) -> Tensor:
    """The model's own, after the last token [V]."""
    ids = torch.tensor([tokens], device=next(model.parameters()).device)
    return torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0, -1].float(), -1)


def through_cache(cache: BlockCache, tokens: Sequence[int], logits: Callable[[Sequence[int], Pass], Tensor]) -> Tensor:
    """Log-probs after the last token [V] in two passes, the second of one token. `logits`: those after the last token
    of a pass [V].
    """
    table = np.array([[cache.take(), cache.take()]], np.int32)
    for start, end in ((0, len(tokens) - 1), (len(tokens) - 1, len(tokens))):
        places = np.arange(start, end, dtype=np.int32)
        last = logits(tokens[start:end], Pass(cache, table, np.zeros(end - start, np.int32), places))
    return torch.log_softmax(last.float(), -1)


def alike_share(cached: Tensor, plain: Tensor, changed: Tensor) -> bool:
    """Whether log-probs are the plain ones, by the measure of those after another context."""
    return bool((cached - plain).abs().max() <= _SHARE * (changed - plain).abs().max() + 1e-4)
