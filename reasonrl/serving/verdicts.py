"""Critiques, and what several of them say together, as plain data for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from critics.strategies.base import accepts, agreed_first_error, probability
from critics.types import Critique, Judgement
from reasonrl.stats import wilson


def critique_json(critique: Critique) -> dict[str, Any]:
    """One critique as it was read. An unread one has no judgement."""
    return {
        "judgement": critique.judgement.value if critique.judgement else None,
        "first_error": critique.first_error,
        "parse_status": critique.parse_status,
        "score": critique.score,
        "feedback": critique.feedback,
        "steps": [
            {
                "index": step.index,
                "judgement": step.judgement.value if step.judgement else None,
                "comment": step.comment,
            }
            for step in critique.steps
        ],
        "text": critique.text,
    }


def verdict_json(critiques: Sequence[Critique]) -> dict[str, Any]:
    """What the critiques say together: the judgement of most, the share that accepts with its 95% interval (of those
    that were read), and abstention where none was read or they are level.
    """
    read = [critique for critique in critiques if critique.judgement is not None]
    votes_for = sum(map(accepts, read))
    judgement = None
    if votes_for * 2 != len(read):
        judgement = Judgement.CORRECT if votes_for * 2 > len(read) else Judgement.INCORRECT
    interval = wilson(votes_for, len(read)) if len(read) > 1 else None
    return {
        "judgement": judgement and judgement.value,
        "abstained": judgement is None,
        "probability_correct": probability(read),
        "share_correct": None if interval is None else interval.estimate,
        "interval": None if interval is None else [interval.low, interval.high],
        "first_error": agreed_first_error(read, judgement),
        "critiques_read": len(read),
        "critiques": [critique_json(critique) for critique in critiques],
    }
