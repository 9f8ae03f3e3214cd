"""An episode of several turns as a sample row holds it: who spoke, how long, and which text the verifier judged."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """One turn of an episode."""

    role: str
    text: str
    tokens: int
    by_policy: bool
    """Whether the policy wrote it, so that its tokens carry loss."""
    number: int | None
    """Of the policy's turns, from 1; None for a message of the environment."""
    judged: bool
    """Whether this is the text that the verifier read."""
    calls: str = ""
    """How the calls of tools ended that this message answers, in words; at the last turn, its own that nobody
    answered.
    """

    @property
    def speaker(self) -> str:
        """policy, or the role of the message and that it comes from the environment."""
        return f"{self.role}, turn {self.number}" if self.by_policy else f"{self.role} (environment)"

    @property
    def length(self) -> str:
        """The length in words."""
        words = f"{self.tokens} token{'' if self.tokens == 1 else 's'}" + ("" if self.by_policy else ", not trained")
        return f"{words}; {self.calls}" if self.calls else words


def transcript(row: dict[str, Any]) -> list[TranscriptTurn]:
    """The turns of a sample row in order; empty where the response is one turn of the policy."""
    turns = row.get("turns") or []
    if len(turns) < 2:
        return []
    by_policy, response = _by_policy(row, turns), row.get("response")
    texts = [turn["text"] for turn in turns]
    readings = [i for i, text in enumerate(texts) if row.get("verdicts") and by_policy[i] and text == response]
    judged = readings[-1] if readings else None
    return [
        TranscriptTurn(
            role=str(turn["role"]),
            text=str(turn["text"]),
            tokens=int(turn["tokens"]),
            by_policy=by_policy[i],
            number=sum(by_policy[: i + 1]) if by_policy[i] else None,
            judged=i == judged,
            calls=_calls(row, sum(by_policy[: i + 1]) - 1) if not by_policy[i] or i == len(turns) - 1 else "",
        )
        for i, turn in enumerate(turns)
    ]


def _calls(row: dict[str, Any], turn: int) -> str:
    """The calls of the policy's turn of this 0-based number: which tool, how it ended, and how long it took."""
    calls = [call for call in row.get("calls") or [] if isinstance(call, dict) and call.get("turn") == turn]
    return ", ".join(
        f"{call.get('tool') or 'a call'}: {str(call.get('status')).replace('_', ' ')} in"
        f" {1000 * float(call.get('seconds') or 0):.1f} ms"
        for call in calls
    )


def other_judged_text(row: dict[str, Any], turns: list[TranscriptTurn]) -> str | None:
    """The text that the verifier read where an environment gave it another one than a turn's."""
    if not turns or not row.get("verdicts") or any(turn.judged for turn in turns):
        return None
    return str(row.get("response", ""))


def _by_policy(row: dict[str, Any], turns: list[dict[str, Any]]) -> list[bool]:
    """Of each turn, whether the policy wrote it. Rows of older runs do not say so: there the loss mask of a training
    row does, and without it, and for a turn without tokens, the role: the last turn is always the policy's.
    """
    if all("by_policy" in turn for turn in turns):
        return [bool(turn["by_policy"]) for turn in turns]
    by_role = [turn["role"] == turns[-1]["role"] for turn in turns]
    mask = row.get("loss_mask")
    if not mask or sum(turn["tokens"] for turn in turns) != len(mask):
        return by_role
    starts = itertools.accumulate((turn["tokens"] for turn in turns), initial=0)
    masks = [mask[start : start + turn["tokens"]] for start, turn in zip(starts, turns, strict=False)]
    return [any(part) if part else role for part, role in zip(masks, by_role, strict=True)]
