"""Tokens of one request: those of every hidden call, by the role that spent them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reasonrl.serving.voices import Said


@dataclass
class RoleUsage:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def to_json(self) -> dict[str, int]:
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


@dataclass
class Usage:
    """Counts grow as calls end. What a server does not count is 0, and so is a call that began and did not end;
    `is_complete` says so.
    """

    roles: dict[str, RoleUsage] = field(default_factory=dict)
    is_complete: bool = True

    def add(self, role: str, reply: Said) -> None:
        entry = self.roles.setdefault(role, RoleUsage())
        entry.calls += 1
        entry.prompt_tokens += reply.prompt_tokens or 0
        entry.completion_tokens += reply.completion_tokens or 0
        self.is_complete &= reply.prompt_tokens is not None and reply.completion_tokens is not None

    def merge(self, other: Usage) -> None:
        for role, spent in other.roles.items():
            entry = self.roles.setdefault(role, RoleUsage())
            entry.calls += spent.calls
            entry.prompt_tokens += spent.prompt_tokens
            entry.completion_tokens += spent.completion_tokens
        self.is_complete &= other.is_complete

    @property
    def completion_tokens(self) -> int:
        return sum(role.completion_tokens for role in self.roles.values())

    @property
    def prompt_tokens(self) -> int:
        return sum(role.prompt_tokens for role in self.roles.values())

    def to_json(self, *, shown: int) -> dict[str, Any]:
        """As OpenAI's `usage`, over all calls.

        Args:
            shown: completion tokens of what the client is given; the others count as reasoning.
        """
        completion = self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "completion_tokens_details": {"reasoning_tokens": max(0, completion - shown)},
            "reasonrl": {
                "roles": {name: role.to_json() for name, role in sorted(self.roles.items())},
                "complete": self.is_complete,
            },
        }
