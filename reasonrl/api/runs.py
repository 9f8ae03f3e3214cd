"""A run folder as an object: its model, its metrics, its samples, its evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reasonrl.errors import UsageError
from reasonrl.host.outputs import user_path
from reasonrl.runs import reading
from reasonrl.runs.samples import SampleFilter
from reasonrl.words import did_you_mean

if TYPE_CHECKING:
    from reasonrl.evaluation.evaluate import Evaluation


@dataclass(frozen=True)
class Run:
    """A run folder. Everything is read from the files when it is asked for, so a run that still trains can be watched.

    A recipe with stages leaves a folder for each; the methods read the last one unless `stage` names another.
    """

    path: Path
    stages: Mapping[str, reading.Run]
    """By name, in order. A run without stages has one, with the name of the recipe."""

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Open a run folder.

        Raises:
            UsageError: there is no such folder, or it is not a run.
        """
        folder = user_path(path)
        inner = sorted(file.parent for file in folder.glob("stages/*/recipe.yaml"))
        stages = [reading.Run.open(stage) for stage in (inner or [folder])]
        return cls(folder, {stage.name: stage for stage in stages})

    @property
    def model_path(self) -> Path:
        """The newest complete checkpoint: a Hugging Face model folder. Raises RecipeError where there is none."""
        from reasonrl.setup.run_models import newest_model

        return newest_model(self.path)

    @property
    def best_path(self) -> Path | None:
        """The weights with the best held-out accuracy in the last stage; None where the recipe does not keep them."""
        folder = self.stage().path / "best"
        return folder if folder.is_dir() else None

    @property
    def report_path(self) -> Path | None:
        """report.html; None before it is written."""
        file = self.path / "report.html"
        return file if file.is_file() else None

    def stage(self, name: str | None = None) -> reading.Run:
        """The folder of a stage; the last one without a name. Raises UsageError for a stage that the run lacks."""
        if name is None:
            return list(self.stages.values())[-1]
        if name not in self.stages:
            hint = did_you_mean(name, self.stages) or f"its stages are {', '.join(self.stages)}"
            raise UsageError(f"{self.path} has no stage '{name}': {hint}")
        return self.stages[name]

    def metrics(self, kind: str | None = None, *, stage: str | None = None) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, in order; docs/metrics.md explains each number.

        Args:
            kind: "train", "sft", "offline" or "eval"; all of them if left out.
            stage: the name of a stage; the last one if left out.

        Raises:
            UsageError: the run has no such stage, or the file is damaged.

        Example:
            rewards = [row["reward/mean"] for row in run.metrics("train")]
        """
        return self.stage(stage).metrics(kind)

    def samples(
        self, kind: str | None = None, *, step: int | None = None, mode: str | None = None, stage: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The rows of samples.jsonl, read one at a time: prompt, response, verdicts, reward of each rollout.

        Args:
            kind: "train" or "eval"; both if left out.
            step: of this step only.
            mode: "greedy" or "sampled", of an evaluation.
            stage: the name of a stage; the last one if left out.

        Raises:
            UsageError: the run has no such stage, or the file is damaged.
        """
        return self.stage(stage).samples.rows(SampleFilter(kind=kind, step=step, mode=mode))

    def evaluations(self, *, stage: str | None = None) -> list[tuple[int, Evaluation]]:
        """(step, evaluation) of every evaluation of every held-out set, in order. They hold no samples.

        Raises:
            UsageError: the run has no such stage, or the file is damaged.

        Example:
            for step, evaluation in run.evaluations():
                print(step, evaluation.set_name, evaluation.accuracy)
        """
        from reasonrl.evaluation.evaluate import Evaluation

        return [
            (int(row["step"]), Evaluation.from_row(name, row))
            for row in self.metrics("eval", stage=stage)
            for name in reading.eval_sets([row])
        ]
