"""Reasons and a verdict as JSON: CriticLean (arXiv:2507.06181).

    {"reasons": "...", "is_correct": "Correct"}

A fence of ```json, and text around it, are allowed: a reader that did not strip the fence failed on every verdict of a
released critic and called all of them wrong. What cannot be read has no judgement here: a verdict outside of every
object that can be read, or two different ones in one object, is malformed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, settle, truth
from critics.types import Critique, Judgement, Solution

KEY, REASONS = "is_correct", "reasons"
_WORDS = {"correct": Judgement.CORRECT, "incorrect": Judgement.INCORRECT}
_MOST_OBJECTS = 50
_OPENING = re.compile(r'\{\s*"')
_VERDICT = re.compile(rf'"{KEY}"\s*:')
_ESCAPED_KEY = "".join(rf"(?:{re.escape(letter)}|\\u{ord(letter):04x})" for letter in KEY)
"""Each letter as it is or as an escape of JSON."""


@dataclass(frozen=True, kw_only=True)
class JsonVerdict(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "json_verdict"
    marks: ClassVar[re.Pattern[str] | None] = re.compile(rf'"(?={_ESCAPED_KEY}")', re.IGNORECASE)
    instruction: str = (
        f'Answer with one JSON object: {{"{REASONS}": "...", "{KEY}": "Correct"}} or {{"{REASONS}": "...", "{KEY}":'
        ' "Incorrect"}.'
    )

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        objects, is_whole = _objects(reply)
        verdicts = [value for value in objects if KEY in value]
        if not verdicts:
            return Critique(text, None, feedback=reply, parse_status="malformed" if "{" in reply else "missing")
        words = [*(value[KEY] for value in verdicts), *([] if is_whole else [None])]
        judgement, status = settle(
            _WORDS.get(word.strip().lower()) if isinstance(word, str) else None for word in words
        )
        reasons = verdicts[-1].get(REASONS, "")
        return Critique(text, judgement, feedback=reasons if isinstance(reasons, str) else reply, parse_status=status)

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        word = "Correct" if truth(solution) is Judgement.CORRECT else "Incorrect"
        return json.dumps(
            {REASONS: " ".join(comment for comment in comments if comment), KEY: word}, ensure_ascii=False
        )


def _objects(text: str) -> tuple[list[dict[str, Any]], bool]:
    """JSON objects in a text, outermost ones only, and whether no verdict stands outside of them.

    An object may stand within a larger one that is not JSON, such as a quote with marks that are not escaped: the
    verdict of the larger one then stands outside.
    """
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_one_verdict)
    objects: list[dict[str, Any]] = []
    outside: list[str] = []
    end = position = tried = 0
    while match := _OPENING.search(text, position):
        tried += 1
        if tried > _MOST_OBJECTS:
            return objects, False
        try:
            value, position = decoder.raw_decode(text, match.start())
        except (json.JSONDecodeError, RecursionError):
            position = match.start() + 1
            continue
        objects.append(value)
        outside.append(text[end : match.start()])
        end = position
    outside.append(text[end:])
    return objects, not any(map(_VERDICT.search, outside))


def _one_verdict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; None as its verdict where it has two different ones, of which json would take the last."""
    verdicts = [value for name, value in pairs if name == KEY]
    value = dict(pairs)
    if any(verdict != verdicts[0] for verdict in verdicts):
        value[KEY] = None
    return value
