"""Questions and solutions are text of unknown origin. In the prompt of a critic such a text must not

    close the tags around it, so that it seems to be the user who speaks,
    hold tokens that end a turn or begin one, which a tokenizer takes for real ones,
    open or close a thought, or bring a verdict along: a critic that copies it would seem to have said it.

One character of each such mark is replaced by "(": the words stay readable, and no reader takes them for the mark.
Invisible characters are removed where a mark hides behind them, and stay everywhere else.

The names of the tags may end in a random number, another one in each prompt (`CritiqueFormat.random_delimiters`): then
the prompt can say which tags count, and no text can imitate them.
"""

from __future__ import annotations

import hashlib
import re

from verifiers.response import THINKING_TAGS

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\U000e0000-\U000e007f]"
)
_OPEN, _SLASH, _CLOSE = "[<\uff1c\ufe64]", "[/\uff0f]", "[>\uff1e\ufe65]"
_FRAME = r"(?:solution|steps?)\b"
_MARKS = (
    # tags around a solution or its steps; "i < steps" of a program is none
    rf"{_OPEN}(?=\s*+(?:{_SLASH}\s*+{_FRAME}|{_FRAME}[\w\s=\"'-]{{0,60}}{_SLASH}?\s*+{_CLOSE}))",
    # turns: <|im_end|> and its like, those of Llama 2, Mistral, Gemma and T5
    r"<(?=[|\uff5c][^\s<>|\uff5c]{1,60}[|\uff5c]>)",
    r"<(?=/?(?:s|bos|eos|pad|unk|sep|cls|mask|(?:start|end)_of_turn)>)",
    r"<(?=</?SYS>>)",
    r"\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    *(rf"{re.escape(tag[0])}(?={re.escape(tag[1:])})" for pair in THINKING_TAGS for tag in pair),
)
_ANY_MARK = re.compile("|".join(f"(?:{mark})" for mark in _MARKS), re.IGNORECASE)


def harmless(text: str, marks: re.Pattern[str] | None = None) -> str:
    """The text without marks. `marks` are those of a format's verdict; of each match the last character is replaced."""
    seen = _INVISIBLE.sub("", text)
    without = _without(seen, marks)
    return without if without != seen else text


def _without(text: str, marks: re.Pattern[str] | None) -> str:
    text = _ANY_MARK.sub("(", text)
    return text if marks is None else marks.sub(lambda match: f"{match.group()[:-1]}(", text)


def quoted(text: str, tag: str, number: str = "") -> str:
    """Text of unknown origin between tags that it cannot close.

    Args:
        number: ends the name of the tags: a random one, which the text cannot know. It is taken out of the text.
    """
    name = f"{tag}-{number}" if number else tag
    text = harmless(text)
    if number:
        text = re.sub(re.escape(number), "(", text, flags=re.IGNORECASE)
    return f"<{name}>\n{text}\n</{name}>"


def random_number(*parts: object) -> str:
    """64 bits as 16 digits of hexadecimal, the same for the same parts. A text that is one of the parts cannot hold its
    own number, unless its author has tried some 2^64 texts.
    """
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
