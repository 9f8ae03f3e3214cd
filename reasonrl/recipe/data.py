"""The part of a recipe that says where problems come from and how they become prompts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from reasonrl.recipe.fields import REQUIRED_BY_A_RULE, Count, Spec

BENCHMARK = "benchmark:"


class SourceSpec(Spec):
    """Where problems come from."""

    source: str
    """Problems come from here: a file (`.jsonl`, `.json`, `.parquet`, `.csv`), `arithmetic`, `step_arithmetic`,
    `programs`, `term_proofs`, `tool_arithmetic`, `tool_loops`, `reasoning_gym`, `gsm8k`, `math`, `humaneval`, `mbpp`,
    `livecodebench`, `code_contests`, a Hugging Face id, `stage:NAME/SET` (problems that an earlier stage wrote),
    `benchmark:NAME` (a published set, docs/evaluation.md; `benchmark: NAME` says the same), or
    `package.module:function`.
    """
    split: str | None = None
    """This split of the data set is read; of a file, the rows whose column `split` has this value. Empty: `train`, or
    everything in a source without splits.
    """
    name: str | None = None
    """This configuration of a Hugging Face data set is read."""
    kind: str = "math"
    """Problems whose rows do not name a kind are of this kind: `math`, `code`, `reasoning_gym`, `critique`, or a word
    of yours (docs/data.md).
    """
    columns: dict[str, str] = {}
    """Each of our field names is read from the column given here: `{prompt: question, answer: target}`."""
    limit: Count | None = None
    """Only this many of the first rows are used. Empty: all of them."""
    seed: int = 0
    """A source that generates problems is seeded with this."""
    options: dict[str, Any] = {}
    """These further arguments are passed to the source: to a generator, or to a function of yours."""

    @model_validator(mode="before")
    @classmethod
    def _named_benchmark(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "benchmark" not in value or "source" in value:
            return value
        others = {key: entry for key, entry in value.items() if key != "benchmark"}
        return {"source": f"{BENCHMARK}{value['benchmark']}", **others}


class PromptSpec(Spec):
    """How a bare question becomes a prompt. Leave the section out for data whose prompts are complete."""

    may_be_blank = frozenset({"system"})

    style: Literal["chat", "text"] = "chat"
    """`chat` sends messages through the model's chat template. `text` is plain text, for base models."""
    template: str = "{question}"
    """The question is put into this text, at `{question}`."""
    few_shot: list[tuple[str, str]] = []
    """These worked examples, [question, answer] pairs, are put before the question."""
    system: str | None = None
    """The conversation begins with this system message. Empty: it has none."""
    last_assistant: Literal["refuse", "continue"] = "refuse"
    """This decides about messages that end in a turn of the assistant: `refuse` stops before the run, since such a turn
    is often the answer; `continue` leaves it open, and the model continues its text.
    """


def _one_or_several(value: Any) -> str:
    return "several" if isinstance(value, list) else "one"


Sources = Annotated[
    Annotated[SourceSpec, Tag("one")] | Annotated[list[SourceSpec], Tag("several")],
    Discriminator(_one_or_several),
]
"""One source, or a list of several whose problems are put together."""


class DataSpec(Spec):
    """The problems."""

    train: Sources | None = Field(default=None, json_schema_extra=REQUIRED_BY_A_RULE)
    """The policy learns from these problems: one source, or a list of several."""
    replay: Sources | None = None
    """Stages of kind `offline` also train on these demonstrations."""
    heldout: dict[str, SourceSpec] = {}
    """These named sets are only evaluated on. None of their prompts may be in the training set."""
    prompt: PromptSpec | None = None
    """A bare question becomes a prompt by this section. Empty: prompts are complete as they are."""

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
