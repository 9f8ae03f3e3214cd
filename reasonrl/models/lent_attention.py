"""A model attends by a function of ours for a while. transformers calls the attention that a config names."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def lent_attention(config: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """The model of this config (its text part) attends by `function`, under `name`, until the block is left. May be
    entered twice.
    """
    from transformers import AttentionInterface

    AttentionInterface.register(name, function)
    before = config._attn_implementation
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = before
