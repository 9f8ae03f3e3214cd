"""The kinds of stages: the facts that the recipe, its links and the run folder need. No torch, no code of a stage.

What a kind does is in its file under `reasonrl.stages`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reasonrl.recipe.data import DataSpec


@dataclass(frozen=True)
class KindFacts:
    settings: str
    """The section of the recipe that holds its settings."""
    trains: bool = True
    """It moves weights and ends with a model. A kind that does not train ends with files of problems."""
    learns_from_rewards: bool = False
    """With a section `critic`, it turns the model into a judge. Demonstrations alone do not."""
    reads_offline_rows: bool = False
    """`data.train` holds responses with their rewards, not problems to solve."""
    runs_on_backends: bool = False
    """`backend` decides where it runs. The other kinds always run in the launching process."""
    outputs: Callable[[DataSpec], list[str]] = lambda data: []
    """The problem files that it writes, by the name that `stage:NAME/OUTPUT` asks for."""


KINDS = {
    "rl": KindFacts("train", learns_from_rewards=True, runs_on_backends=True),
    "sft": KindFacts("sft"),
    "offline": KindFacts("offline", learns_from_rewards=True, reads_offline_rows=True),
    "collect": KindFacts("collect", trains=False, outputs=lambda data: ["train", *data.heldout]),
    "game": KindFacts("game", trains=False, outputs=lambda data: ["critic", "sneaky"]),
}
