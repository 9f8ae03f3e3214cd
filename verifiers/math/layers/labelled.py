"""The layer of labels: what belongs to which number."""

from __future__ import annotations

import re

from verifiers.math.layers.assignments import is_head
from verifiers.math.layers.pair import Comparison, Pair, all_equal
from verifiers.math.layers.phrases import phrase_of, same_phrase, word_stem
from verifiers.math.normalise import rational, squeezed
from verifiers.math.structure import matrix_rows, sides, split_list, split_outside, unwrap_set, unwrap_tuple
from verifiers.math.vocabulary import FUNCTIONS

_INDEX = re.compile(
    r"\s*(?:\(([a-h]|[ivx]{1,4}|\d)\)|([a-h]|[ivx]{1,4}|\d)\)|(?:part|case)\s+\(?([a-h]|\d)\)?:?)\s*(?:[:=]\s*)?(?=\S)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\s*([^\W\d_][^:=,;()]{0,60}?)\s*(?::|=|\bis\b|\bare\b)\s*(?=\S)")
_HALF_INDEX = re.compile(r"(?<![(\w])([a-h]|[ivx]{1,4}|\d)\)\s")
_POINT = re.compile(r"\s*([A-Z]'?)\s*(\([^()]*,[^()]*\))\s*")
_WORD = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{3,}")
_INDICES = re.compile(r"(?:^|(?<=[\s,;]))(?=\((?:[a-h]|[ivx]{1,4}|\d)\)\s*[^\s,;)])", re.IGNORECASE)


def labelled(pair: Pair) -> Comparison | None:
    """Whether two lists give the same values to the same labels; against a bare list, in the same order. None where no
    side has labels.
    """
    sides_ = labelled_values(pair.answer), labelled_values(pair.gold)
    answer, gold = sides_
    if answer and gold:
        return _by_label(pair, answer, gold)
    for one, other, swap in ((gold, pair.answer, False), (answer, pair.gold, True)):
        if one is None:
            continue
        bare = _bare_values(other)
        if bare is not None and len(bare) == len(one):
            values = [value for _, value in one]
            return all_equal(
                pair,
                list(zip(values, bare, strict=True) if swap else zip(bare, values, strict=True)),
                "labels in order",
            )
    for text, other in ((pair.gold, pair.answer), (pair.answer, pair.gold)):
        shared = _shared_value(text) if text.count("=") > 1 else None
        if shared and len(single := sides(other)) == 2 and single[0] in dict(shared):  # x = y = 2 and x = 2
            return Comparison(False, "labels", "another number of members")
    return _phrases(pair)


def _by_label(pair: Pair, answer: list[tuple[str, str]], gold: list[tuple[str, str]]) -> Comparison | None:
    if len(answer) != len(gold):
        return Comparison(False, "labels", "another number of members")
    values = dict(answer)
    if set(values) == {label for label, _ in gold}:
        return all_equal(pair, [(values[label], value) for label, value in gold], "labels")
    phrases = phrase_of(pair.answer_words), phrase_of(pair.gold_words)
    if phrases[0] and phrases[1] and same_phrase(phrases[0], phrases[1]):
        return Comparison(True, "labels")
    if all(label.startswith("#") for listed in (answer, gold) for label, _ in listed):
        return all_equal(pair, [(a, g) for (_, a), (_, g) in zip(answer, gold, strict=True)], "labels in order")
    return Comparison(False, "labels", "the labels differ")


def _phrases(pair: Pair) -> Comparison | None:
    answer, gold = phrase_of(pair.answer_words), phrase_of(pair.gold_words)
    if answer and gold and len(gold.numbers) == len(answer.numbers) == 1:
        return Comparison(True, "words") if same_phrase(answer, gold) else None
    if answer and gold:
        return Comparison(
            same_phrase(answer, gold), "labels", "" if same_phrase(answer, gold) else "other labels or numbers"
        )
    for phrase, other in ((answer, pair.gold_words), (gold, pair.answer_words)):
        if phrase is None or len(phrase.numbers) < 2:
            continue
        bare = _bare_values(other)
        numbers = [rational(value) for value in bare or []]
        if len(numbers) == len(phrase.numbers) and None not in numbers:
            same = numbers == list(phrase.numbers)
            return Comparison(same, "labels in order", "" if same else "other numbers, or another order")
    return None


def _bare_values(text: str) -> list[str] | None:
    """The members of a list or a tuple without labels; None if it is no list, or a set."""
    if unwrap_set(text) is not None or any(word not in FUNCTIONS and word != "and" for word in _WORD.findall(text)):
        return None
    if pack := unwrap_tuple(text):
        return pack[1]
    members = split_list(text)
    return members if len(members) > 1 and not any("=" in member for member in members) else None


def labelled_values(text: str) -> list[tuple[str, str]] | None:
    """Label and value of each member of "x = 3, y = 8", "Alice: 3, Bob: 8", "(a) 3 (b) 5", or "T(1), T(2) = 2, 4"; None
    unless all members have labels, and all are different.
    """
    if not ("=" in text or ":" in text or ")" in text or " is " in text) or len(text) > 2000:
        return None
    if "\\begin" in text and (rows := matrix_rows(text)):
        text = ", ".join("".join(row).rstrip(" ,;.") for row in rows)
    if text.count(")") > text.count("("):
        text = _HALF_INDEX.sub(r"(\1) ", text)
    if (listed := _listed_heads(text) or _shared_value(text)) is not None:
        return listed
    parts = split_list(text)
    if len(parts) == 1 and ")" in text:
        parts = [part.strip() for part in _INDICES.split(text) if part.strip()]
    if not 2 <= len(parts) <= 32:
        return None
    members = [_labelled(part) for part in parts]
    if None in members:
        return None
    pairs = [pair for pair in members if pair]
    labels = {label for label, _ in pairs}
    return pairs if len(labels) == len(pairs) else None


def _shared_value(text: str) -> list[tuple[str, str]] | None:
    """x = y = z = 1 as three labels."""
    *heads, value = sides(text) if text.count("=") > 1 else [""]
    if (
        len(heads) < 2
        or "," in text
        or not all(re.fullmatch(r"\\?[A-Za-z]{1,7}(?:_\{?\w\}?)?", head) for head in heads)
    ):
        return None
    return [(_name(head), value) for head in heads] if len(set(heads)) == len(heads) and is_head(heads[0]) else None


def _labelled(part: str) -> tuple[str, str] | None:
    if index := _INDEX.match(part):
        return "#" + (index[1] or index[2] or index[3]).casefold(), part[index.end() :].strip()
    if point := _POINT.fullmatch(part):
        return point[1], point[2]
    equation = sides(part)
    if len(equation) == 2 and is_head(equation[0]):
        return _name(equation[0]), equation[1]
    label = _LABEL.match(part)
    if label is None or not (len(label[1]) == 1 or re.search(r"[^\W\d_]{2}", label[1])):
        return None
    words = " ".join(word_stem(word) for word in re.findall(r"[^\W\d_]+|\d+", label[1]))
    return (words, part[label.end() :].strip()) if words else None


def _name(head: str) -> str:
    """a_{1} and a_1 are one name."""
    return re.sub(r"\{(\w+)\}", r"\1", squeezed(head).replace("\\var", "\\"))


def _opened(text: str) -> str:
    """(x, y) as x, y."""
    pack = unwrap_tuple(text)
    return ", ".join(pack[1]) if pack else text


def _listed_heads(text: str) -> list[tuple[str, str]] | None:
    """a, b, c = 1, 2, 3."""
    equation = sides(text)
    if len(equation) != 2 or "," not in equation[0]:
        return None
    heads, values = (split_outside(_opened(side), re.compile(r",|\band\b")) for side in equation)
    heads, values = [head.strip() for head in heads], [value.strip() for value in values]
    if len(heads) != len(values) or len(heads) < 2 or not all(values) or not all(map(is_head, heads)):
        return None
    return list(zip(map(_name, heads), values, strict=True)) if len(set(heads)) == len(heads) else None
