"""What a strategy is: an actor writes solutions, a critic judges them, and one of them is the answer.

A strategy asks for drafts and critiques and knows no model, no server and no clock. Whoever plays it (`Play`) counts
tokens, derives the seed of every call from the request's, and ends the play when its budget is spent or its deadline
is near: `best` is then the answer. Calls are named by what they are for, ("draft", 3), so that two strategies which ask
for the same thing share it when they are compared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from critics.types import Critique, Judgement

StoppedBy = Literal[
    "completed",
    "accepted",
    "all_rejected",
    "undecided",
    "rounds",
    "budget",
    "deadline",
    "shutdown",
    "critic_unavailable",
    "actor_unavailable",
]


@dataclass(frozen=True, slots=True)
class Draft:
    """A solution that the actor wrote."""

    name: str
    """What it was written for: "draft/3", "draft/0/refine", or "draft/0/from/2"."""
    text: str
    answer: str | None
    """What a verifier reads in it, in the form of the first draft with an equal answer; None where it has none."""
    is_truncated: bool
    tokens: int


class CriticUnavailable(Exception):
    """The critic gave no critique at all. Says why in one line."""


class Play(Protocol):
    """One problem in play.

    Attributes:
        best: the answer if the play ended now.
    """

    best: Draft | None

    async def drafts(self, count: int, *, first: int = 0) -> list[Draft]:
        """The drafts number `first` and on. Two calls for one number give one draft."""
        ...

    async def critiques(self, drafts: Sequence[Draft], count: int = 1) -> list[list[Critique]]:
        """`count` critiques of each draft. Raises CriticUnavailable."""
        ...

    async def refinements(self, pairs: Sequence[tuple[Draft, Critique]]) -> list[Draft]:
        """Each draft written again, with what the critique says."""
        ...

    async def continuations(self, places: Sequence[tuple[Draft, int]]) -> list[Draft]:
        """Each draft written anew from its step of this number (from 0) on; the steps before it stay."""
        ...


@dataclass(frozen=True, kw_only=True)
class Strategy(ABC):
    """One strategy, with its options."""

    name: ClassVar[str]
    summary: ClassVar[str]
    """One line for `/v1/models` and the docs."""

    @abstractmethod
    async def play(self, play: Play) -> StoppedBy:
        """Sets `play.best`, from the first draft on, and says why it ends. Raises CriticUnavailable."""


def accepts(critique: Critique) -> bool:
    """An unread critique accepts nothing."""
    return critique.judgement is Judgement.CORRECT


def rejects(critique: Critique) -> bool:
    """An unread critique rejects nothing."""
    return critique.judgement is Judgement.INCORRECT


def agreed_first_error(critiques: Sequence[Critique], judgement: Judgement | None) -> int | None:
    """What most of the critiques that come to this judgement call the first wrong step. None: none of them names one,
    or there is no judgement.
    """
    agree = [critique for critique in critiques if judgement is not None and critique.judgement is judgement]
    named = [critique.first_error for critique in agree if critique.first_error is not None]
    return max(named, key=named.count) if named else None


def probability(critiques: Sequence[Critique]) -> float | None:
    """That the draft is right, by these critiques: the mean of their scores where they have one, else the share that
    accepts, of those that were read, drawn towards one half by one critique of each kind (Laplace's rule of
    succession). None where none was read.
    """
    read = [critique for critique in critiques if critique.judgement is not None]
    if not read:
        return None
    scores = [critique.score for critique in read]
    if all(score is not None for score in scores):
        return sum(score for score in scores if score is not None) / len(read)
    return (sum(accepts(critique) for critique in read) + 1) / (len(read) + 2)


def voted(drafts: Sequence[Draft], weights: Sequence[float]) -> Draft:
    """The first draft with the answer that has the most weight. Of two answers of one weight, that of the draft that
    was written first wins; drafts without an answer do not vote, and where none has one the first draft is taken.
    """
    totals: dict[str, float] = {}
    for draft, weight in zip(drafts, weights, strict=True):
        if draft.answer is not None:
            totals[draft.answer] = totals.get(draft.answer, 0.0) + weight
    if not totals:
        return drafts[0]
    winner = max(totals, key=lambda answer: totals[answer])
    return next(draft for draft in drafts if draft.answer == winner)


def check_counts(**counts: int) -> None:
    """Raises ValueError for a count below 1."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 256:
            raise ValueError(f"{name} is {count!r}; write a whole number from 1 to 256")
