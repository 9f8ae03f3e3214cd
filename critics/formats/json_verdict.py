"""Reasons and a verdict as JSON: CriticLean (arXiv:2507.06181).

    {"reasons": "...", "is_correct": "Correct"}

A fence of ```json, and text around it, are allowed: a reader that did not strip the fence failed on every verdict of a
released critic and called all of them wrong. What cannot be read has no judgement here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from critics.formats.base import CritiqueFormat, after_thinking, settle, truth
from critics.types import Critique, Judgement, Solution

KEY, REASONS = "is_correct", "reasons"
_WORDS = {"correct": Judgement.CORRECT, "incorrect": Judgement.INCORRECT}
_MOST_OBJECTS = 50


@dataclass(frozen=True, kw_only=True)
class JsonVerdict(CritiqueFormat):
    """See the module."""

    name: ClassVar[str] = "json_verdict"
    instruction: str = (
        f'Answer with one JSON object: {{"{REASONS}": "...", "{KEY}": "Correct"}} or {{"{REASONS}": "...", "{KEY}":'
        ' "Incorrect"}.'
    )

    def parse(self, text: str, steps: int | None = None) -> Critique:
        reply = after_thinking(text)
        verdicts = [value for value in _objects(reply) if KEY in value]
        if not verdicts:
            return Critique(text, None, feedback=reply, parse_status="malformed" if "{" in reply else "missing")
        words = [value[KEY] for value in verdicts]
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


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, outermost ones only."""
    decoder, position, tried = json.JSONDecoder(strict=False), 0, 0
    while (position := text.find("{", position)) >= 0 and tried < _MOST_OBJECTS:
        tried += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError):
            position += 1
            continue
        if isinstance(value, dict):
            yield value
