"""The interface of every kind of stage. No torch: a kind is loaded only when a stage of it is planned or run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.runs.console import TrainConsole
from reasonrl.setup.data import RunData
from reasonrl.trainer.interrupt import Interrupt
from verifiers.types import Problem, Verifier


@dataclass(frozen=True)
class Workload:
    """The work of a stage. All counts but `steps` are of one step."""

    steps: int
    """1 for a stage that gathers."""
    prompts_per_step: int
    """0 where the problems are not known yet."""
    rollouts_per_step: int = 0
    """Sampled responses, of all roles together in a game."""
    sampled_tokens_per_step: int = 0
    """At most: every response is as long as allowed."""
    trained_rows_per_step: int = 0
    """Responses that the update trains on."""
    updates_per_step: int = 0
    """Optimiser updates."""

    @property
    def optimizer_updates(self) -> int:
        """Of the whole stage."""
        return self.steps * self.updates_per_step


class RunElsewhere(Protocol):
    """A backend that runs whole stages."""

    def __call__(
        self,
        recipe: Recipe,
        folder: Path,
        console: TrainConsole,
        *,
        init_from: str,
        resume: bool,
        offline: bool,
        stop_requested: Callable[[], bool],
        check_data: Callable[[RunData, int | None], object],
    ) -> Path:
        """Run or resume a stage. Returns the folder of its newest model.

        Call `check_data(data, step)` when the data is loaded, with the step that is resumed, before anything is
        written: it raises UsageError for what has changed since the stage began.

        As soon as `stop_requested` returns True it finishes the current step, saves a checkpoint and raises
        KeyboardInterrupt.
        """
        ...


@dataclass(frozen=True)
class Session:
    """How a stage is run: the options of the command line, and the results of earlier stages."""

    console: TrainConsole
    interrupt: Interrupt
    init_from: str
    """The model that the stage starts from: a folder, a Hugging Face id, or a bundled model."""
    resume: bool
    offline: bool
    backends: Mapping[str, RunElsewhere]
    """By name; for kinds with `runs_on_backends`."""
    allow_changes: bool = False
    """Resume over a recipe, data, weights or code that have changed since the stage began."""
    written: Recipe | None = None
    """The recipe of the stage before `stage:NAME` became a path, which differs where a run folder was moved. None: it
    has no such link.
    """


class StageKind(Protocol):
    """A kind of stage. Its facts that recipes need are in `reasonrl.recipe.kinds`."""

    name: ClassVar[str]
    target_label: ClassVar[str]
    """What the plan writes before `target`, at most 15 characters."""

    def workload(self, recipe: Recipe, data: RunData) -> Workload: ...

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        """The lines of the plan that only this kind has: label -> text."""
        ...

    def target(self, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
        """The target answer to a problem, which the plan shows. Raises DataError if the problem has none."""
        ...

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        """The models of the stage besides the one that it starts from. Raises RecipeError for a setting they lack."""
        ...

    def check(self, recipe: Recipe, data: RunData) -> None:
        """Refuse training data that the stage cannot use, before weights are loaded. Raises DataError."""
        ...

    def needs_reference(self, recipe: Recipe) -> bool:
        """Whether the update compares with the model that the stage started from."""
        ...

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        """Run or resume the stage in `folder`. Returns its newest model, or `folder` where the stage gathers.

        Raises ReasonRLError; KeyboardInterrupt when the session was interrupted.
        """
        ...


class StepTaker(Protocol):
    """The working part of a stage that trains: one optimiser step after another, with its state."""

    def run_step(self, step: int) -> dict[str, Any]:
        """Make step `step` (from 1). Returns its row of metrics.jsonl."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """JSON values; tensors are in `tensors`."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...

    def tensors(self) -> dict[str, Any]: ...

    def load_tensors(self, tensors: dict[str, Any]) -> None: ...


def training_lines(work: str, workload: Workload, **more: str) -> dict[str, str]:
    """The plan of a stage that trains. `work` says what one step does; `more` are further lines, label -> text."""
    return {
        "each step": work,
        **more,
        "in all": f"{workload.steps:,} steps, {workload.optimizer_updates:,} optimiser updates",
    }
