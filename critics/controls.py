"""Is it the critique that helps? Refinements on controls in place of a critique, as baselines (traps 5 and 6 of critic
training).

empty: asked again without a critique. shuffled: the critique of another solution. indicative: only whether it is right.
The value of a critique is the accuracy after it minus the accuracy after these.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

CONTROLS = ("empty", "shuffled", "indicative")
INDICATIVE = {"correct": "The solution is correct.", "incorrect": "The solution is incorrect."}


def control_feedback(name: str, feedback: Sequence[str], judgements: Sequence[str | None], *, seed: int) -> list[str]:
    """The control for each critique. `judgements` are those of the critics, for `indicative`.

    Raises ValueError for an unknown control, or where there is nobody to shuffle with.
    """
    if name == "empty":
        return [""] * len(feedback)
    if name == "indicative":
        return [
            INDICATIVE["correct" if (judgement or "").lower() == "correct" else "incorrect"] for judgement in judgements
        ]
    if name != "shuffled":
        raise ValueError(f"unknown control '{name}'; write one of {', '.join(CONTROLS)}")
    if len(feedback) < 2:
        raise ValueError("the control shuffled needs at least two critiques")
    order = list(range(len(feedback)))
    random.Random(f"shuffled control {seed}").shuffle(order)
    given = [""] * len(feedback)
    for place, index in enumerate(order):  # along one cycle, so that no solution keeps its own
        given[index] = feedback[order[place - 1]]
    return given
