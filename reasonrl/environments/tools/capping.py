"""Results that are cut by tokens, in their middle."""

from __future__ import annotations

from typing import Any

MARK = " ... "
_CHARACTERS_PER_TOKEN = 64
"""More than tokens have in texts. What is beyond this many on both sides is cut before anything is encoded."""


def capped(tokenizer: Any, text: str, most: int) -> str:
    """`text`, or its beginning and its end with `MARK` between them, in at most `most` tokens of plain text.

    It is cut between characters and then encoded, never the other way round: a token can stand for a part of one.
    """
    side = _CHARACTERS_PER_TOKEN * most
    if len(text) > 2 * side:
        text = text[:side] + text[-side:]
    elif _tokens(tokenizer, text) <= most:
        return text

    def cut(count: int) -> str:
        return text[: (count + 1) // 2] + MARK + (text[-(count // 2) :] if count > 1 else "")

    fits, too_many = 0, len(text)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if _tokens(tokenizer, cut(middle)) <= most:
            fits = middle
        else:
            too_many = middle
    while fits and _tokens(tokenizer, cut(fits)) > most:  # fewer characters may be more tokens
        fits -= 1
    if fits:
        return cut(fits)
    beginning = text[:most]
    while _tokens(tokenizer, beginning) > most:
        beginning = beginning[:-1]
    return beginning


def _tokens(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
