"""What the policy did with its tools in one update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.environments.base import Episode


def tool_metrics(episodes: Sequence[Episode]) -> dict[str, Any]:
    """`tools/*` and `time/tool_call_s` of episodes that had tools; empty where none had. A share of nothing is left
    out.
    """
    played = [(episode, episode.tool_use) for episode in episodes if episode.tool_use is not None]
    if not played:
        return {}
    calls = [call for _, use in played for call in use.calls]
    executed = [call for call in calls if call.was_executed]
    tokens = sum(len(episode.trained_trajectory.response_ids) for episode, _ in played)
    tool_tokens = tokens - sum(episode.trained_trajectory.policy_tokens for episode, _ in played)
    metrics: dict[str, Any] = {
        "tools/call_rate": sum(bool(use.calls) for _, use in played) / len(played),
        "tools/calls": len(calls) / len(played),
        "tools/void": sum(use.ended == "void" for _, use in played),
        "tools/cut_off": sum(use.ended in ("length", "turns", "budget") for _, use in played),
        "tools/broken": sum(use.ended == "broken" for _, use in played),
        "tools/timeout": sum(call.status == "timeout" for call in calls),
    }
    if policys := [call for call in calls if call.status != "broken"]:  # the others are the machine's fault
        metrics["tools/success_rate"] = sum(call.status == "ok" for call in policys) / len(policys)
        metrics["tools/invalid_rate"] = sum(call.is_invalid for call in policys) / len(policys)
    if executed:
        metrics["time/tool_call_s"] = sum(call.seconds for call in executed) / len(executed)
    if tokens:
        metrics["tools/token_share"] = tool_tokens / tokens
    for name, called in (("with_call", True), ("without_call", False)):
        verdicts = [e.verdicts.get("correctness") for e, use in played if bool(use.calls) == called]
        judged = [verdict.correct for verdict in verdicts if verdict is not None and verdict.correct is not None]
        if judged:
            metrics[f"tools/accuracy_{name}"] = sum(judged) / len(judged)
    return metrics
