"""When a response ends."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from reasonrl.engines.base import Sampling


def ends(tokens: Sequence[int], sampling: Sampling, eos_ids: Collection[int], tokenizer: Any) -> bool:
    """Whether a response ends with its last token: an end-of-sequence token, or one that completes a stop string."""
    if tokens[-1] in eos_ids and not sampling.ignore_eos:
        return True
    if not sampling.stop:
        return False
    # Only a tail that may hold the stop string is decoded: a token can stand for less than one character.
    tail = tokenizer.decode(tokens[-(4 + 4 * max(len(s) for s in sampling.stop)) :])
    return any(stop in tail for stop in sampling.stop)
