"""The part of a recipe that says where problems come from and how they become prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from reasonrl.recipe.fields import Count, Spec


class SourceSpec(Spec):
    """Where problems come from. `reasonrl.data.load_problems` reads it."""

    source: str
    """A file (`.jsonl`, `.json`, `.parquet`, `.csv`), `arithmetic`, `step_arithmetic`, `reasoning_gym`, `gsm8k`,
    `math`, a Hugging Face id, `stage:NAME/SET` (problems that a stage before this one wrote), or
    `package.module:function`.
    """
    split: str | None = None
    """The split of the data set. Empty: `train`, or all of a source without splits."""
    name: str | None = None
    """The configuration of a Hugging Face data set."""
    kind: str = "math"
    """The kind of the problems, where their rows name none."""
    columns: dict[str, str] = {}
    """Our field names and the columns that hold them: `{prompt: question, answer: target}`."""
    limit: Count | None = None
    """Only this many of the first rows are used. Empty: all are."""
    seed: int = 0
    """The seed of a source that generates problems."""
    options: dict[str, Any] = {}
    """Further arguments of the source: what a generator takes, or the user's function."""


class PromptSpec(Spec):
    """How a bare question becomes a prompt. Leave the section out for data whose prompts are complete."""

    style: Literal["chat", "text"] = "chat"
    """`chat`: messages through the model's chat template. `text`: a plain text, for base models."""
    template: str = "{question}"
    """The text around the question."""
    few_shot: list[tuple[str, str]] = []
    """Worked examples that stand before the question: [question, answer] pairs."""
    system: str | None = None
    """The system message. Empty: there is none."""


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


Sources = Annotated[
    Annotated[SourceSpec, Tag("one")] | Annotated[list[SourceSpec], Tag("several")],
    Discriminator(_one_or_several),
]
"""One source, or a list of several whose problems are put together."""


class DataSpec(Spec):
    """The problems."""

    train: Sources | None = None
    """The problems to learn from: one source, or a list of several."""
    replay: Sources | None = None
    """Stages of kind `offline`: problems with demonstrations that are learned again beside the rows."""
    heldout: dict[str, SourceSpec] = {}
    """Named sets that are only evaluated on (eval sets). None of their prompts may be in the training set."""
    prompt: PromptSpec | None = None
    """How a bare question becomes a prompt. Empty: the prompts are complete."""

    @property
    def train_sources(self) -> list[SourceSpec]:
        return _as_list(self.train)

    @property
    def replay_sources(self) -> list[SourceSpec]:
        return _as_list(self.replay)


def _as_list(sources: SourceSpec | list[SourceSpec] | None) -> list[SourceSpec]:
    if sources is None:
        return []
    return sources if isinstance(sources, list) else [sources]
