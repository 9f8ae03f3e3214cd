"""Finds the final answer in a response. Text in, text out: nothing is evaluated here, and every scan is linear in the
text.

Modes:
    strict: a marked answer only: the last \\boxed{...} (braces matched), <answer>...</answer>, "#### x" on a line of
        its own, or "The answer is x" at the end.
    lenient: a marked answer if there is one; else the last LaTeX expression or number.
    whole: the stripped response as it stands (few-shot prompts that ask for the bare answer).

A model that writes several different marked answers is credited with none of them, and an unfinished last mark is not
an answer: otherwise a policy learns to give many answers, or to be cut off at the right moment.
"""

from __future__ import annotations

import re

from verifiers.math.compare import compare
from verifiers.math.layers.choices import choice_of
from verifiers.math.normalise import plain_text, same_plain
from verifiers.math.unmarked import last_expression, trimmed
from verifiers.math.wording import without_lead
from verifiers.response import Extraction, Mode, boxes, check_mode, strip_thinking

TAIL_CHARS = 600  # "The answer is x" counts at the end only
LENIENT_CHARS = 4000  # the last number or formula is looked for in so much text

_HEADING = re.compile(r"[*_]*(?:\d+(?:\.\d+)*[.):]\s+)?[^\W\d_]{3,}(?=[-\s:*_]|$)")
_BETWEEN_BOXES = re.compile(r"\\boxed\b")
_ANSWER_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_HASHES = re.compile(r"^[ \t]*####[ \t]*(.*)$", re.MULTILINE)
_MARKDOWN = re.compile(r"\*\*|__")
_HOPE = re.compile(r"\.?\s*I hope (?:it|this) is correct\.?\s*$", re.IGNORECASE)
_PHRASE = re.compile(
    r"\b(?:the|final)\s+(?:\w+\s+){0,2}?answer(?:\s+to\s[^.:\n]{1,80}?)?\s*(?::\s*|\s+is\b\s*:?\s*)(?P<answer>.+)$",
    re.IGNORECASE,
)
_ANSWER_LINE = re.compile(r"^(?:final\s+)?answer\s*:\s*(?P<answer>.+)$", re.IGNORECASE)
_CHOICE_PHRASE = re.compile(
    r"\b(?:correct|right|best|final)\s+(?:option|choice)\s*(?::|is)\s*:?\s*(?P<answer>\(?[A-J]\)?(?![A-Za-z]).*)$",
    re.IGNORECASE,
)
_CHOICE_FIRST = re.compile(r"\(?[A-J](?:\)?[.:]|\))\s")
_DISPLAY = frozenset({"\\[", "\\]", "$$", "\\(", "\\)"})
_PART = re.compile(
    r"(?:[-*\u2022]\s+)?[*_$\\(\[\s]*(?:(?:part|case|question|problem)\s*)?"
    r"(?:\(?(?P<index>[a-h]|[ivx]{1,4}|\d)[).:]+[*_\s]*)?"
    r"(?:(?P<name>\\?[A-Za-z]{1,8}(?:_\{?\w+\}?)?)\s*=|[^\W\d_][\w ']{0,40}(?::|\bis|\bare|=))?[*_$\\(\[\s]*",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(
    r"(?:\.{2,}|\\[lc]?dots|\u2026|\?|(?:\\text\{)?\s*(?:the |your |my )?(?:final )?answer\s*\}?|)", re.IGNORECASE
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def extract(response: str, mode: Mode = "strict") -> Extraction:
    """Reads the final answer out of a response.

    Raises:
        ValueError: the mode is unknown.
    """
    check_mode(mode)
    text = strip_thinking(response)
    text = (text if text.isascii() else _INVISIBLE.sub("", text)).strip()
    if not text:
        return Extraction(None, "the response is empty" if not response.strip() else "nothing follows the thinking")
    if mode == "whole":
        return Extraction(text, "the whole response")
    marked, problem = _marked(text)
    if problem:
        return Extraction(None, problem)
    if marked:
        different = _different([answer for answer, _ in marked])
        if different and (letter := _choice_behind_formulas(marked)):
            return Extraction(letter, "answer phrase, a choice")
        only_boxes = all(mark == "boxed" for _, mark in marked)
        listed = _boxes_of_one_sentence(text) or (_boxes_on_lines(text) if only_boxes else None) if different else None
        if different and listed:
            return Extraction(listed, "boxed, several parts")
        if different:
            shown = ", ".join(_short(answer) for answer in different[:3])
            return Extraction(None, f"several different final answers: {shown}{', ...' if len(different) > 3 else ''}")
        answer, mark = marked[-1]
        return Extraction(answer, mark)
    if mode == "lenient":
        last = last_expression(text[-LENIENT_CHARS:])
        if last is not None:
            return last
    return Extraction(None, "no marked final answer" if mode == "strict" else "no answer, formula or number")


def _marked(text: str) -> tuple[list[tuple[str, str]], str]:
    """Every marked answer with the mark that it has, and what makes the marks worthless, if anything."""
    contents, is_open = boxes(text)
    if is_open:
        return [], "the last box is not closed"
    # "We put the answer within \\boxed{}" is not an answer, unless it is the last box.
    marked = [
        (content, "boxed")
        for place, content in enumerate(contents, start=1)
        if not _PLACEHOLDER.fullmatch(content) or place == len(contents)
    ]

    opened: int | None = None
    for tag in _ANSWER_TAG.finditer(text):
        if not tag.group().startswith("</"):
            opened = tag.end()
        elif opened is not None:
            marked.append((_unboxed(text[opened : tag.start()]), "answer tag"))
            opened = None
    if opened is not None:
        return [], "the last <answer> is not closed"

    if "####" in text:
        marked += [
            (_unboxed(line[1]), "####")
            for line in _HASHES.finditer(text)
            if not _is_heading(line[1], text[line.end() :])
        ]
    phrase = _final_phrase(text)
    if phrase:
        marked.append((_unboxed(phrase), "answer phrase"))
    if any(not content for content, _ in marked):
        return [], "the marked answer is empty"
    return marked, ""


def _is_heading(line: str, following: str) -> bool:
    """A heading of Markdown, not an answer: it begins with a word, perhaps after a number, and text follows it."""
    return _HEADING.match(line) is not None and bool(following.strip())


def _unboxed(text: str) -> str:
    """What a mark holds: the box in it, if there is one, since the box is the more exact mark."""
    contents, _ = boxes(text)
    return contents[-1] if contents else trimmed(text)


def _final_phrase(text: str) -> str:
    tail = text[-TAIL_CHARS:]
    if "**" in tail or "__" in tail:
        tail = _MARKDOWN.sub("", tail)
    tail = (_HOPE.sub("", tail) if "correct" in tail.casefold() else tail).rstrip()
    last_line = tail[tail.rfind("\n") + 1 :].strip()
    # a displayed formula that ends on a line of its own
    if last_line.startswith(("\\]", "$$")) or last_line in (
        "\\)",
        "$",
    ):
        lines = tail.rsplit("\n", 3)
        last_line = " ".join(line.strip() for line in lines[1:])
    if not any(word in last_line.casefold() for word in ("answer", "option", "choice")):
        return ""
    match = None
    for match in _PHRASE.finditer(last_line):  # noqa: B007 -- the last one is wanted
        continue
    match = match or _ANSWER_LINE.match(last_line) or _CHOICE_PHRASE.search(last_line)
    if match is None:
        return ""
    answer = match["answer"].strip()
    while inner := _PHRASE.match(answer):  # "Final Answer: The final answer is 5"
        answer = inner["answer"].strip()
    # A sentence that continues after the answer is not a final phrase, unless the dot belongs to a number.
    if re.search(r"[.!?]\s+[A-Z]", answer) and (
        not _CHOICE_FIRST.match(without_lead(answer)) or _PHRASE.search(answer)
    ):
        return ""
    if answer.count("{") != answer.count("}"):  # words inside a box are no mark of their own
        return ""
    return trimmed(answer)


def _different(answers: list[str]) -> list[str]:
    """The answers that differ, without those that say the same in another way."""
    distinct: list[str] = []
    for answer in dict.fromkeys(answers):
        if not any(_same(answer, other) for other in distinct):
            distinct.append(answer)
        if len(distinct) > 3:
            break
    return distinct if len(distinct) > 1 else []


def _same(one: str, other: str) -> bool:
    if same_plain(one, other):
        return True
    # Either way round: "3/16 = 0.0011_2" in a box and 0.0011_2 after "the answer is" are one answer.
    return any((comparison := compare(*pair)) is not None and comparison.equal for pair in ((one, other), (other, one)))


def _boxes_of_one_sentence(text: str) -> str | None:
    """The boxes of the last line that has any as one list, if no other line has a box, and words or commas stand
    between them.
    """
    with_boxes = [line for line in text.splitlines() if "\\boxed" in line]
    if len(with_boxes) != 1:
        return None
    contents, is_open = boxes(with_boxes[0])
    if is_open or not 2 <= len(contents) <= 8:
        return None
    line = with_boxes[0]
    for content in contents:
        line = line.replace(f"{{{content}}}", "", 1)
    between = _BETWEEN_BOXES.split(line)[1:-1]
    return (
        ", ".join(contents)
        if len(between) == len(contents) - 1 and all(re.search(r"[,;A-Za-z]", part) for part in between)
        else None
    )


def _choice_behind_formulas(marked: list[tuple[str, str]]) -> str | None:
    """The choice of the final phrase with what else is marked, if that is one formula or value."""
    choices = [choice_of(plain_text(answer)) for answer, _ in marked]
    last = choices[-1]
    if marked[-1][1] != "answer phrase" or last is None or last.statement:
        return None
    same = all(choice is None or choice.letter == last.letter for choice in choices)
    others = {answer for (answer, _), choice in zip(marked, choices, strict=True) if choice is None}
    return None if not same else f"({last.letter}) {others.pop()}" if len(others) == 1 else None


def _boxes_on_lines(text: str) -> str | None:
    """Boxes on lines of their own that follow each other, each with its part ("(a)", "x =") or nothing before it, as
    one list with these parts. None if that is not how they stand.
    """
    lines = [stripped for line in text.splitlines() if (stripped := line.strip()) and stripped not in _DISPLAY]
    places = [place for place, line in enumerate(lines) if "\\boxed" in line]
    if not 2 <= len(places) <= 8 or places != list(range(places[0], places[0] + len(places))):
        return None
    parts = []
    for place in places:
        contents, is_open = boxes(lines[place])
        before, _, behind = lines[place].partition("\\boxed")
        label = _PART.fullmatch(before)
        trailing = behind.replace(f"{{{contents[0]}}}", "", 1) if len(contents) == 1 else "several"
        if is_open or label is None or re.search(r"\w", trailing):
            return None
        parts.append(f"{_part_label(label)}{contents[0]}")
    return ", ".join(parts)


def _part_label(label: re.Match[str]) -> str:
    return f"({label['index']}) " if label["index"] else f"{label['name']} = " if label["name"] else ""


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
