"""Evaluating and comparing from Python: what `reasonrl eval` and `reasonrl compare` do, as functions."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reasonrl.api.problems import load_problems
from reasonrl.api.runs import Run
from reasonrl.commands.benchmark_run import BenchmarkRun, EvalResult, load_benchmarks
from reasonrl.commands.evaluate import result_table
from reasonrl.commands.evaluated_recipe import evaluation_recipe, refuse_empty_evaluation
from reasonrl.commands.results import refuse_old_results, results_folder, write_results
from reasonrl.errors import UsageError
from reasonrl.evaluation import compare as comparing
from reasonrl.evaluation.evaluate import Evaluation
from reasonrl.host.outputs import user_path, user_text
from reasonrl.runs.folder import run_facts
from reasonrl.setup.benchmarks import AnswerSettings
from reasonrl.setup.standalone import prepare_evaluation
from reasonrl.stages.gathering import close_verifier
from reasonrl.stats import Interval
from verifiers.types import Problem


@dataclass(frozen=True)
class EvaluationResult:
    """What a model scored. `print` shows the table of `reasonrl eval`."""

    model: str
    """The weights that were evaluated: a folder, a Hugging Face id, or the name of a bundled model."""
    sets: Mapping[str, Evaluation]
    """By the name of the set; `sets[name].accuracies` has "greedy" and "sampled"."""
    output: Path | None = field(default=None)
    """The folder with results.json and samples.jsonl; None where none was asked for."""

    @property
    def accuracy(self) -> Interval | None:
        """`estimate`, `low`, `high` (95%) and `n` problems of the only set: sampled where there are samples, else
        greedy. None where no answer could be judged.

        Raises:
            UsageError: several sets were evaluated.
        """
        return self._only_set().accuracy

    @property
    def greedy(self) -> Interval | None:
        """The accuracy of the greedy answers; None without any. Raises UsageError for several sets."""
        return self._interval("greedy")

    @property
    def sampled(self) -> Interval | None:
        """The mean accuracy of the samples; None without any. Raises UsageError for several sets."""
        return self._interval("sampled")

    @property
    def metrics(self) -> dict[str, Any]:
        """All numbers of all sets, named as in metrics.jsonl."""
        return {name: value for evaluation in self.sets.values() for name, value in evaluation.metrics.items()}

    @property
    def samples(self) -> list[dict[str, Any]]:
        """Prompt, response and verdict of every answer, as rows of samples.jsonl."""
        return [row for evaluation in self.sets.values() for row in evaluation.samples]

    def __str__(self) -> str:
        return result_table(self.metrics, list(self.sets))

    def _only_set(self) -> Evaluation:
        if len(self.sets) > 1:
            names = list(self.sets)
            raise UsageError(f"several sets were evaluated ({', '.join(names)}): write result.sets['{names[0]}']")
        return next(iter(self.sets.values()))

    def _interval(self, mode: str) -> Interval | None:
        accuracy = self._only_set().accuracies.get(mode)
        return None if accuracy is None else accuracy.interval


def evaluate(
    model: Run | str | Path,
    data: str | Path | Mapping[str, Any] | Sequence[Problem] | None = None,
    *,
    n: int = 4,
    recipe: str | Path | None = None,
    temperature: float | None = None,
    limit: int | None = None,
    overrides: Sequence[str] = (),
    output: str | Path | None = None,
    seed: int = 0,
    offline: bool = False,
) -> EvaluationResult:
    """Accuracy of a model on problems, greedy and sampled, with 95% intervals.

    Args:
        model: a run or its folder (its newest checkpoint, with the prompt and verifier of its recipe), a model folder,
            a Hugging Face id, or the name of a bundled model.
        data: the problems, or what `load_problems` takes. The run's own held-out sets if left out.
        n: samples per problem; 0 evaluates greedily only.
        recipe: take prompt, verifier and sampling from this recipe; a run uses its own.
        temperature: of the samples; the recipe's if left out.
        limit: use only the first problems of each set.
        overrides: `key=value` for the recipe, such as "rollout.max_new_tokens=64".
        output: a folder for results.json and samples.jsonl; `compare` reads them.
        seed: of the samples.
        offline: use nothing that is not on this machine.

    Raises:
        UsageError: there is nothing to evaluate on, or `output` holds results already.
        RecipeError: an override is wrong, or a run has no checkpoint yet.
        DataError: the problems cannot be read.
        ModelError: the model cannot be found or loaded.

    Example:
        result = evaluate("runs/first", "problems.jsonl", n=8)
        print(f"{result.accuracy.estimate:.1%} [{result.accuracy.low:.1%}, {result.accuracy.high:.1%}]")
    """
    name = user_text(str(model.path if isinstance(model, Run) else model))
    folder = None if output is None else user_path(output, "output")
    refuse_old_results(folder)
    if n < 0:
        raise UsageError(f"evaluate: n is the number of samples per problem, 0 or more, not {n}")
    if limit is not None and limit < 1:
        raise UsageError(f"evaluate: limit is the number of problems of each set, 1 or more, not {limit}")
    started = time.perf_counter()
    problems = None if data is None or isinstance(data, str | Path) else _named_problems(data, limit, offline)
    source = next(iter(problems)) if problems else None if data is None else str(data)
    stage, weights = evaluation_recipe(
        name,
        data=source,
        recipe=None if recipe is None else user_text(str(recipe)),
        limit=limit,
        overrides=list(overrides),
        offline=offline,
    )
    refuse_empty_evaluation(stage, n)
    with results_folder(folder):
        prepared = prepare_evaluation(
            stage,
            weights,
            samples_per_problem=n,
            temperature=temperature,
            seed=seed,
            offline=offline,
            problems=problems,
        )
        try:
            evaluations = prepared.run()
        finally:
            close_verifier(prepared.answer_verifier)
        result = EvaluationResult(weights, {evaluation.set_name: evaluation for evaluation in evaluations}, folder)
        if folder is not None:
            facts = {"model": name, "weights": weights, "seed": seed, "metrics": result.metrics}
            facts |= prepared.sampling_facts() | {"seconds": time.perf_counter() - started} | run_facts(sys.argv)
            write_results(folder, facts, result.samples)
        return result


def evaluate_benchmarks(
    model: Run | str | Path,
    benchmarks: Sequence[str] | Mapping[str, str | Path | None],
    *,
    n: int = 1,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_new_tokens: int | None = None,
    prompt: str | None = None,
    limit: int | None = None,
    known_errors: str = "count",
    overrides: Sequence[str] = (),
    output: str | Path | None = None,
    seed: int = 0,
    offline: bool = False,
) -> EvalResult:
    """Scores of a model on published benchmarks, with 95% intervals.

    Args:
        model: as for `evaluate`, or the address of an OpenAI-compatible server.
        benchmarks: names such as "gsm8k", read from the hub; or names with the file of a copy each.
        n: answers to each problem. Several need a temperature.
        max_new_tokens, prompt: None: as the benchmark says.
        limit: use only the first problems.
        known_errors: count, exclude or mend problems that are known to be judged wrongly.
        overrides: `key=value` of the sections model, rollout and verifier.
        output: a folder for results.json and samples.jsonl. An evaluation that was stopped goes on there.

    Raises: UsageError, DataError, ModelError, RecipeError, before anything is drawn.

    Example:
        result = evaluate_benchmarks("runs/first", {"gsm8k": "gsm8k_test.jsonl"}, n=8, temperature=0.6)
        print(result.results["gsm8k"].accuracy.interval, result.results["gsm8k"].pass_at[8])
    """
    named = benchmarks if isinstance(benchmarks, Mapping) else dict.fromkeys(benchmarks)
    if not named or isinstance(benchmarks, str):
        raise UsageError("evaluate_benchmarks: benchmarks is a list of names, or a dictionary of names and files")
    wanted = [(name, None if file is None else str(file)) for name, file in named.items()]
    return BenchmarkRun(
        user_text(str(model.path if isinstance(model, Run) else model)),
        load_benchmarks(wanted, limit=limit, offline=offline, known_errors=known_errors),
        AnswerSettings(n, temperature, top_p, 0, max_new_tokens, prompt, seed),
        output=None if output is None else user_path(output, "output"),
        overrides=list(overrides),
        offline=offline,
    ).evaluate()


def _named_problems(
    data: Mapping[str, Any] | Sequence[Problem], limit: int | None, offline: bool
) -> dict[str, list[Problem]]:
    """The problems under the name of their set."""
    if isinstance(data, Mapping):
        problems = load_problems(data, **({"offline": True} if offline else {}))
        name = Path(str(data["source"])).stem.replace("/", "-") or "data"
    else:
        problems, name = list(data), "data"
    if not problems:
        raise UsageError("evaluate: data is an empty list; give at least one problem")
    return {name: problems[:limit]}


def compare(a: Run | EvaluationResult | str | Path, b: Run | EvaluationResult | str | Path) -> comparing.Comparison:
    """Is b better than a? Problems are paired by id; the difference comes with its 95% interval.

    Args:
        a: a run (its last evaluation), a result that was written with `output`, or the folder of either.
        b: the other one, on the same problems.

    Returns:
        `results`: one for each set and mode, with `difference.normal` (estimate, low, high, n), `verdict` ("better",
        "worse" or "no measurable difference") and the problems that flipped.

    Raises:
        UsageError: a side holds no evaluation, or the two share no problem.

    Example:
        for result in compare(run_a, run_b).results:
            print(result.set, result.mode, result.difference.normal, result.verdict)
    """
    return comparing.compare(_folder(a), _folder(b))


def _folder(side: Run | EvaluationResult | str | Path) -> Path:
    if isinstance(side, Run):
        return side.path
    if isinstance(side, EvaluationResult):
        if side.output is None:
            raise UsageError("compare: this evaluation was not written; call evaluate(..., output='FOLDER')")
        return side.output
    return user_path(side)
