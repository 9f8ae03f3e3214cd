"""The result of a dry run as plain data, as `--json` prints it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from reasonrl.plan.prompt_view import PromptView


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
    """As text, special tokens included."""
    gold_responses: list[str]
    """What a model should answer to them."""
    gold_label: str
    """What these answers are: "gold response", "taught", or "recorded", as the stage names them."""
    data_checks: dict[str, str]
    """By set: the scores of gold and empty answers, or why they are not checked yet."""
    steps: int
    prompts_per_step: int
    rollouts_per_step: int
    optimizer_updates: int
    most_tokens_sampled_per_step: int
    work: dict[str, str]
    """Label -> text: the lines that only this kind of stage has."""
    trainable_parameters: int
    memory_gb: float
    minutes: float
    """0 where it was not estimated."""
    backend: list[str] = field(default_factory=list)
    """The plan of another backend that runs the stage, a line each."""
    not_checked: list[str] = field(default_factory=list)
    """Offline: what is missing on this machine and was therefore left unchecked."""
    warnings: list[str] = field(default_factory=list)
    first_prompt_tokens: list[PromptView] = field(default_factory=list)
    """Of the first prompts: how many tokens, and those at both ends."""
    response_text: str = ""
    """Which special tokens a verifier, a format reward and a person see in a response; empty without the tokenizer."""
    rewards: dict[str, str] = field(default_factory=dict)
    """By the key of a reward function: what it returned for gold and for empty responses."""


@dataclass(frozen=True)
class Plan:
    recipe: str
    stages: list[StagePlan]
    resume: list[str] = field(default_factory=list)
    """Of a run that is to be resumed: where each of its stages continues, and what is different now."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
