"""The layers of words: the same text, plain words, "The largest n is 34", a number against a text, and prose."""

from __future__ import annotations

import re
from fractions import Fraction

from verifiers.math.layers.numbers import is_plain_number
from verifiers.math.layers.pair import Comparison, Pair
from verifiers.math.layers.phrases import IDLE, phrase_of, same_phrase
from verifiers.math.layers.preparation import MAX_CHARS, NO_UNITS
from verifiers.math.layers.statements import BOUNDED, DENIALS, bare_words, content_of, says, word_lists
from verifiers.math.normalise import rational, squeezed
from verifiers.math.number_words import number_in_words
from verifiers.math.structure import brackets_match
from verifiers.math.vocabulary import FUNCTIONS

_WORDS = re.compile(r"[A-Za-z][A-Za-z' ,.;:!?-]*[A-Za-z.!?]")
_SENTENCE = re.compile(r"[A-Z][a-z]* [^.!?]*\b(?:is|are|equals|equal to|be)\s+(?P<rest>\S.*?)\.?", re.DOTALL)
_NEAR = re.compile(r"(?:about|approximately|exactly|only|just|around) (?=[-+$\\(]*[\d\\.])", re.IGNORECASE)
_PLAIN_WORDS = re.compile(r"[A-Za-z' ,.-]+")
_LONG_WORD = re.compile(r"[A-Za-z]{4,}")
_PROSE = re.compile(r"(?<![A-Za-z])[A-Za-z]{4,} [A-Za-z]{2,}")
_FOREIGN = re.compile(r"[^\W\d_\u0000-\u024f\u0370-\u03ff]{2}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_])|[\u3002\uff01\uff1f\u0964\u061f]+|\n+")
_CHANGED = re.compile(
    r"\b(?:half|twice|double|triple|thrice|minus|negative|plus|square of|cube of|root of)(?: of)?(?: the)? [\\$]*\d"
    r"|\d \(?(?:squared|cubed|plus|minus|negative|and (?:an? |one )?(?:half|third|quarter))\b",
    re.IGNORECASE,
)
"""Words that make another number of the one beside them."""
_RUN_ON = re.compile(r"\d\s*R\s*\d|(?<![A-Za-z_\\^])[A-Za-z]{1,9}\s+\d")
_WORD_BY_NUMBER = re.compile(r"\d\s+[A-Za-z]{3,}|(?<![A-Za-z])[A-Za-z]{4,}\s+\d|\d\s*(?:[ap]\.?m\.?)(?![A-Za-z])")
_FORMULA = re.compile(r"[\\^_{}*+=<>]|\d\s*/\s*(?:[A-Za-z](?![a-z]{2})|\()|\d\s*[-\u2212]\s*\d|\)\s*/")
_CHOICE_MARK = re.compile(r"(?<![A-Za-z(])\(?[A-J]\)")
MAX_SENTENCE = 2000
_SAYINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\+?\s*\\infty|(?:there are )?(?:infinitely many|an infinite number(?: of)?|infinite)(?: \w+)?|infinity"
        r"|infinitely",
        r"\\emptyset|\\varnothing|\u2205|\\?\{\s*\\?\}|(?:the )?empty set"
        r"|(?:there (?:is|are) )?no (?:real |integer |integral |rational |positive |valid |possible |such )*"
        r"(?:solutions?|roots?|values?|integers?|numbers?|pairs?|triples?|functions?|primes?)(?: exists?)?|none",
        r"perpendicular|orthogonal|at right angles",
        r"(?:it is )?(?:impossible|not possible)|(?:it )?cannot be done",
        r"(?:it )?(?:cannot|can not|can't) be determined|(?:there is )?not enough information"
        r"|insufficient (?:information|data)|indeterminate|undetermined",
        r"(?:(?:it|the limit|limit|the integral|the sum) )?(?:does not|doesn't) exist|d\.?n\.?e\.?",
        r"\\mathbb\s*\{?\s*R\s*\}?|\u211d|(?:the set of )?all (?:the )?real(?: number)?s?"
        r"|(?:any|every) real(?: number)?"
        r"|\(-\\infty,\s*\+?\\infty\)",
    )
)
"""Phrases and signs for the same thing."""
_YES = re.compile(r"(yes|no|true|false)(?:\s*[,.;:]\s|\s+(?:because|since)\b)", re.IGNORECASE)
_THREE = re.compile(r"[^\W\d_]{3}")
_ENVIRONMENT = re.compile(r"\\(?:begin|end|operatorname)\s*\{\w+\*?\}")
_COMMANDS = re.compile(r"\\[A-Za-z]+")
_NUMBERS = re.compile(r"(?<![A-Za-z0-9_.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?(?![A-Za-z0-9_]|\.\d)")
_FILLERS = frozenset(
    {"this", "that", "these", "those", "there", "then", "than", "with", "from", "into", "will", "have", "been", "some"}
)


def same_text(pair: Pair) -> Comparison | None:
    """Equal where both are the same text up to spacing and the two names of a relation; else None."""
    if squeezed(pair.answer) == squeezed(pair.gold):
        return Comparison(True, "text")
    if len(pair.answer) + len(pair.gold) <= MAX_CHARS and spelling(pair.answer) == spelling(pair.gold):
        return Comparison(True, "text")
    return None


def spelling(text: str) -> str:
    """Braces around one sign, and the two names of each relation, make no difference."""
    text = re.sub(r"\\(le|ge|ne)(?:q|qslant|slant)(?![A-Za-z])", r"\\\1 ", text)
    return squeezed(" ".join(re.sub(r"\{(\w)\}", r"\1", text).replace("<=", "\\le ").replace(">=", "\\ge ").split()))


def words(pair: Pair) -> Comparison | None:
    """Whether two numbers in words or plain words are the same; None where neither side is of words, or they
    stand against a formula.
    """
    for word, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if (spelt := number_in_words(word)) is not None:
            value = number_in_words(other) if number_in_words(other) is not None else rational(other)
            if value is not None:
                return Comparison(spelt == value, "words", "a number in words")
    for phrase in _SAYINGS:
        if phrase.fullmatch(pair.answer) and phrase.fullmatch(pair.gold):
            return Comparison(True, "words", "another wording")
    for text, other, swap in ((pair.answer, pair.gold, False), (pair.gold, pair.answer, True)):
        if text[:1].isalpha() and (near := _NEAR.match(text)):  # \\text{about } 12
            return pair.inner(other, text[near.end() :]) if swap else pair.inner(text[near.end() :], other)
    if re.match(r"not\s", pair.answer) and not re.match(r"not\s", pair.gold):
        return Comparison(False, "words", "a denial")
    if (opinion := _YES.match(pair.answer)) and re.fullmatch(r"yes|no|true|false", pair.gold, re.IGNORECASE):
        return Comparison(opinion[1].casefold() == pair.gold.casefold() and not BOUNDED.search(pair.answer), "words")
    if is_words(pair.gold):
        if pair.policy.quoted_words and is_words(pair.answer) and quotes(pair.answer, pair.gold):
            return Comparison(True, "words", "a phrase of the reference")
        if is_words(pair.answer) or is_plain_number(pair.answer):
            answer, gold = content_of(pair.answer), content_of(pair.gold)
            if (lists := word_lists(pair)) is not None:
                return lists
            stated = (pair.policy.sentences and says(pair.answer) == gold != []) or (
                pair.policy.quoted_words and says(pair.gold) == answer != []
            )
            return Comparison(answer == gold or stated, "words")
        return None
    if is_words(pair.answer) and is_plain_number(pair.gold):
        return Comparison(False, "words", "words where a number is due")
    return None


def quotes(answer: str, gold: str) -> bool:
    """Whether the answer is a name, or a phrase of two words with content, out of a reference that is a sentence and
    denies nothing.
    """
    answer_words, gold_words = bare_words(answer).split(), bare_words(gold).split()
    if (
        len(gold_words) < (3 if gold_words[:1] == answer_words else 4)
        or len(answer_words) > len(gold_words)
        or DENIALS & set(gold_words)
        or not answer_words
    ):
        return False
    if not any(
        gold_words[i : i + len(answer_words)] == answer_words for i in range(len(gold_words) - len(answer_words) + 1)
    ):
        return False
    is_name = (
        not {"and", "or"} & set(gold_words)
        and answer[:1].isupper()
        and len(answer_words) == 1
        and len(answer_words[0]) > 3
    )
    return is_name or sum(word not in _FILLERS and len(word) > 3 for word in answer_words) >= 2


def is_words(text: str) -> bool:
    """Whether the text is plain words with at least three letters in a row, and no name of a function."""
    return (
        _WORDS.fullmatch(text) is not None
        and re.search(r"[A-Za-z]{4,}|^[A-Za-z]{3}$|^(?:the|an?) [a-z]{3}", text) is not None
        and text.lower() not in NO_UNITS
    )


def sentence(pair: Pair) -> Comparison | None:
    """Whether the value that a sentence states ("The largest n is 34", "Jane started 3 hours ago") is the reference;
    None if it is no sentence, or states none.
    """
    if not pair.policy.sentences:
        return None
    match = _SENTENCE.fullmatch(pair.answer)
    if match and not _SENTENCE.fullmatch(pair.gold):
        comparison = pair.inner(match["rest"], pair.gold)
        if comparison is not None and comparison.equal:
            return comparison
    stated = stated_number(pair.answer_words) if is_plain_number(pair.gold) else None
    if stated is not None:
        return Comparison(stated == rational(pair.gold), "number in a sentence")
    return pair.inner(match["rest"], pair.gold) if match and not _SENTENCE.fullmatch(pair.gold) else None


def unlike(pair: Pair) -> Comparison | None:
    """Unequal where one side is empty, or a plain number stands against prose or unmatched brackets. None for what is
    left to algebra.
    """
    if not re.search(r"\w", pair.answer) or not re.search(r"\w", pair.gold):
        return Comparison(False, "unlike", "nothing to read")
    for text, other in ((pair.answer, pair.gold), (pair.gold, pair.answer)):
        if is_plain_number(text) and (not brackets_match(other) or _PROSE.search(_COMMANDS.sub(" ", other))):
            return Comparison(
                False,
                "unlike",
                "a text where a number is due" if other == pair.answer else "a number where a text is due",
            )
    return None


def stated_number(text: str) -> Fraction | None:
    """The one number of the last sentence of a prose, or what stands behind its last equals sign: 3 in "Jane started 3
    hours ago". None without prose, with several numbers, and where the sentence denies, hedges or only bounds it.
    """
    sentences = [part for part in _SENTENCE_END.split(text[-MAX_SENTENCE:].strip()) if re.search(r"\w", part)]
    bare = _COMMANDS.sub(" ", text)
    if not sentences or not (_PROSE.search(bare) or _FOREIGN.search(text) or _THREE.search(bare)):
        return None
    last = sentences[-1].replace("$", " ").replace("**", " ")
    if (
        _CHOICE_MARK.search(last)
        or DENIALS & set(re.findall(r"[^\W\d_]+(?:'t)?", last.casefold()))
        or BOUNDED.search(last)
        or _CHANGED.search(last)
    ):
        return None
    for part in (last, last.rpartition("=")[2], re.split(r"[\uff0c\u3002\uff1b\u060c]", last)[-1]):
        numbers = {rational(number.replace(",", "")) for number in _NUMBERS.findall(part)}
        if len(numbers) == 1 and not _FORMULA.search(part):
            return numbers.pop()
    return None


def prose(pair: Pair) -> Comparison | None:
    """What is left of prose after all other layers: the same words and numbers, or unequal. Algebra would read its
    words as products of letters. None where neither side is prose.
    """
    if not (is_prose(pair.answer_words) or is_prose(pair.gold_words)):
        return None
    phrases = phrase_of(pair.answer_words), phrase_of(pair.gold_words)
    if phrases[0] and phrases[1]:
        same = same_phrase(phrases[0], phrases[1])
    elif phrases[0] is None and phrases[1] is None:  # "II only" and II
        plain = [_PLAIN_WORDS.fullmatch(text) is not None for text in (pair.answer_words, pair.gold_words)]
        same = all(plain) and content_of(pair.answer_words, IDLE) == content_of(pair.gold_words, IDLE) != []
    else:  # "5% increase" and 5%
        phrase, other = (phrases[0], pair.gold) if phrases[0] else (phrases[1], pair.answer)
        numbers = phrase.numbers if phrase and pair.policy.missing_units and not _bounded(pair) else ()
        same = len(numbers) == 1 and rational(other.rstrip("\\%")) == numbers[0]
    return Comparison(same, "words", "" if same else "prose is compared by its words and numbers")


def _bounded(pair: Pair) -> bool:
    text = f"{pair.answer_words} {pair.gold_words}"
    return (
        BOUNDED.search(text) is not None
        or _CHANGED.search(text) is not None
        or bool(DENIALS & set(bare_words(text).split()))
    )


def is_prose(text: str) -> bool:
    """Whether a text has words beside its numbers: two words, or a number behind a letter as in "7 R 3"."""
    bare = _COMMANDS.sub(" ", _ENVIRONMENT.sub(" ", text))
    if any(word not in FUNCTIONS for word in _LONG_WORD.findall(bare)):
        return True
    return (
        _PROSE.search(bare) is not None or _RUN_ON.search(bare) is not None or _WORD_BY_NUMBER.search(bare) is not None
    )
