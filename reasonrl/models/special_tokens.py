"""Which special tokens stand in the text that verifiers, format rewards, critics and people read.

A tokenizer calls a token special for one of two reasons: it frames the conversation (begin and end of a text, padding,
who speaks, where a turn ends), or it has a meaning within the response (thinking, tool calls, answer tags). The first
kind is dropped, the second stays, so that a response reads the same whether its <think> is special or six characters.

Dropped are
    the tokenizer's bos, eos, pad, unk, cls, sep and mask tokens,
    the special tokens that the chat template writes around a user's message and before the assistant's, except tags
    in pairs that it opens for the assistant, such as <think>,
    the added token that ended the response.

A prompt may open a thought itself: many templates of reasoning models end in "<think>\\n". The response then continues
this thought, and its text begins with what the prompt has of it. Without that, a thought that is never closed would
be read as an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from reasonrl.errors import DataError, ModelError
from reasonrl.models.chat_template import ASSISTANT_TEXT, apply_template
from verifiers.response import THINKING_TAGS
from verifiers.types import Message

_USER, _NEXT = "reasonrl-user-text", "reasonrl-next-text"
_NAMED = ("bos", "eos", "pad", "unk", "cls", "sep", "mask")
_NO_FRAME_TAIL = 48
"""Tokens at the end of a prompt in which an opened thought is looked for, where no token marks the assistant's turn."""


@dataclass(frozen=True)
class SpecialTokens:
    """The special tokens of one tokenizer, by what becomes of them in a text."""

    dropped: dict[int, str]
    meaningful: dict[int, str]
    added: frozenset[int]
    """Every token that was added to the vocabulary, special or not."""
    turn: frozenset[int]
    """Added tokens that the chat template writes between a user's text and the assistant's."""
    header: str
    """What the chat template writes there, where it writes none of these: plain characters mark the turn."""

    def line(self) -> str:
        """One line for people."""
        return f"keeps {_listed(self.meaningful.values())}; drops {_listed(self.dropped.values())}"


def special_tokens(tokenizer: Any) -> SpecialTokens:
    """What is dropped and what is kept of a tokenizer's special tokens. Worked out once for each chat template."""
    state = (str(getattr(tokenizer, "chat_template", None)), *_named_ids(tokenizer))
    cached = _cache.get(tokenizer)
    if cached is None or cached[0] != state:
        cached = (state, _sort_tokens(tokenizer))
        _cache[tokenizer] = cached
    return cached[1]


_cache: WeakKeyDictionary[Any, tuple[tuple[Any, ...], SpecialTokens]] = WeakKeyDictionary()


def visible_text(tokenizer: Any, token_ids: Sequence[int], *, ended: bool = False) -> str:
    """Tokens as text, without what is dropped. `ended`: the last token ended the response, so an added one is not part
    of it.
    """
    return str(tokenizer.decode(_visible_ids(tokenizer, token_ids, ended), skip_special_tokens=False))


def response_until_stop(tokenizer: Any, token_ids: Sequence[int], stop: Sequence[str], *, ended: bool = False) -> str:
    """`visible_text` cut before the first of the stop strings, which may hold tokens that are dropped."""
    text = visible_text(tokenizer, token_ids)  # a stop string may end with an added token
    cuts = [text.find(string) for string in stop if string in text]
    if cuts:
        return text[: min(cuts)]
    dropped = special_tokens(tokenizer).dropped.values()
    framed = [string for string in stop if any(token in string for token in dropped)]
    whole = str(tokenizer.decode(list(token_ids), skip_special_tokens=False)) if framed else ""
    cuts = [whole.find(string) for string in framed if string in whole]
    if not cuts:
        return visible_text(tokenizer, token_ids, ended=ended)
    before = whole[: min(cuts)]
    for token in dropped:
        before = before.replace(token, "")
    return before


def opened_thought(tokenizer: Any, prompt_ids: Sequence[int]) -> str:
    """What a prompt holds of a thought that the response continues, its opening tag first; "" where none is open.

    A tag in the text of a user does not count: it is looked for where the assistant's turn has begun, or, in a prompt
    in which nothing shows this, at the very end.
    """
    turn, header = special_tokens(tokenizer).turn, special_tokens(tokenizer).header
    begin = next((i + 1 for i in range(len(prompt_ids) - 1, -1, -1) if prompt_ids[i] in turn), None)
    tail = prompt_ids[-_NO_FRAME_TAIL:] if begin is None else prompt_ids[begin:]
    text = str(tokenizer.decode(list(tail), skip_special_tokens=False)) if len(tail) else ""
    in_turn = begin is not None
    if header and (whole := str(tokenizer.decode(list(prompt_ids), skip_special_tokens=False))).rfind(header) >= 0:
        text, in_turn = whole.rpartition(header)[2], True
    for opening, closing in THINKING_TAGS:
        place = text.rfind(opening)
        if place < 0 or closing in text[place:]:
            continue
        if in_turn or text.rstrip().endswith(opening):
            return text[place:]
    return ""


def closing_tag(opened: str) -> str:
    """The tag that closes what `opened_thought` returned."""
    return next(closing for opening, closing in THINKING_TAGS if opened.startswith(opening))


def without_opened_thought(tokenizer: Any, prompt_ids: Sequence[int], text: str) -> str:
    """A text to be taught after a prompt: what the prompt has opened itself is not written a second time."""
    opened = opened_thought(tokenizer, prompt_ids)
    if not opened:
        return text
    if text.startswith(opened):
        return text[len(opened) :]
    tag = opened.rstrip()
    stripped = text.lstrip()
    return stripped[len(tag) :].lstrip("\n") if stripped.startswith(tag) else text


def _visible_ids(tokenizer: Any, token_ids: Sequence[int], ended: bool) -> list[int]:
    tokens = special_tokens(tokenizer)
    ids = list(token_ids)
    if ended and ids and ids[-1] in tokens.added:
        ids.pop()
    return [token for token in ids if token not in tokens.dropped]


def _named_ids(tokenizer: Any) -> list[int]:
    ids = (getattr(tokenizer, f"{name}_token_id", None) for name in _NAMED)
    return [token for token in ids if token is not None]


def _sort_tokens(tokenizer: Any) -> SpecialTokens:
    decoder = getattr(tokenizer, "added_tokens_decoder", {})
    added = {int(token): str(content) for token, content in decoder.items()}
    special = {token for token, content in decoder.items() if content.special}
    special |= set(getattr(tokenizer, "all_special_ids", ()))
    named = set(_named_ids(tokenizer))
    around, before_assistant = _frame(tokenizer)
    tags = {tag for pair in THINKING_TAGS for tag in pair}
    frame = {i for i in _added_in(tokenizer, around, added) if added[i] not in tags}
    header = {i for i in _added_in(tokenizer, before_assistant, added) if added[i] not in tags}
    turn = {i for i in header if i in frame or not _has_partner(added[i], added)}
    dropped = (special & (frame | turn)) | named
    texts = added | {i: str(tokenizer.convert_ids_to_tokens(i)) for i in (special | named) - set(added)}
    return SpecialTokens(
        {i: texts[i] for i in sorted(dropped)},
        {i: texts[i] for i in sorted(special - dropped)},
        frozenset(added),
        frozenset(turn),
        "" if turn else _before_tags(before_assistant).strip(),
    )


def _frame(tokenizer: Any) -> tuple[str, str]:
    """What the chat template writes from an assistant's text to the end of the next user's, and what it writes between
    a user's text and the assistant's; empty where there is no template, or none that renders these.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        return "", ""
    user: Message = {"role": "user", "content": _USER}
    exchange = _render(
        tokenizer, [user, {"role": "assistant", "content": ASSISTANT_TEXT}, {"role": "user", "content": _NEXT}]
    )
    question = _render(tokenizer, [user], add_generation_prompt=True)
    around = exchange.rpartition(ASSISTANT_TEXT)[2].replace(_NEXT, " ") if ASSISTANT_TEXT in exchange else ""
    return around, question.rpartition(_USER)[2] if _USER in question else ""


def _before_tags(text: str) -> str:
    for opening, _ in THINKING_TAGS:
        text = text.partition(opening)[0]
    return text


def _render(tokenizer: Any, messages: list[Message], **options: Any) -> str:
    """Empty where the template does not take these messages: what is wrong with real ones is said where they are
    rendered.
    """
    try:
        return apply_template(tokenizer, messages, "a test", **options)
    except (DataError, ModelError):
        return ""


def _added_in(tokenizer: Any, text: str, added: dict[int, str]) -> set[int]:
    return set(tokenizer(text, add_special_tokens=False)["input_ids"]) & set(added) if text else set()


def _has_partner(token: str, added: dict[int, str]) -> bool:
    """Whether a token is an opening or a closing tag whose partner is a token as well."""
    name = token.strip("<>[]|/")
    closed, opened = token.replace(name, f"/{name}", 1), token.replace(f"/{name}", name, 1)
    return any(other != token and other in added.values() for other in (closed, opened))


def _listed(tokens: Any, most: int = 12) -> str:
    shown = list(tokens)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more if shown else "none"
