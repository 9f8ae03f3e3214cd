"""What a dry run finds out: data only, as `--json` shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class StagePlan:
    """What one stage will do. Every number has its unit in its name."""

    name: str
    kind: str
    train_problems: int
    heldout_problems: dict[str, int]
    longest_prompt_tokens: int
    """0 where no prompt could be read."""
    first_prompts: list[str]
    gold_responses: list[str]
    """What a model should answer to them."""
    gold_label: str
    """What these answers are: "gold response", or what is taught, or what was recorded."""
    data_checks: dict[str, str]
    """By set: gold and empty answers as they score, or why they are not checked yet."""
    steps: int
    prompts_per_step: int
    rollouts_per_step: int
    optimizer_updates: int
    most_tokens_sampled_per_step: int
    work: dict[str, str]
    """Label -> text: the lines that are of this kind of stage alone."""
    trainable_parameters: int
    memory_gb: float
    minutes: float
    """0 where it was not estimated."""
    backend: list[str] = field(default_factory=list)
    """The plan of another backend that runs the stage, a line each."""
    not_checked: list[str] = field(default_factory=list)
    """Offline: what is not on this machine, and what was left unchecked for that."""
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    recipe: str
    stages: list[StagePlan]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
