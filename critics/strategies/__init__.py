"""Test-time strategies by name: one file each. The server, `reasonrl refine` and evaluations use the same ones."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from typing import Any

from critics.strategies.base import Strategy

_BUILT_IN = (
    "single:Single",
    "majority:MajorityVote",
    "refine:RefineUntilAccepted",
    "filtered_vote:FilteredVote",
    "weighted_vote:WeightedVote",
    "best_of_n:BestOfN",
    "regenerate:Regenerate",
    "step_search:StepSearch",
    "panel:Panel",
)
"""module:Class in `critics.strategies`."""


def _built_in(path: str) -> type[Strategy]:
    module, _, name = path.partition(":")
    kind: type[Strategy] = getattr(importlib.import_module(f"critics.strategies.{module}"), name)
    return kind


STRATEGIES: dict[str, type[Strategy]] = {kind.name: kind for kind in map(_built_in, _BUILT_IN)}

__all__ = ["STRATEGIES", "Strategy", "load_strategy"]


def load_strategy(name: str, **options: Any) -> Strategy:
    """A strategy by its name. Raises ValueError that names what is wrong and what there is."""
    if name not in STRATEGIES:
        near = difflib.get_close_matches(name, STRATEGIES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise ValueError(f"there is no strategy '{name}'{hint} Write one of {', '.join(STRATEGIES)}")
    kind = STRATEGIES[name]
    known = [f.name for f in dataclasses.fields(kind)]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"the strategy {name} has no option {', '.join(map(repr, unknown))}; its options: {', '.join(known)}"
        )
    return kind(**options)
