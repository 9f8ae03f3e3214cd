"""Tokens of a tokenizer for which the model has no row in its embedding.

Some published models have them, a padding token mostly, and never use them. A prompt that does would end in an error of
an index on a CPU and in a dead process on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from reasonrl.errors import ModelError

RESIZE = "Resize its embedding (model.resize_token_embeddings) and save it again, or use the model's first tokenizer"


def tokens_without_rows(tokenizer: Any, rows: int) -> dict[int, str]:
    """Id -> token, for the ids of `tokenizer` that are not below `rows`."""
    if len(tokenizer) <= rows and tokenizer.vocab_size <= rows:
        return {}
    return {i: token for token, i in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]) if i >= rows}


def embedding_rows(config: Any) -> int | None:
    """Rows of the embedding that a config describes; None where it does not say."""
    rows = getattr(config.get_text_config(), "vocab_size", None)
    return rows if isinstance(rows, int) else None


def check_end_tokens(name: str, tokenizer: Any, end_ids: Iterable[int], rows: int) -> None:
    """Raises ModelError for a model that has no row for any token that ends a response: it could not end one."""
    ids = sorted(end_ids)
    if ids and not any(0 <= i < rows for i in ids):
        token = tokenizer.convert_ids_to_tokens(ids[0]) if 0 <= ids[0] < len(tokenizer) else "an unknown one"
        raise ModelError(
            f"model.path: '{name}' has {rows} rows in its embedding, but the token that ends a response, {token!r}, has"
            f" the id {ids[0]}. {RESIZE}"
        )


def check_ids(name: str, tokenizer: Any, sequences: Iterable[tuple[str, Sequence[int]]], rows: int) -> None:
    """Each sequence of ids has a name, that of its problem say.

    Raises ModelError for the first id without a row.
    """
    missing = tokens_without_rows(tokenizer, rows)
    for owner, ids in sequences if missing else ():
        bad = next((i for i in ids if i >= rows), None)
        if bad is not None:
            raise ModelError(f"model.path: '{name}': {owner} has {_described(missing, bad, rows)}. {RESIZE}")


def unused_tokens_warning(tokenizer: Any, rows: int) -> str | None:
    """A line for a plan in which no prompt holds one of the tokens without a row; None where there is none."""
    missing = tokens_without_rows(tokenizer, rows)
    if not missing:
        return None
    count, example = len(missing), next(iter(missing.values()))
    return (
        f"model.path: {count} token{'s' if count > 1 else ''} of the tokenizer, {example!r} for one,"
        f" {'have' if count > 1 else 'has'} no row in the model's embedding ({rows} rows). No prompt holds one; a run"
        " stops where one appears later"
    )


def guard_embedding(name: str, model: Any, tokenizer: Any) -> None:
    """Makes a model raise ModelError where it is given a token without a row. Other models are left alone: looking
    costs a wait for the GPU.
    """
    embedding = model.get_input_embeddings()
    rows = embedding.weight.shape[0]
    missing = tokens_without_rows(tokenizer, rows)
    if not missing:
        return

    def refuse(_module: Any, arguments: tuple[Any, ...]) -> None:
        highest = int(arguments[0].max())
        if highest >= rows:
            raise ModelError(f"model.path: '{name}': a text has {_described(missing, highest, rows)}. {RESIZE}")

    embedding.register_forward_pre_hook(refuse)


def _described(missing: dict[int, str], token_id: int, rows: int) -> str:
    return f"the token {missing.get(token_id, '?')!r} (id {token_id}), but the model's embedding has {rows} rows"
