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
        said = after_thinking(text)
        verdicts = [found for found in _objects(said) if KEY in found]
        if not verdicts:
            return Critique(text, None, feedback=said, parse_status="malformed" if "{" in said else "missing")
        words = [found[KEY] for found in verdicts]
        judgement, status = settle(
            _WORDS.get(word.strip().lower()) if isinstance(word, str) else None for word in words
        )
        reasons = verdicts[-1].get(REASONS, "")
        return Critique(text, judgement, feedback=reasons if isinstance(reasons, str) else said, parse_status=status)

    def write(self, solution: Solution, comments: Sequence[str] = ()) -> str:
        word = "Correct" if truth(solution) is Judgement.CORRECT else "Incorrect"
        return json.dumps(
            {REASONS: " ".join(comment for comment in comments if comment), KEY: word}, ensure_ascii=False
        )


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """JSON objects in a text, outermost ones only."""
    decoder, at, tried = json.JSONDecoder(strict=False), 0, 0
    while (at := text.find("{", at)) >= 0 and tried < _MOST_OBJECTS:
        tried += 1
        try:
            found, at = decoder.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError):
            at += 1
            continue
        if isinstance(found, dict):
            yield found
