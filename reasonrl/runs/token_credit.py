"""The advantage of each token of a response, for runs with credit for single tokens (`train.credit`).

Advantages belong to the policy's tokens alone: a token of the environment has none, which is not an advantage of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.runs.reading import Row, Run
from reasonrl.runs.transcript import TranscriptTurn, transcript

Decode = Callable[[Sequence[int]], list[str]]
"""Token ids -> the text of each. It is empty where a later token completes a character."""

LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8, and so the most tokens that one can take."""


@dataclass(frozen=True, slots=True)
class TokenCredit:
    """One token of a response."""

    id: int
    text: str | None
    """None where there is no tokenizer to decode it."""
    advantage: float | None
    """None for a token of the environment."""


def has_token_credit(row: Row) -> bool:
    """Whether the row holds one advantage for each of its tokens."""
    advantages, ids = row.get("token_advantages") or [], row.get("response_ids") or []
    return 0 < len(advantages) == len(ids)


def token_credit(row: Row, decode: Decode | None) -> list[tuple[TranscriptTurn | None, list[TokenCredit]]]:
    """The tokens of a row, turn by turn. Empty for a row without advantages of single tokens.

    There is one part, without a turn, where the response is one turn, or where the turns do not cover all its tokens.
    """
    if not has_token_credit(row):
        return []
    ids = row["response_ids"]
    mask = row.get("loss_mask") or [1] * len(ids)
    texts: Sequence[str | None] = decode(ids) if decode else [None] * len(ids)
    tokens = [
        TokenCredit(id_, text, advantage if by_policy else None)
        for id_, text, advantage, by_policy in zip(ids, texts, row["token_advantages"], mask, strict=True)
    ]
    turns = transcript(row)
    if not turns or sum(turn.tokens for turn in turns) != len(tokens):
        return [(None, tokens)]
    parts: list[tuple[TranscriptTurn | None, list[TokenCredit]]] = []
    start = 0
    for turn in turns:
        parts.append((turn, tokens[start : start + turn.tokens]))
        start += turn.tokens
    return parts


def checkpoint_decoder(run: Run) -> Decode | None:
    """Decodes with the tokenizer of the newest complete checkpoint; None before there is one.

    Raises UsageError where its file is damaged.
    """
    files = [checkpoint.path / "tokenizer.json" for checkpoint in run.checkpoints() if checkpoint.complete]
    path = next((file for file in reversed(files) if file.is_file()), None)
    return None if path is None else _decoder(path)


@lru_cache(maxsize=2)
def _decoder(path: Path) -> Decode:
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise UsageError(f"{path} cannot be read ({str(error).splitlines()[0]}). Restore the checkpoint") from error
    return lambda ids: texts_of_tokens(ids, lambda some: tokenizer.decode(some, skip_special_tokens=False))


def texts_of_tokens(ids: Sequence[int], decode: Callable[[list[int]], str]) -> list[str]:
    """The text of each token. What cannot be read alone, such as a part of a character, is joined to the next token.

    A token is decoded after the one before it, because a decoder may strip the space before the first.
    (DecodeStream of tokenizers raises a bare Exception for bytes that are not a character, which a policy may sample.)
    """
    texts: list[str] = []
    before: list[int] = []
    waiting: list[int] = []
    for place, id_ in enumerate(ids):
        waiting = [*waiting, id_]
        prefix, text = decode(before), decode([*before, *waiting])
        text = text[len(prefix) :] if text.startswith(prefix) else decode(waiting)
        if text.endswith("\ufffd") and len(waiting) < LONGEST_CHARACTER and place + 1 < len(ids):
            texts.append("")
        else:
            texts.append(text)
            before, waiting = waiting, []
    return texts
