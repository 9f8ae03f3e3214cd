"""How a dry run shows the tokens of a prompt: those at both ends, where templates and tokenizers differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.environments.single_turn import encode_prompt
from verifiers.types import Problem

ENDS = 5
"""Tokens shown at each end of a prompt."""


@dataclass(frozen=True)
class PromptToken:
    id: int
    text: str
    special: bool

    def __str__(self) -> str:
        """Special tokens as they are written, others in quotes: <s> is one token, '<' a character."""
        return f"{self.id}:{self.text}" if self.special else f"{self.id}:{self.text!r}"


@dataclass(frozen=True)
class PromptView:
    tokens: int
    """How many the prompt has."""
    first: list[PromptToken]
    last: list[PromptToken]
    """Empty where `first` holds all of them."""

    def __str__(self) -> str:
        ends = [" ".join(map(str, part)) for part in (self.first, self.last) if part]
        return f"{self.tokens} tokens, id:text  " + "  ...  ".join(ends)


def view_prompt(tokenizer: Any, problem: Problem) -> PromptView:
    ids = encode_prompt(tokenizer, problem)
    if len(ids) <= 2 * ENDS:
        return PromptView(len(ids), _tokens(tokenizer, ids), [])
    return PromptView(len(ids), _tokens(tokenizer, ids[:ENDS]), _tokens(tokenizer, ids[-ENDS:]))


def _tokens(tokenizer: Any, ids: Sequence[int]) -> list[PromptToken]:
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(i for i, token in added.items() if token.special)}
    return [PromptToken(i, str(tokenizer.decode([i])), i in special) for i in ids]
