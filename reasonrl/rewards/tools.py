"""Rewards for how a policy calls tools: shares of an episode's calls, never sums, so that more calls earn no more.

    reward:
      correctness: 1.0
      call_success: {weight: 0.1, function: "reasonrl.rewards.tools:call_success"}
      call_cost: {weight: 0.05, function: "reasonrl.rewards.tools:call_cost"}

Each part is bounded by 1 in size. As long as their weights together are smaller than that of correctness, which the
recipe checks, a right answer earns more than any wrong one, however it was reached (the sign that an unbounded penalty
turns round: AdaTIR, arXiv:2601.14696). A reward for each call would be paid for calls alone; see DeepEyes and ms-swift.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reasonrl.environments.base import CallRecord, Episode, ToolEpisode
from verifiers.types import Problem


def call_success(responses: Sequence[str], problems: Sequence[Problem], *, episodes: Sequence[Episode]) -> list[float]:
    """The share of the calls that a tool answered without an error; 0 for an episode without calls."""
    return [_share(episode.tool_use, lambda call: call.status == "ok") for episode in episodes]


def invalid_calls(responses: Sequence[str], problems: Sequence[Problem], *, episodes: Sequence[Episode]) -> list[float]:
    """-1 for an episode none of whose calls could be executed through a mistake of the policy's, up to 0."""
    return [0.0 - _share(episode.tool_use, lambda call: call.is_invalid) for episode in episodes]


def call_cost(responses: Sequence[str], problems: Sequence[Problem], *, episodes: Sequence[Episode]) -> list[float]:
    """-n / (n + 1) for n calls, whatever came of them: the first costs 1/2, and all of them less than 1."""
    counts = [len(episode.tool_use.calls) if episode.tool_use else 0 for episode in episodes]
    return [-count / (count + 1) if count else 0.0 for count in counts]


def _share(tool_use: ToolEpisode | None, counts: Callable[[CallRecord], bool]) -> float:
    """The share of the calls for which `counts` is true."""
    if tool_use is None or not tool_use.calls:
        return 0.0
    return sum(counts(call) for call in tool_use.calls) / len(tool_use.calls)
