"""Evaluates a model on benchmarks, for `reasonrl eval --benchmarks` and `reasonrl.evaluate_benchmarks`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasonrl.commands.output import key_values
from reasonrl.engines.served import ServedModel
from reasonrl.errors import DataError, ModelError, UsageError
from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import LoadedBenchmark, check_known_errors, load_benchmark
from reasonrl.evaluation.contamination import Overlap, overlap
from reasonrl.evaluation.drawing import AnswerStore, draw_answers, refuse_repeated
from reasonrl.evaluation.results import BenchmarkResult, result_of
from reasonrl.host.files import replace_text
from reasonrl.host.outputs import check_folder
from reasonrl.host.terminal import json_text
from reasonrl.runs.folder import run_facts
from reasonrl.runs.lock import locked, refuse_locked
from reasonrl.setup.answerers import Answerer, LocalAnswerer, ServedAnswerer
from reasonrl.setup.benchmarks import AnswerSettings, PreparedBenchmark, prepare_benchmarks
from reasonrl.setup.trained_on import training_problems

ADVICE = "Wait for it, or name another folder with --output"
SETTINGS, RESULTS, SAMPLES = "settings.json", "results.json", "samples.jsonl"


@dataclass(frozen=True)
class EvalResult:
    """What a model scored on benchmarks. `print` shows the table of `reasonrl eval`."""

    model: str
    results: Mapping[str, BenchmarkResult]
    """By benchmark: `accuracy`, `pass_at[k]` and `majority` are intervals."""
    facts: Mapping[str, Any]
    """What the scores depend on: seed, and of each benchmark data, prompt, verifier and sampling."""
    overlaps: Mapping[str, Overlap] | str
    """Questions in the training data of a run, by benchmark; or why that is not known."""

    def to_json(self) -> dict[str, Any]:
        """As results.json holds it."""
        overlaps = self.overlaps
        if not isinstance(overlaps, str):
            known = overlaps.items()
            shares = {n: {"same": list(o.same), "shared": list(o.shared), "share": o.share} for n, o in known}
        return {
            **self.facts,
            "results": {name: result.to_json() for name, result in self.results.items()},
            "versions": run_facts([])["versions"],
            "contamination": overlaps if isinstance(overlaps, str) else shares,
        }

    def __str__(self) -> str:
        return results_text(list(self.results.values()))


def load_benchmarks(
    wanted: Sequence[tuple[str, str | None]], *, limit: int | None, offline: bool, known_errors: str = "count"
) -> list[LoadedBenchmark]:
    """Benchmarks by name, each with the file of a copy or None for the hub. Raises UsageError, DataError."""
    treatment = check_known_errors(known_errors)
    return [
        load_benchmark(find_benchmark(name), path=path, limit=limit, offline=offline, known_errors=treatment)
        for name, path in wanted
    ]


@dataclass
class BenchmarkRun:
    """One evaluation. Answers that an earlier session has left in `output` are not drawn again.

    `model` is a run, a folder of weights, a hub id, an embedded model, or the address of a server, with `served` as
    options of `ServedModel`. `tell` gets lines for a person.
    """

    model: str
    loaded: Sequence[LoadedBenchmark]
    settings: AnswerSettings
    output: Path | None = None
    overrides: Sequence[str] = ()
    served: Mapping[str, Any] | None = None
    offline: bool = False
    tell: Callable[[str], None] = field(default=lambda text: None)

    def evaluate(self) -> EvalResult:
        """Raises UsageError, DataError, ModelError, RecipeError before anything is drawn."""
        if self.output is not None:
            _refuse_finished(self.output)
        sections = _sections(self.overrides)
        settings = dataclasses.replace(self.settings, verifier=sections.pop("verifier"))
        prepared = prepare_benchmarks(self.loaded, self._answerer(sections), settings)
        refuse_repeated([one.draw for one in prepared])
        overlaps = self._overlaps()
        self._tell_notes(prepared)
        facts = {
            "model": self.model,
            "seed": self.settings.seed,
            "benchmarks": {one.draw.name: one.facts() for one in prepared},
        }
        if self.output is None:
            return EvalResult(self.model, self._answer(prepared, AnswerStore(None)), facts, overlaps)
        check_folder(self.output, "--output")
        with locked(self.output, ADVICE):
            _refuse_finished(self.output)
            _same_settings(self.output, facts)
            results = self._answer(prepared, AnswerStore.open(self.output / SAMPLES))
            result = EvalResult(self.model, results, facts, overlaps)
            replace_text(self.output / RESULTS, json_text(result.to_json(), indent=1) + "\n")
        return result

    def _answer(self, prepared: Sequence[PreparedBenchmark], store: AnswerStore) -> dict[str, BenchmarkResult]:
        results = {}
        for one in prepared:
            name = one.draw.name

            def shown(done: int, answers: int, name: str = name) -> None:
                self.tell(f"{name}: {done:,} of {answers:,} answers")

            draw_answers(one.draw, store, shown)
            rows, missing = store.answers(one.draw), len(store.missing(one.draw))
            if not rows:
                raise ModelError(f"{name}: the server gave no answer to any of {missing:,} requests")
            most = one.draw.sampling.max_new_tokens
            results[name] = result_of(name, rows, same=one.same, most_tokens=most, missing=missing)
        return results

    def _tell_notes(self, prepared: Sequence[PreparedBenchmark]) -> None:
        for one in prepared:
            for note in (*one.loaded.notes, *one.warnings):
                self.tell(f"{one.draw.name}: {note}")
            if one.left_out:
                self.tell(
                    f"{one.draw.name}: {len(one.left_out)} problems are left out, since the verifier does not accept"
                    f" their own gold answer ({', '.join(one.left_out[:4])})"
                )

    def _answerer(self, sections: dict[str, dict[str, Any]]) -> Answerer:
        """A server, a model, or the newest checkpoint of a run. Raises UsageError, ModelError."""
        if self.model.startswith(("http://", "https://")):
            if any(sections.values()):
                raise UsageError(
                    "--set of model and rollout has no effect on a model that is served elsewhere; leave it out"
                )
            return ServedAnswerer(ServedModel(self.model, **(self.served or {})))
        weights = self.model
        if self._is_run:
            from reasonrl.setup.run_models import newest_model

            weights = str(newest_model(Path(self.model)))
        return LocalAnswerer(weights, model=sections["model"], rollout=sections["rollout"], offline=self.offline)

    @property
    def _is_run(self) -> bool:
        return (Path(self.model) / "recipe.yaml").is_file()

    def _overlaps(self) -> dict[str, Overlap] | str:
        """Of a run: questions of each benchmark that stand in its training data. Of other models nothing is known."""
        if not self._is_run:
            return "not known: the model is not a run"
        try:
            training = training_problems(Path(self.model), offline=self.offline)
        except DataError as error:
            self.tell(f"overlap with the training data is not known: {error}")
            return f"not known: {error}"
        overlaps = {one.benchmark.name: overlap(one.problems, training) for one in self.loaded}
        for name, seen in overlaps.items():
            self.tell(seen.text(name))
        return overlaps


def results_text(results: Sequence[BenchmarkResult]) -> str:
    """The table of a terminal."""
    table = Table(show_edge=False, pad_edge=False)
    several = max(result.samples_per_problem for result in results) > 1
    titles = ["benchmark", "problems", "avg@n" if several else "accuracy", "95%"]
    titles += ["pass@n", "maj@n"] if several else []
    lacking = any(result.missing for result in results)
    for title in (*titles, "cut off", "unread", "not judged", *(["missing"] if lacking else []), "tokens"):
        table.add_column(title, justify="left" if title == "benchmark" else "right")
    for result in results:
        table.add_row(*_cells(result, several, lacking=lacking))
    console = Console(width=120, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get().rstrip()


def _cells(result: BenchmarkResult, several: bool, *, lacking: bool) -> list[Text]:
    interval = result.accuracy.interval
    count = f" x {result.samples_per_problem}" if result.samples_per_problem > 1 else ""
    cells = [result.name, f"{result.problems:,}{count}"]
    cells += (
        ["-", ""]
        if interval is None
        else [_percent(interval.estimate), f"{_percent(interval.low)} to {_percent(interval.high)}"]
    )
    if several:
        best = result.pass_at.get(max(result.pass_at, default=0))
        cells += [_percent(best.estimate) if best else "-"]
        cells += [_percent(result.majority.estimate) if result.majority else "-"]
    cells += [_percent(result.truncated), _percent(result.unparsed)]
    cells += [
        f"{result.accuracy.unjudged:,}",
        *([f"{result.missing:,}"] if lacking else []),
        f"{result.mean_tokens:,.0f}",
    ]
    return [Text(cell) for cell in cells]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _sections(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Overrides of the sections model, rollout and verifier. Raises UsageError for others."""
    sections: dict[str, dict[str, Any]] = {"model": {}, "rollout": {}, "verifier": {}}
    for key, value in key_values(list(overrides), "--set").items():
        section, _, name = key.partition(".")
        if section not in sections or not name:
            raise UsageError(f"--set {key}: with --benchmarks only keys of model, rollout and verifier can be set")
        sections[section][name] = value
    return sections


def _refuse_finished(output: Path) -> None:
    """Results with answers that a server did not give may be completed."""
    refuse_locked(output, ADVICE)
    if (output / "recipe.yaml").exists():
        raise UsageError(f"{output} already holds a run; name another folder with --output")
    if (output / RESULTS).exists():
        figures = json.loads((output / RESULTS).read_text(encoding="utf-8")).get("results", {}).values()
        if not any(figure.get("missing") for figure in figures):
            raise UsageError(f"{output} already holds results; name another folder with --output")


def _same_settings(output: Path, facts: dict[str, Any]) -> None:
    """Write down what the answers of this folder are drawn with, or compare it. Raises UsageError for a difference."""
    file = output / SETTINGS
    if not file.exists():
        replace_text(file, json_text(facts, indent=1) + "\n")
        return
    differences = list(_differences(json.loads(file.read_text(encoding="utf-8")), json.loads(json_text(facts)), ""))
    if differences:
        raise UsageError(
            f"{output} holds answers of another evaluation: {differences[0]}. Name another folder with --output"
        )


def _differences(old: Any, new: Any, key: str) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        differences: list[str] = []
        for name in (*old, *(name for name in new if name not in old)):
            differences += _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
        return differences
    return [] if old == new else [f"{key} was {old!r:.80} and is {new!r:.80}"]
