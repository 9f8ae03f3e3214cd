"""Is it the critique that helps? Refinements on what is no critique, to compare with (traps 5 and 6 of critic
training).

empty: asked again without a word. shuffled: the critique of somebody else's solution. indicative: only whether it is
right. What a critique is worth is the accuracy after it less the accuracy after these.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

CONTROLS = ("empty", "shuffled", "indicative")
INDICATIVE = {"correct": "The solution is correct.", "incorrect": "The solution is incorrect."}


def control_feedback(name: str, feedback: Sequence[str], judgements: Sequence[str | None], *, seed: int) -> list[str]:
    """What the actor is given instead of each critique. `judgements` are what the critics said, for `indicative`.

    Raises ValueError for an unknown control, or where there is nobody to shuffle with.
    """
    if name == "empty":
        return [""] * len(feedback)
    if name == "indicative":
        return [
            INDICATIVE["correct" if (judgement or "").lower() == "correct" else "incorrect"] for judgement in judgements
        ]
    if name != "shuffled":
        raise ValueError(f"there is no control '{name}'; write one of {', '.join(CONTROLS)}")
    if len(feedback) < 2:
        raise ValueError("a shuffled control needs two critiques or more")
    order = list(range(len(feedback)))
    random.Random(f"shuffled control {seed}").shuffle(order)
    given = [""] * len(feedback)
    for place, index in enumerate(order):  # along one cycle, so that nobody keeps his own
        given[index] = feedback[order[place - 1]]
    return given
