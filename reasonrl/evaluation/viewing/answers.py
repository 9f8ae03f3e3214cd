"""Which problems the page shows: answers of all folders grouped by set and problem, and filters on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reasonrl.evaluation.viewing.folder import LETTERS, ResultsFolder, SetName, answers_by_name
from reasonrl.runs.samples import SampleFilter, SampleKey
from reasonrl.runs.viewer_query import one_of, refuse_unknown

OUTCOMES: dict[str, Callable[[SampleKey], bool]] = {
    "right": lambda key: key.correct is True,
    "wrong": lambda key: key.correct is False,
    "unread": lambda key: key.outcome == "unparsed",
    "cut_off": lambda key: key.detail.is_cut_off,
    "unjudged": lambda key: key.correct is None,
}
"""Filters. What could not be read is wrong too; what was cut off may be anything."""
ANY = "any"
_PARAMETERS = ("set", "problem", "outcome", "folder", "q", "disagree", "offset", "limit")
_EPSILON = 1e-12


@dataclass(frozen=True)
class Group:
    """The answers to one problem: of each folder, in the order of its file."""

    name: SetName
    problem_id: str
    sides: tuple[tuple[SampleKey, ...], ...]

    @property
    def shares(self) -> list[float | None]:
        """Of each folder, how many of its judged answers are right; None without one."""
        judged = [[key.correct for key in side if key.correct is not None] for side in self.sides]
        return [sum(side) / len(side) if side else None for side in judged]


@dataclass(frozen=True)
class AnswerFilter:
    """Which groups are wanted. None means any.

    `outcome` and `text` are for one and the same answer, of `folder` where that is given.
    """

    label: str | None = None
    problem: str | None = None
    """A part of its id, without regard to case."""
    outcome: str | None = None
    folder: int | None = None
    text: str | None = None
    disagree: bool = False
    """The folders differ in the share of right answers. With one answer to a problem: one is right, another wrong."""
    order: tuple[int, int] | None = None
    """The two folders that are to disagree, the one with the larger share first."""

    @classmethod
    def from_query(cls, query: Mapping[str, str], labels: Sequence[str], folders: int) -> AnswerFilter:
        """Raises UsageError for an unknown or badly written parameter."""
        refuse_unknown(query, _PARAMETERS)
        letters = LETTERS[:folders]
        orders = {f"{a}>{b}": (letters.index(a), letters.index(b)) for a in letters for b in letters if a != b}
        folder, disagree = one_of(query, "folder", letters), one_of(query, "disagree", [ANY, *orders])
        return cls(
            label=one_of(query, "set", labels),
            problem=query.get("problem") or None,
            outcome=one_of(query, "outcome", OUTCOMES),
            folder=None if folder is None else letters.index(folder),
            text=query.get("q") or None,
            disagree=disagree is not None,
            order=orders.get(disagree or ""),
        )

    def gap(self, shares: Sequence[float | None]) -> float:
        """How far the shares that are to disagree are apart; 0 where they do not."""
        if self.order is None:
            known = [share for share in shares if share is not None]
            return max(known) - min(known) if known else 0.0
        high, low = (shares[number] for number in self.order)
        return 0.0 if high is None or low is None else max(0.0, high - low)

    def wants_right(self, shares: Sequence[float | None], number: int) -> bool | None:
        """Whether the answer of a folder that shows the disagreement is a right one; None where either does."""
        if not self.disagree or shares[number] is None:
            return None
        if self.order is not None:
            return number == self.order[0] if number in self.order else None
        known = [share for share in shares if share is not None]
        return True if shares[number] == max(known) else False if shares[number] == min(known) else None


class Match(NamedTuple):
    """A group that passes a filter."""

    group: Group
    hits: frozenset[tuple[int, int]]
    """(folder, offset) of the answers that outcome and text are for."""


class AnswerGroups:
    """The answers of all folders. What passed the last filter stays, for the next page of it."""

    def __init__(self, folders: Sequence[ResultsFolder]) -> None:
        self.folders = folders
        self._last: tuple[Any, list[Match]] | None = None

    def matching(self, wanted: AnswerFilter, names: Sequence[SetName]) -> list[Match]:
        """In the order of the sets and of the problems; where folders are to disagree, the largest differences come
        first.
        """
        key = (wanted, tuple(names), [folder.version for folder in self.folders])
        last = self._last
        if last is None or last[0] != key:
            last = self._last = (key, self._matching(wanted, names))
        return last[1]

    def _matching(self, wanted: AnswerFilter, names: Sequence[SetName]) -> list[Match]:
        chosen = [name for name in names if wanted.label in (None, name.label)]
        with_text = [_offsets_with(folder, wanted.text) for folder in self.folders]
        passes = OUTCOMES.get(wanted.outcome or "", lambda key: True)
        needle = (wanted.problem or "").casefold()
        matches = []
        for group in grouped(self.folders, chosen):
            hits = frozenset(
                (number, key.offset)
                for number, (side, offsets) in enumerate(zip(group.sides, with_text, strict=True))
                if wanted.folder in (None, number)
                for key in side
                if passes(key) and (offsets is None or key.offset in offsets)
            )
            is_wanted = not wanted.disagree or wanted.gap(group.shares) > _EPSILON
            if hits and is_wanted and needle in group.problem_id.casefold():
                matches.append(Match(group, hits))
        if wanted.disagree:
            matches.sort(key=lambda match: -wanted.gap(match.group.shares))
        return matches


def grouped(folders: Sequence[ResultsFolder], names: Sequence[SetName]) -> list[Group]:
    """All answers by set and problem. Ids are of one set alone: two sets may use the same ones."""
    sides: dict[SetName, dict[str, list[list[SampleKey]]]] = {name: {} for name in names}
    for number, folder in enumerate(folders):
        for name, keys in answers_by_name(folder.answers(), names).items():
            for key in keys:
                sides[name].setdefault(key.problem_id, [[] for _ in folders])[number].append(key)
    return [
        Group(name, problem_id, tuple(map(tuple, answers)))
        for name, problems in sides.items()
        for problem_id, answers in problems.items()
    ]


def _offsets_with(folder: ResultsFolder, text: str | None) -> set[int] | None:
    """Of the rows that hold the text; None where any row will do."""
    if text is None:
        return None
    return {key.offset for keys in folder.index.groups(SampleFilter(kind="eval", text=text)) for key in keys}
