"""The stage of a verl run, which each of its processes loads from the folder that REASONRL_VERL_STAGE names."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from verifiers.types import Problem

VARIABLE = "REASONRL_VERL_STAGE"
VENDOR = "reasonrl"
"""By which verl finds our engine."""


@dataclass(frozen=True)
class VerlStage:
    folder: Path
    """The stage's part of the run folder; `verl/` in it holds what the processes share."""
    recipe: Recipe

    @property
    def shared(self) -> Path:
        return self.folder / "verl"

    def problems(self, name: str) -> list[Problem]:
        """A set that the launcher wrote: "train", or "heldout.NAME"."""
        with self._file(name).open(encoding="utf-8") as lines:
            return [Problem(**json.loads(line)) for line in lines]

    def heldout(self) -> dict[str, list[Problem]]:
        return {name: self.problems(f"heldout.{name}") for name in self.recipe.data.heldout}

    def _file(self, name: str) -> Path:
        return self.shared / "data" / f"{name}.jsonl"

    @functools.cached_property
    def parts(self) -> list[RewardPart]:
        """Verifiers of this process; their workers start with the first verdict."""
        return make_reward_parts(self.recipe, make_verifier(self.recipe))

    def write(self, sets: dict[str, Sequence[Problem]]) -> None:
        (self.shared / "data").mkdir(parents=True, exist_ok=True)
        (self.shared / "recipe.yaml").write_text(
            yaml.safe_dump(self.recipe.model_dump(mode="json"), sort_keys=False), encoding="utf-8"
        )
        for name, problems in sets.items():
            with self._file(name).open("w", encoding="utf-8") as out:
                out.writelines(json.dumps(asdict(problem), ensure_ascii=False) + "\n" for problem in problems)


@functools.cache
def verl_stage() -> VerlStage:
    """The stage of this process. Raises KeyError outside of a run that the launcher started."""
    folder = Path(os.environ[VARIABLE])
    raw: dict[str, Any] = yaml.safe_load((folder / "verl" / "recipe.yaml").read_text(encoding="utf-8"))
    return VerlStage(folder, Recipe(**raw))
