"""How a policy used its tools on a held-out set, with 95% intervals (Wilson)."""

from __future__ import annotations

from collections.abc import Sequence

from reasonrl.environments.base import Episode
from reasonrl.stats import wilson


def call_metrics(episodes: Sequence[Episode], key: str) -> dict[str, float]:
    """Share of episodes with a call, and of calls that succeeded; empty for episodes without tools.

    Args:
        key: prefix of the names, such as eval/SET/greedy.
    """
    played = [episode.tool_use for episode in episodes if episode.tool_use is not None]
    if not played:
        return {}
    # A broken call is the machine's fault, and says nothing of the policy.
    calls = [call for use in played for call in use.calls if call.status != "broken"]
    counts = {"call_rate": (sum(bool(use.calls) for use in played), len(played))}
    if calls:
        counts["call_success"] = (sum(call.status == "ok" for call in calls), len(calls))
    metrics: dict[str, float] = {}
    for name, (hits, total) in counts.items():
        share = wilson(hits, total)
        metrics |= {f"{key}_{name}": share.estimate, f"{key}_{name}_low": share.low, f"{key}_{name}_high": share.high}
    return metrics
