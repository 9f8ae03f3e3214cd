"""The kinds of stages of a recipe, one file each.

A new kind is one file, a line here, its facts in `reasonrl.recipe.kinds`, and a section of settings in
`reasonrl.recipe`.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reasonrl.stages.base import StageKind

STAGES = {
    "rl": "reasonrl.stages.rl:RL",
    "sft": "reasonrl.stages.sft:SFT",
    "offline": "reasonrl.stages.offline:Offline",
    "collect": "reasonrl.stages.collect:Collect",
    "game": "reasonrl.stages.game:Game",
}


@functools.cache
def stage_kind(name: str) -> StageKind:
    """The kind of this name. Its module is imported now, and with it torch."""
    module, _, attribute = STAGES[name].partition(":")
    kind: StageKind = getattr(importlib.import_module(module), attribute)()
    return kind
