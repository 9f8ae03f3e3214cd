"""`reasonrl eval MODEL --benchmarks gsm8k,math500`: scores with intervals, kept as they are drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from reasonrl.commands.output import emit, key_values
from reasonrl.engines.served import ServedModel
from reasonrl.errors import DataError, ModelError, UsageError
from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import LoadedBenchmark, load_benchmark
from reasonrl.evaluation.contamination import overlap
from reasonrl.evaluation.drawing import AnswerStore, draw_answers, refuse_repeated
from reasonrl.evaluation.results import BenchmarkResult, result_of
from reasonrl.evaluation.selfcheck import checks_of, known_models
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


def benchmarks_command(
    model: str,
    wanted: str,
    settings: AnswerSettings,
    *,
    limit: int | None,
    output: Path | None,
    overrides: Sequence[str],
    offline: bool,
    as_json: bool,
    selfcheck: bool = False,
    served: dict[str, Any] | None = None,
) -> None:
    """Answers drawn by an earlier session in `output` are not drawn again."""
    loaded = [
        load_benchmark(find_benchmark(name), path=path, limit=limit, offline=offline)
        for name, path in wanted_benchmarks(wanted)
    ]
    benchmarks = [one.benchmark for one in loaded]
    if selfcheck and not any(PurePath(model).name.lower() == name.lower() for name in known_models(benchmarks)):
        raise UsageError(
            f"--selfcheck: no score of {model} is known on {', '.join(one.name for one in benchmarks)}; there are some"
            f" of {', '.join(known_models(benchmarks)) or 'no model'}"
        )
    if output is not None:
        _refuse_finished(output)
    prepared = prepare_benchmarks(loaded, _answerer(model, overrides, served, offline=offline), settings)
    refuse_repeated([one.draw for one in prepared])
    overlaps = _overlaps(model, loaded, offline=offline)
    for one in prepared:
        for note in (*one.loaded.notes, *one.warnings):
            typer.echo(f"{one.draw.name}: {note}", err=True)
        if one.left_out:
            typer.echo(
                f"{one.draw.name}: {len(one.left_out)} problems are left out, since the verifier does not accept their"
                f" own gold answer ({', '.join(one.left_out[:4])})",
                err=True,
            )
    facts = {"model": model, "seed": settings.seed, "benchmarks": {one.draw.name: one.facts() for one in prepared}}
    if output is None:
        results = _answer(prepared, AnswerStore(None))
    else:
        check_folder(output, "--output")
        with locked(output, ADVICE):
            _refuse_finished(output)
            _same_settings(output, facts)
            results = _answer(prepared, AnswerStore.open(output / SAMPLES))
    value = {**facts, "results": {result.name: result.to_json() for result in results}}
    value["versions"] = run_facts([])["versions"]
    value["contamination"] = overlaps
    if output is not None:
        replace_text(output / RESULTS, json_text(value, indent=1) + "\n")
    text = results_text(results) + (f"\nwritten to {output}" if output else "")
    if selfcheck:
        checks = checks_of(model, benchmarks, results)
        value["selfcheck"] = [{"benchmark": c.benchmark, "agrees": c.is_covered, "text": c.text()} for c in checks]
        text += "\n\n" + "\n".join(check.text() for check in checks)
    emit(as_json, value, text)


def refuse_with_benchmarks(options: dict[str, Any]) -> None:
    """Raises UsageError for an option that says what a benchmark says itself."""
    for name, value in options.items():
        if value:
            raise UsageError(f"{name} cannot stand beside --benchmarks, which say themselves what is asked and how")


def wanted_benchmarks(text: str) -> list[tuple[str, str | None]]:
    """`gsm8k,math500=copy.jsonl` as names and files. Raises UsageError."""
    pairs: list[tuple[str, str | None]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, path = part.partition("=")
        if equals and not path:
            raise UsageError(f"--benchmarks {part}: write a file behind the =")
        if any(name == known for known, _ in pairs):
            raise UsageError(f"--benchmarks: {name} is named twice")
        pairs.append((name, path or None))
    if not pairs:
        raise UsageError("--benchmarks: write names such as gsm8k,math500, or NAME=FILE")
    return pairs


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


def _answer(prepared: Sequence[PreparedBenchmark], store: AnswerStore) -> list[BenchmarkResult]:
    results = []
    for one in prepared:
        name = one.draw.name

        def shown(done: int, answers: int, name: str = name) -> None:
            typer.echo(f"{name}: {done:,} of {answers:,} answers", err=True)

        draw_answers(one.draw, store, shown)
        rows, missing = store.answers(one.draw), len(store.missing(one.draw))
        if not rows:
            raise ModelError(f"{name}: the server gave no answer to any of {missing:,} requests")
        most = one.draw.sampling.max_new_tokens
        results.append(result_of(name, rows, same=one.same, most_tokens=most, missing=missing))
    return results


def _overlaps(model: str, loaded: Sequence[LoadedBenchmark], *, offline: bool) -> dict[str, Any] | str:
    """Of a run: questions of each benchmark that stand in its training data. Of other models nothing is known."""
    if not (Path(model) / "recipe.yaml").is_file():
        return "not known: the model is not a run"
    try:
        training = training_problems(Path(model), offline=offline)
    except DataError as error:
        typer.echo(f"overlap with the training data is not known: {error}", err=True)
        return f"not known: {error}"
    found: dict[str, Any] = {}
    for one in loaded:
        seen = overlap(one.problems, training)
        typer.echo(seen.text(one.benchmark.name), err=True)
        found[one.benchmark.name] = {"same": list(seen.same), "shared": list(seen.shared), "share": seen.share}
    return found


def _answerer(model: str, overrides: Sequence[str], served: dict[str, Any] | None, *, offline: bool) -> Answerer:
    """A server, a model, or the newest checkpoint of a run. Raises UsageError, ModelError."""
    if model.startswith(("http://", "https://")):
        if overrides:
            raise UsageError("--set has no effect on a model that is served elsewhere; leave it out")
        return ServedAnswerer(ServedModel(model, **(served or {})))
    sections = _sections(overrides)
    weights = model
    if (Path(model) / "recipe.yaml").is_file():
        from reasonrl.setup.run_models import newest_model

        weights = str(newest_model(Path(model)))
    return LocalAnswerer(weights, model=sections["model"], rollout=sections["rollout"], offline=offline)


def _sections(overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Overrides of the sections model and rollout. Raises UsageError for others."""
    sections: dict[str, dict[str, Any]] = {"model": {}, "rollout": {}}
    for key, value in key_values(list(overrides), "--set").items():
        section, _, name = key.partition(".")
        if section not in sections or not name:
            raise UsageError(f"--set {key}: with --benchmarks only keys of model and rollout can be set")
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
        found: list[str] = []
        for name in (*old, *(name for name in new if name not in old)):
            found += _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
        return found
    return [] if old == new else [f"{key} was {old!r:.80} and is {new!r:.80}"]
