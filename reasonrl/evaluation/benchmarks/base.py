"""What a benchmark is: where its rows come from, how they are asked, and what judges the answers.

A file of this package declares one benchmark, or a family with the same form. No rows are shipped: they come from the
Hugging Face hub at a pinned revision, or from a file of the user's, in the columns of the hub or in ours (id, problem,
answer). What a benchmark adds to a plain data set is what makes numbers comparable: the split and the number of its
rows, the prompt as text, the verifier with its options, and golds in a form that the verifier reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HubRows:
    """A data set of the hub."""

    hub_id: str
    split: str
    config: str | None = None
    revision: str | None = None
    """A commit. None: we know none, and the newest is taken. Results have a hash of the problems in any case."""
    rows: int | None = None
    """How many rows this split has. Another number is reported: then it is another set."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """How a question is asked. `style` chat goes through the chat template, text is for base models."""

    style: str
    template: str
    few_shot: tuple[tuple[str, str], ...] = ()
    stop: tuple[str, ...] = ()
    verifier: Mapping[str, Any] = field(default_factory=dict)
    """Options in place of the benchmark's: what a base model goes on with may be a program without a block around it.
    """


@dataclass(frozen=True)
class Benchmark:
    """A set of problems with everything that a score depends on."""

    name: str
    title: str
    hub: HubRows | None
    """None: it is published as files, which `published` names."""
    licence: str
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """Variants by name. The first one that fits the model is the default: chat for a model with a chat template. None
    for solutions to judge: a critic has its own format."""
    verifier: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "math"
    published: str = ""
    row: Callable[[Row], Row] = dict
    """A row of the hub, or of a copy, as a row that `reasonrl.data` reads. Raises KeyError for a missing column and
    ValueError for a value that it cannot read."""
    keeps: Callable[[Row], bool] | None = None
    """Rows that do not belong to the benchmark are left out."""
    also_named: tuple[str, ...] = ()
    """What a file with rows of several sets calls this one, in its column source, suite or data_source."""
    max_new_tokens: int = 2048
    """Where the user does not say: enough for a model that answers without a long chain of thought."""
    notes: tuple[str, ...] = ()
    """What a reader of a score should know: known errors of the labels, versions that share a name."""
    known_errors: tuple[KnownError, ...] = field(default=())
    """Problems that are known to be judged wrongly. They count as they are published, unless somebody asks for more."""
    needs: Callable[[Row], tuple[str, ...]] | None = None
    """Modules that the programs of a row import, beyond the standard library."""
    reported: tuple[Reported, ...] = field(default=())
    """Scores from papers and reports, for a check of one's own set-up."""


@dataclass(frozen=True, slots=True)
class Reported:
    """A score that somebody reported."""

    model: str
    score: float
    """In percent."""
    spread: float | None
    """As reported beside it: of several runs."""
    settings: str
    source: str


@dataclass(frozen=True, slots=True)
class KnownError:
    """A problem whose published answer, tests or text are wrong."""

    row: str
    """Where all copies of the benchmark have the same ids, what stands behind the last / of the id; elsewhere
    `question_key` of the question."""
    what: str
    source: str
    answer: str | None = None
    """The right answer, as the verifier reads it. None: there is none, or it is not known."""


def question_key(text: str) -> str:
    """Says which question a text is, whatever its spaces and signs: copies of a benchmark number their rows each in
    their own way, and no rows are shipped."""
    words = " ".join(re.findall(r"[^\W_]+", text.lower()))
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()


QUESTION_NAMES = ("problem", "question", "prompt", "Problem", "input")


def math_row(*, question: str, answer: str, gold: Callable[[Any], str], identity: str = "id") -> Callable[[Row], Row]:
    """A reader of rows: `question` and `answer` are columns of the hub; a copy in our columns is read as well.

    Args:
        gold: the value of the answer column as the verifier reads it.
        identity: the column of the row's own name. Without it the row's number is its name.
    """

    def read(row: Row) -> Row:
        text = row[question] if question in row else next((row[name] for name in QUESTION_NAMES if name in row), None)
        if text is None:
            raise KeyError(question)
        value = row[answer] if answer in row else row["answer"]
        named = {"id": row[identity]} if row.get(identity) is not None else {}
        return {**named, "problem": text, "answer": gold(value)}

    return read
