"""The layer of multiple choice: (D), D, "(D) 24" of the AMC, and the one choice that a sentence does not deny."""

from __future__ import annotations

import re
from dataclasses import dataclass

from verifiers.math.layers.pair import Comparison, Pair

MAX_CHARS = 600
_BARE = re.compile(r"(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)?:? )?\(?([A-J])\)?[.:]?", re.IGNORECASE)
_FOREIGN = re.compile(r"[^\x00-\x7f]{1,12}\s*[:\uff1a]?\s*\(?([A-J])\)?[.\u3002]?")
"""The answer is B, in a language that is not written in ASCII."""
_WITH_TEXT = re.compile(
    r"(?:\(([A-J])\)[.:]?\s*(?=[^\s(])|([A-J])[.:)]\s+(?=\S)|\(([A-J])\)[.:]?\s+(?=\()|([B-J])\s+(?=[A-Z][a-z]{2}))(.+)",
    re.DOTALL,
)
_ANOTHER = re.compile(r"\s*\(?[A-J]\)|\s*(?:or|and|/|,|;|&|to|-|\u2013)\s*\(?[A-J]\b")
_RANGE = re.compile(r"\(?\b[A-J]\)?\s*(?:-|\u2013|to|through|\.\.+)\s*\(?[A-J]\b")
_LETTERS = re.compile(r"[A-J](?:(?:\s*(?:,|;|and|&)\s*|\s*)[A-J]){1,9}")
_MENTIONED = re.compile(r"(?<![\w\\'^_{-])(?:\(([A-J])\)|([A-J]))(?![\w'^_(])")
_DENIED = re.compile(
    r"\b(?:not|never|neither|nor|isn't|can't|cannot|non|nicht|pas|rather than|instead of|eliminat\w*|rul\w* out"
    r"|exclud\w*|unlike|wrong)\b[^.;!?]*"
    r"|(?:\(?[A-J]\)?(?:\s*(?:,|and|or)\s*)?)+\s*(?:is|are)\s+(?:not|wrong|incorrect|false|impossible|out)\b[^.,;!?]*",
)
_UNDECIDED = re.compile(
    r"\b(?:or|either|maybe|perhaps|possibly|probably|likely|guess|could|might|except|unless|any|anything|every|everything|all|but|other)\b",
    re.IGNORECASE,
)
_PROSE = re.compile(r"[^\W\d_]{4,}")
_SENTENCE = re.compile(r"[^\W\d_]{2,}.*\s", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Choice:
    letter: str
    statement: str
    """What the choice says; empty where only its letter is there."""


def choice_of(text: str) -> Choice | None:
    """The choice that a text is: its letter, or its letter and what it says. None if it is none."""
    if len(text) > MAX_CHARS:
        return None
    if not text.isascii() and (foreign := _FOREIGN.fullmatch(text)):
        return Choice(foreign[1], "")
    if bare := _BARE.fullmatch(text):
        return Choice(bare[1], "")
    if (described := _WITH_TEXT.fullmatch(text)) and not _ANOTHER.match(described[5]):
        return Choice(next(filter(None, described.groups())), described[5].strip())
    return None


def choice(pair: Pair) -> Comparison | None:
    """Whether both are the same choice. `(D) 24` equals D, (D) and 24, but neither (D) 25 nor (E) 24. None where no
    side has a letter, or a lone letter may be the name of a variable.
    """
    answer_text, gold_text = pair.answer_words, pair.gold_words
    if (several := _several(answer_text, gold_text)) is not None:
        return several
    answer, gold = choice_of(answer_text), choice_of(gold_text)
    if answer and gold:
        return _two(pair, answer, gold, lone=len(answer_text) == len(gold_text) == 1)
    for one, other, other_text, swap in ((gold, answer, answer_text, False), (answer, gold, gold_text, True)):
        if one is None or other is not None:
            continue
        if not one.statement:
            meant = None if swap or not pair.policy.sentences else choice_in_sentence(answer_text)
            return None if meant is None else Comparison(meant == one.letter, "choice", "the one that is not denied")
        comparison = pair.inner(one.statement, other_text) if swap else pair.inner(other_text, one.statement)
        return comparison or (None if _PROSE.search(one.statement) else Comparison(False, "choice"))
    return None


def _two(pair: Pair, answer: Choice, gold: Choice, *, lone: bool) -> Comparison | None:
    if lone:  # x and X are two variables, and so may C and c be
        return Comparison(answer.letter == gold.letter, "choice") if answer.letter.isupper() else None
    if answer.letter.upper() != gold.letter.upper():
        return Comparison(False, "choice")
    if answer.statement and gold.statement and not (_PROSE.search(answer.statement) and _PROSE.search(gold.statement)):
        same = pair.inner(answer.statement, gold.statement)
        return Comparison(same is not None and same.equal, "choice", "" if same and same.equal else "another value")
    return Comparison(True, "choice")


def _several(answer: str, gold: str) -> Comparison | None:
    """AD, "A, D" and "D and A" are the same choices."""
    answer, gold = (re.sub(r"\(([A-J])\)", r"\1", text) for text in (answer, gold))
    if not (_LETTERS.fullmatch(answer) and _LETTERS.fullmatch(gold)):
        return None
    letters = [re.findall("[A-J]", text) for text in (answer, gold)]
    if any(len(set(found)) < len(found) for found in letters):
        return None
    return Comparison(set(letters[0]) == set(letters[1]), "choice")


_ARTICLE = re.compile(r"\s+(?!and\b|or\b|is\b|as\b)[a-z]")
_LISTED_BEFORE = re.compile(r"(?<![A-Za-z])[A-J]\)?\s*(?:,|,?\s(?:and|or))\s*$")
"""Another choice stands right before: "D and A remain"."""


def choice_in_sentence(text: str) -> str | None:
    """The only choice that a sentence names without a denial: D in "D, it can't be A or B". None if there is none, or
    if there are several.
    """
    if len(text) > MAX_CHARS or not _SENTENCE.search(text) or _RANGE.search(text):
        return None
    letters = set()
    undenied = _DENIED.sub(" ", text)
    if _UNDECIDED.search(undenied):
        return None
    for match in _MENTIONED.finditer(undenied):
        letter = match[1] or match[2]
        before, behind = undenied[: match.start()], undenied[match.end() :]
        if letter == "A" and not match[1] and _ARTICLE.match(behind) and not _LISTED_BEFORE.search(before):
            continue  # the article
        if letter == "I" and not match[1]:
            continue
        letters.add(letter)
    return letters.pop() if len(letters) == 1 else None
