"""One page of problems with their answers, as plain data.

It holds of each folder and problem how every answer came out, and the text of one of them. The others are asked for one
by one: 64 answers of 32,000 tokens to each problem would not fit a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.evaluation.viewing.answers import AnswerFilter, AnswerGroups, Match
from reasonrl.evaluation.viewing.folder import LETTERS, ResultsFolder, SetName
from reasonrl.runs.samples import SampleKey, main_verdict
from reasonrl.runs.transcript import other_judged_text, transcript
from reasonrl.runs.viewer_api import turn_data
from reasonrl.runs.viewer_query import one_of, refuse_unknown, whole_number

LARGEST_PAGE = 100


def answers_data(groups: AnswerGroups, names: Sequence[SetName], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of problems.

    Raises:
        UsageError: an unknown or badly written parameter.
    """
    wanted = AnswerFilter.from_query(query, [name.label for name in names], len(groups.folders))
    offset, limit = whole_number(query, "offset", 0, 10**9), whole_number(query, "limit", 10, LARGEST_PAGE)
    matches = groups.matching(wanted, names)
    return {
        "groups_total": len(matches),
        "answers_total": sum(len(match.hits) for match in matches),
        "offset": offset,
        "groups": [_group(groups.folders, wanted, match) for match in matches[offset : offset + limit]],
    }


def answer_data(folders: Sequence[ResultsFolder], query: Mapping[str, str]) -> dict[str, Any]:
    """One answer with its text.

    Raises:
        UsageError: `folder` and `row` are not those of an answer.
    """
    refuse_unknown(query, ("folder", "row"))
    letters = LETTERS[: len(folders)]
    folder = folders[letters.index(one_of(query, "folder", letters) or letters[0])]
    offset = whole_number(query, "row", 0, 10**15)
    key = next((key for key in folder.answers() if key.offset == offset), None)
    if key is None:
        raise UsageError(f"row={offset}: there is no such answer. Load the page again.")
    return _answer(folder, key)


def _group(folders: Sequence[ResultsFolder], wanted: AnswerFilter, match: Match) -> dict[str, Any]:
    return {
        "set": match.group.name.label,
        "problem_id": match.group.problem_id,
        "sides": [
            _side(folder, wanted, match, number) if match.group.sides[number] else None
            for number, folder in enumerate(folders)
        ],
    }


def _side(folder: ResultsFolder, wanted: AnswerFilter, match: Match, number: int) -> dict[str, Any]:
    keys = match.group.sides[number]
    return {
        "right": sum(key.correct is True for key in keys),
        "judged": sum(key.correct is not None for key in keys),
        "answers": [_outcome(key) | {"is_hit": (number, key.offset) in match.hits} for key in keys],
        "shown": _answer(folder, _shown(wanted, match, number)),
    }


def _shown(wanted: AnswerFilter, match: Match, number: int) -> SampleKey:
    """The answer whose text comes with the page: the first that outcome and text are for and that shows the
    disagreement, else the first that does one of both.
    """
    side = match.group.sides[number]
    hits = [key for key in side if (number, key.offset) in match.hits]
    right = wanted.wants_right(match.group.shares, number)
    candidates = [key for keys in (hits, side) for key in keys if right is None or key.correct is right]
    return [*candidates, *hits, *side][0]


def _outcome(key: SampleKey) -> dict[str, Any]:
    return {
        "row": key.offset,
        "rollout": key.detail.rollout,
        "outcome": key.outcome,
        "is_cut_off": key.detail.is_cut_off,
        "tokens": key.detail.tokens,
    }


def _answer(folder: ResultsFolder, key: SampleKey) -> dict[str, Any]:
    [row] = folder.index.read([key])
    main, turns = main_verdict(row), transcript(row)
    verdict = main[1] if main else {}
    fields = {name: row.get(name) for name in ("prompt", "reference", "response", "finish_reason")}
    if isinstance(row.get("prompt"), list):
        fields["prompt"] = _chat_text(row["prompt"])
    fields |= {name: verdict.get(name) for name in ("extracted", "reason", "method")}
    return {
        **_outcome(key),
        **fields,
        "turns": [turn_data(turn) for turn in turns],
        "other_judged_text": other_judged_text(row, turns),
    }


def _chat_text(messages: Sequence[Any]) -> str:
    """A prompt that its row holds as messages."""
    chat = [message for message in messages if isinstance(message, dict)]
    return "\n\n".join(f"{message.get('role')}:\n{message.get('content')}" for message in chat)
