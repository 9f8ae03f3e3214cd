"""The types that every verifier takes and returns.

A verdict keeps three things apart that most trainers fold into the number 0: the response is *wrong*, it *could not be
judged* (the verifier ran out of time), or the verifier *broke*. Only the first is the model's doing and may be learnt
from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any, Protocol, TypedDict, runtime_checkable


class Status(StrEnum):
    """How a verdict came about."""

    JUDGED = "judged"
    """The response was read and compared: `correct` is True or False."""
    UNPARSED = "unparsed"
    """There was nothing to read in the response. The model's fault: `correct` is False."""
    TIMEOUT = "timeout"
    """The deadline passed and the worker was killed: `correct` is None, the row is masked."""
    ERROR = "error"
    """The verifier itself failed, or the reference cannot be read: `correct` is None, the row is masked."""


class Message(TypedDict):
    """One chat message, as in every chat template: `role` is system, user, assistant or tool."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one response. Accuracy counts `correct`, the reward is `score`; the two must agree.

    A score of 1 is a correct response and a score of 0 a wrong one. Between them, the verifier decides.

    Raises ValueError where they contradict each other or the status, for a score that is not in [0, 1], and for details
    that are not a mapping.
    """

    correct: bool | None
    """None when the status is TIMEOUT or ERROR, and only then. A recipe that says `on_timeout: wrong` makes a time-out
    False.
    """
    score: float | None
    """In [0, 1]; for code the pass rate. None when `correct` is None."""
    status: Status
    extracted: str | None
    """What was read out of the response, if anything."""
    method: str
    """The rule that decided, e.g. "rational", "sympy.equals", "tests"."""
    reason: str
    """One line for a person."""
    seconds: float
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What a kind of verifier says besides, in JSON's types: code {isolation, trust, passed, total, per_test}. Neither
    metrics nor rewards read it.
    """

    def __post_init__(self) -> None:
        if not isinstance(self.details, Mapping):
            raise ValueError(f"the details of a verdict must be a dict, not {type(self.details).__name__}")
        judged = self.status in (Status.JUDGED, Status.UNPARSED)
        if self.status is Status.TIMEOUT and (self.correct, self.score) == (False, 0.0):
            return
        if judged != (self.correct is not None) or judged != (self.score is not None):
            raise ValueError(
                f"a verdict with status {self.status.value} cannot have correct={self.correct}, score={self.score}"
            )
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"a score must be in [0, 1], not {self.score}")
        # A foreign type, such as numpy's, is made plain where the verdict is read (`sound_verdict`), and checked again.
        if self.score is None or not isinstance(self.correct, bool):
            return
        if self.score == (0.0 if self.correct else 1.0):
            raise ValueError(
                f"a verdict with correct={self.correct} cannot have score={self.score}: accuracy counts `correct` and"
                " the reward is `score`, so 1 must mean correct and 0 wrong"
            )
        if self.correct and self.status is Status.UNPARSED:
            raise ValueError("a verdict with status unparsed cannot have correct=True: nothing was read")

    @property
    def summary(self) -> str:
        """correct, wrong, wrong (unparsed), or not judged with the status: for a person."""
        if self.correct is None:
            return f"not judged ({self.status.value})"
        return "correct" if self.correct else f"wrong{' (unparsed)' if self.status is Status.UNPARSED else ''}"

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, the status as text; without `details` where there are none."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "details"}
        named["status"] = self.status.value
        return named | ({"details": dict(self.details)} if self.details else {})


@dataclass(frozen=True, slots=True)
class Layer:
    """One rule that a verifier asked on the way to its verdict."""

    name: str
    says: str
    """For a person: "equal", "passes it on"."""
    method: str | None = None
    """As in `Verdict.method`; None where the layer decided nothing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One task for the model, with what is needed to judge its answer.

    `prompt` as a str is tokenised as it stands (few-shot prompts); messages go through the chat template.
    `reference` by kind: math {"answer"}; code {"format", "tests", "entry_point"?}; lean {"statement", "header"};
    reasoning_gym {"dataset", "entry"}.
    """

    id: str
    prompt: str | list[Message]
    kind: str
    reference: dict[str, Any]
    source: str = ""
    meta: dict[str, Any] = field(default_factory=dict)
    functions: list[dict[str, Any]] = field(default_factory=list)
    """What the model may call, as a chat template describes it: schemas of functions."""


@runtime_checkable
class Verifier(Protocol):
    """Lives in the parent process; work that can hang goes to `verifiers.pool.pool`.

    The two methods are all that training needs. A verifier may also have these; they are optional, so they are not
    members of the protocol. `verifiers.optional` reads them:

    `thread_safe: bool` (class attribute, default False). True: `verify` may run in a thread while episodes still play;
    verdicts are then made as episodes finish.

    `reads_reference: bool` (class attribute, default True). False: verdicts depend on the response alone, so the
    commands take rows without a reference.

    `command_options: dict` (class attribute, default empty). Constructor options of `reasonrl verify` and
    `reasonrl audit` where the user gives none.

    `row_fields: tuple[str, ...]` (class attribute, default empty): fields of a reference that may stand in a row by
    themselves, the one that messages name first, e.g. ("tests", "entry_point"). A row of the commands then needs no
    "reference". A right response that a reference holds is judged before the row is.

    `answer_field: str` (class attribute, default "answer"): what else a row may call a bare answer, e.g. "code".

    `detail_fields: tuple[str, ...]` (class attribute, default empty): names of `Verdict.details` that `reasonrl verify`
    writes as columns, null where a verdict lacks them.

    `reference_of(gold) -> dict`: the reference that a bare gold answer stands for, e.g. {"answer": gold}. Needed for
    rows with "gold" in place of "reference". Raises ValueError for a gold answer of the wrong form.

    `wrap_answer(answer: str) -> str`: a response that holds the bare answer in the format that `verify` reads, e.g.
    \\boxed{answer}. Needed for rows with "answer" in place of "response". Raises ValueError if there is none.

    `verify_answers(answers, references) -> list[Verdict]`: `verify` for bare answers. Only for a verifier that judges
    them better as they stand than wrapped by `wrap_answer`, which is then not needed.

    `explain(answer, reference, verdict) -> list[Layer]`: how the verdict of one answer came about, for `--explain`.
    """

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order. Never raises for what a response holds."""
        ...

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response that must score 1: the self-check of every data set.

        Raises:
            NoGoldResponse: the reference can be read, and holds no right response.
            ValueError: the reference cannot be read.
        """
        ...


def is_thread_safe(verifier: Verifier) -> bool:
    """Whether `verify` may run in a thread while episodes still play, and in several threads at a time."""
    return bool(getattr(verifier, "thread_safe", False))
