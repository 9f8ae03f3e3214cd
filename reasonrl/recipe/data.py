"""The part of a recipe that says where problems come from and how they become prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from reasonrl.recipe.fields import Count, Spec


class SourceSpec(Spec):
    """Where problems come from: see `reasonrl.data.load_problems`."""

    source: str
    """A file (.jsonl, .json, .parquet, .csv), arithmetic, reasoning_gym, gsm8k, math, a Hugging Face id, or
    package.module:function.
    """
    split: str | None = None
    name: str | None = None
    kind: str = "math"
    columns: dict[str, str] = {}
    """Ours to theirs: {prompt: question, answer: target}."""
    limit: Count | None = None
    """Use only the first rows."""
    seed: int = 0
    options: dict[str, Any] = {}


class PromptSpec(Spec):
    """How a bare question becomes a prompt. Leave it out for data whose prompts are complete."""

    style: Literal["chat", "text"] = "chat"
    template: str = "{question}"
    few_shot: list[tuple[str, str]] = []
    """Worked examples: [question, answer] pairs."""
    system: str | None = None


def _one_or_several(value: Any) -> str:
    return "list[several]" if isinstance(value, list) else "list[one]"


# The tags look like a list's, so that messages leave them out of the path.
Sources = Annotated[
    Annotated[SourceSpec, Tag("list[one]")] | Annotated[list[SourceSpec], Tag("list[several]")],
    Discriminator(_one_or_several),
]
"""One source, or a list of several that are put together."""


class DataSpec(Spec):
    train: Sources | None = None
    replay: Sources | None = None
    """offline: problems with demonstrations that are learnt again beside the rows."""
    heldout: dict[str, SourceSpec] = {}
    """Named sets that are only evaluated on. No prompt may also be in the training set."""
    prompt: PromptSpec | None = None

    @property
    def train_sources(self) -> list[SourceSpec]:
        return _listed(self.train)

    @property
    def replay_sources(self) -> list[SourceSpec]:
        return _listed(self.replay)


def _listed(sources: SourceSpec | list[SourceSpec] | None) -> list[SourceSpec]:
    return sources if isinstance(sources, list) else [] if sources is None else [sources]
