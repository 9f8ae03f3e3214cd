"""Prompts with tokens for which the model has no row in its embedding: named before the run, with the problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.vocabulary import check_ids, embedding_rows, tokens_without_rows, unused_tokens_warning
from verifiers.types import Problem


def check_prompt_tokens(name: str, tokenizer: Any, config: Any, problems: Sequence[Problem]) -> list[str]:
    """Warnings of a tokenizer with more tokens than the model `name` has rows; nothing is encoded for another.

    Raises ModelError for a prompt that holds such a token.
    """
    rows = embedding_rows(config)
    if rows is None or not tokens_without_rows(tokenizer, rows):
        return []
    prompts = ((f"the prompt of problem {problem.id}", encode_prompt(tokenizer, problem)) for problem in problems)
    check_ids(name, tokenizer, prompts, rows)
    warning = unused_tokens_warning(tokenizer, rows)
    return [warning] if warning is not None else []
