"""What a row of samples.jsonl must look like, so that a damaged one is named before anything is computed from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and abs(value) <= sys.float_info.max)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_list_of(*types: type) -> Check:
    return lambda value: isinstance(value, list) and set(map(type, value)) <= set(types)


def _is_verdicts(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(verdict, dict) and verdict.get("correct") in (None, True, False) and _is_status(verdict)
        for verdict in value.values()
    )


def _is_status(verdict: Mapping[str, Any]) -> bool:
    return isinstance(verdict.get("status"), str | None)


def _is_reviews(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_review, value.values())))


def _is_review(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(_is_count(value.get(name)) for name in ("accepted", "rejected", "unread"))
        and _is_number(value.get("score"))
        and _is_text(value.get("text"))
        and isinstance(value.get("failure"), str | None)
    )


def _is_turns(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_turn, value)))


def _is_turn(value: Any) -> bool:
    return isinstance(value, dict) and {"role", "text"} <= value.keys() and _is_count(value.get("tokens"))


def _is_token_ids(value: Any) -> bool:
    return _is_list_of(int)(value) and (not value or (min(value) >= 0 and max(value) < 2**31))


_FLAGS, _NUMBERS = _is_list_of(int, bool), _is_list_of(int, float, type(None))
_FIELDS: dict[str, tuple[Check, str]] = {
    "kind": (_is_text, "text"),
    "step": (_is_count, "a whole number from 0"),
    "set": (lambda value: value is None or _is_text(value), "text"),
    "mode": (lambda value: value is None or _is_text(value), "text"),
    "problem_id": (_is_text, "text"),
    "response": (_is_text, "text"),
    "reward": (_is_number, "a number or null"),
    "advantage": (_is_number, "a number or null"),
    "reward_parts": (
        lambda value: value is None or (isinstance(value, dict) and all(map(_is_number, value.values()))),
        "an object of numbers",
    ),
    "verdicts": (_is_verdicts, "an object of verdicts, each with `correct` (true, false or null) and a status"),
    "reviews": (_is_reviews, "an object of reviews, each with counts of critiques, a score and a text"),
    "turns": (_is_turns, "a list of turns, each with role, text and tokens"),
    "group": (_is_count, "a whole number from 0"),
    "response_ids": (_is_token_ids, "a list of token ids"),
    "loss_mask": (_FLAGS, "a list of 0 and 1"),
    "logprobs": (_NUMBERS, "a list of numbers"),
    "token_advantages": (_NUMBERS, "a list of numbers"),
}
_REQUIRED = ("kind", "step", "problem_id")
_FOR_EACH_TOKEN = ("loss_mask", "logprobs")


def sample_mistake(row: Any, required: tuple[str, ...] = _REQUIRED) -> str:
    """What is wrong with a row, as the end of a sentence that names it; empty for a whole one."""
    if not isinstance(row, dict):
        return "it is not a JSON object of a sample"
    for name in required:
        if name not in row:
            return f"it lacks {name!r}"
    for name, (is_right, wanted) in _FIELDS.items():
        if name in row and not is_right(row[name]):
            return f"its field {name!r} is not {wanted}"
    if "response_ids" in row:
        for name in _FOR_EACH_TOKEN:
            if name in row and len(row[name]) != len(row["response_ids"]):
                return f"its fields 'response_ids' and {name!r} differ in length"
    return ""
