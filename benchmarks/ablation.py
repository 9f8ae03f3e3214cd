"""Do the methods do what their papers say, on small real tasks? Each method alone and all together, from the same
warmed-up models.

    python benchmarks/ablation.py run      trains what is missing (half a minute a run), then the table
    python benchmarks/ablation.py table    the table, from what is there
    python benchmarks/ablation.py run --task programs --seeds 1 --methods plain unlikeliness

Task `sums` (ablation_task.py): held-out problems are of the hard kind. Tasks `programs` and `proofs` (recipes/programs,
recipes/term_proofs): a problem has many right answers; the table counts the different right ones among 32 samples
(program_forms.py, proof_forms.py). Every proof that counts is judged once more, in a process that has seen no other
proof; one that does not hold ends the command.

The figures of each run are written to benchmarks/results as it ends, with a digest of its settings: runs of the same
settings are not trained again, on any machine. With --output they lie in that folder.

All methods have the same number of rollouts a step.
Differences are paired by seed: every method starts from the seed's own warm-up. Intervals are 95%, Student's t over
seeds. Fixed before the reported seeds were run (101 and 102 served to find sizes and a learning rate): the tasks, the
recipes, the methods, and the target of "rollouts to target", which is plain GRPO's mean final accuracy, sampled.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from reasonrl.stats import pass_at_k
from verifiers.lean.verifier import LeanVerifier

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from benchmarks import program_forms, proof_forms  # noqa: E402

METHODS: dict[str, list[str]] = {
    "plain": [],
    "tempo": ["train.credit=tempo"],
    "knapsack": ["budget={name: knapsack, low: 2, high: 32}"],
    "pcl": ["curriculum=pcl"],
    "unlikeliness": ["train.unlikeliness={beta: 0.25}"],
}


class Forms(NamedTuple):
    """What the right answers of a task are called, and the one text of all forms of an answer."""

    name: str
    of: Callable[[str], str]


@dataclass(frozen=True)
class Task:
    """What is learnt, from which warm-up, by which methods."""

    recipe: str
    warm_up: tuple[str, ...]
    """Overrides of the recipe for the supervised phase."""
    heldout: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    folder: str
    forms: Forms | None = None
    """Of answers that can be written in many ways, so that different right ones can be counted."""
    judge_again: Callable[[list[tuple[str, dict[str, Any]]]], None] | None = None
    """Takes the different right responses of the last evaluation with their references; ends the command if one is
    wrong.
    """

    def overrides(self, method: str) -> list[str]:
        """Of one method, or of `all` together."""
        names = self.methods if method == "all" else (method,)
        return [override for name in names for override in METHODS[name]]


def judge_proofs_again(rows: list[tuple[str, dict[str, Any]]]) -> None:
    verifier = LeanVerifier(mode="whole", backend="bundled", workers=2, cache_size=0, backend_options={"warm": False})
    responses, references = [response for response, _ in rows], [reference for _, reference in rows]
    wrong = [verdict for verdict in verifier.verify(responses, references) if verdict.correct is not True]
    verifier.close()
    if wrong:
        raise SystemExit(f"{len(wrong)} of {len(rows)} proofs that counted do not hold; the first: {wrong[0]}")


TASKS = {
    "sums": Task(
        recipe="ablation.yaml",
        warm_up=(
            "kind=sft",
            'data.train={source: "benchmarks.ablation_task:problems", split: warm-up}',
            'sft={steps: 250, rows_per_step: 64, response: " {gold}\\n"}',
            "model.path=tiny-arithmetic",
            "optim={lr: 2.0e-3}",
            "evaluation={samples_per_problem: 32, before: false}",
        ),
        heldout="hard",
        methods=("plain", "tempo", "knapsack", "pcl", "unlikeliness"),
        seeds=(1, 2, 3, 4, 5, 6, 7, 8),
        folder="ablation",
    ),
    "programs": Task(
        recipe="ablation_programs.yaml",
        warm_up=(
            "kind=sft",
            "data.train={source: programs, options: {size: 2000, repeat: 8, careless: 0.4, seed: 1}}",
            'sft={steps: 1250, rows_per_step: 64, response: "{demonstration}"}',
            "model.path=tiny-programs",
            "optim={lr: 3.0e-3, warmup_steps: 30, schedule: linear}",
            "evaluation={samples_per_problem: 32, before: false}",
        ),
        heldout="programs",
        methods=("plain", "unlikeliness", "tempo", "knapsack"),
        seeds=(1, 2, 3, 4, 5),
        folder="ablation-programs",
        forms=Forms("programs", program_forms.normal_form),
    ),
    "proofs": Task(
        recipe="ablation_proofs.yaml",
        warm_up=(
            "kind=sft",
            "data.train={source: term_proofs, options: {size: 2000, repeat: 8, careless: 0.5, seed: 1}}",
            'sft={steps: 1000, rows_per_step: 64, response: "{demonstration}"}',
            "model.path=tiny-proofs",
            "optim={lr: 3.0e-3, warmup_steps: 30, schedule: linear}",
            "evaluation={samples_per_problem: 32, before: false}",
        ),
        heldout="proofs",
        methods=("plain", "unlikeliness"),
        seeds=(1, 2, 3),
        folder="ablation-proofs",
        forms=Forms("proofs", proof_forms.normal_form),
        judge_again=judge_proofs_again,
    ),
}
KS = (1, 2, 4, 8, 16, 32)
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--task", choices=[*TASKS], default="sums")
    parser.add_argument("--seeds", type=int, nargs="+", help="default: those that were fixed for the task")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "all"], help="default: each of the task, and all")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--output", type=Path, help="default: a folder under runs for the task")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="key=value", help="overrides for every run: for trying things out"
    )
    arguments = parser.parse_args()
    task = TASKS[arguments.task]
    seeds = arguments.seeds or list(task.seeds)
    methods = arguments.methods or [*task.methods, "all"]
    output = arguments.output or ROOT / "runs" / task.folder
    file = output / "results.json" if arguments.output else ROOT / "benchmarks" / "results" / f"{task.folder}.json"
    results = Results(task, file, arguments.set)
    if arguments.what == "run":
        jobs = [(seed, method) for seed in seeds for method in methods if results.of(method, seed) is None]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda seed: warm_up(task, output, seed), sorted({seed for seed, _ in jobs})))
            list(pool.map(lambda job: train(task, output, job[0], job[1], arguments.set, results), jobs))
    show(task, results, seeds)


class Results:
    """The figures of finished runs, in a file."""

    def __init__(self, task: Task, file: Path, more: list[str]) -> None:
        self._task, self._file, self._more = task, file, more
        self._lock = threading.Lock()
        self._runs: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def of(self, method: str, seed: int) -> dict[str, Any] | None:
        """None if there is no run of these settings."""
        run = self._runs.get(f"{method}-{seed}")
        return run if run is not None and run["settings"] == self._settings(method) else None

    def add(self, method: str, seed: int, figures: dict[str, Any]) -> None:
        with self._lock:
            self._runs[f"{method}-{seed}"] = {"settings": self._settings(method), **figures}
            rows = [f"{json.dumps(name)}: {json.dumps(self._runs[name])}" for name in sorted(self._runs)]
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")

    def _settings(self, method: str) -> str:
        recipe = (ROOT / "benchmarks" / self._task.recipe).read_text(encoding="utf-8")
        text = json.dumps([recipe, self._task.warm_up, self._task.overrides(method), self._more])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def warm_up(task: Task, output: Path, seed: int) -> None:
    command(task, output / f"warm-up-{seed}", [f"seed={seed}", *task.warm_up])


def train(task: Task, output: Path, seed: int, method: str, more: list[str], results: Results) -> None:
    model = max((output / f"warm-up-{seed}" / "checkpoints").glob("step-*"))
    overrides = [f"seed={seed}", f"model.path={model}", *task.overrides(method), *more]
    command(task, output / f"{method}-{seed}", overrides)
    results.add(method, seed, read(task, output / f"{method}-{seed}"))


def command(task: Task, folder: Path, overrides: list[str]) -> None:
    """One run, unless it is there already; one that was interrupted goes on."""
    if (folder / "report.html").exists():
        return
    resume = ["--resume"] if (folder / "recipe.yaml").exists() else []
    words = [
        sys.executable,
        "-m",
        "reasonrl.cli",
        "train",
        str(ROOT / "benchmarks" / task.recipe),
        f"run_dir={folder}",
        *overrides,
        "--quiet",
        *resume,
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{folder}: {done.stderr.strip()[-2000:]}")
    print(f"{folder.name} done", file=sys.stderr, flush=True)


def read(task: Task, folder: Path) -> dict[str, Any]:
    """What a run has to say: final accuracies, pass@k, share of rollouts with a gradient, sampled accuracy after each
    so many rollouts; the number of different right answers a problem, where they have many forms.
    """
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    trained = [row for row in metrics if row["kind"] == "train"]
    evaluated = [row for row in metrics if row["kind"] == "eval"]
    right: dict[str, list[bool]] = {}
    forms: set[tuple[str, str]] = set()
    counted: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
    last = evaluated[-1]["step"]
    for line in (folder / "samples.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        if row["kind"] == "eval" and row["step"] == last and row["mode"] == "sampled":
            correct = row["verdicts"]["correctness"]["correct"] is True
            right.setdefault(row["problem_id"], []).append(correct)
            if task.forms is not None and correct:
                forms.add((row["problem_id"], task.forms.of(row["response"])))
                counted[row["problem_id"], row["response"]] = row["response"], row["reference"]
    if task.judge_again is not None:
        task.judge_again(list(counted.values()))
    spent, total = {0: 0}, 0
    for row in trained:
        total += row["rollouts/total"]
        spent[row["step"]] = total
    passes = {f"pass@{k}": statistics.fmean(pass_at_k(len(rows), sum(rows), k) for rows in right.values()) for k in KS}
    different = {task.forms.name: len(forms) / len(right)} if task.forms is not None else {}
    return {
        "greedy": evaluated[-1][f"eval/{task.heldout}/greedy"],
        **passes,
        **different,
        "gradient": statistics.fmean(row["rollouts/effective_share"] for row in trained),
        "curve": [(spent[row["step"]], row[f"eval/{task.heldout}/sampled"]) for row in evaluated],
    }


def rollouts_to(curve: list[tuple[int, float]], target: float) -> int | None:
    return next((rollouts for rollouts, accuracy in curve if accuracy >= target), None)


def interval(values: list[float], unit: float = 100) -> str:
    """Mean and its 95% interval over seeds, in percentage points; with `unit` 1, as counts."""
    mean = unit * statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:+.1f}"
    half = T_95[min(10, len(values) - 1)] * unit * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def show(task: Task, results: Results, seeds: list[int]) -> None:
    runs_of = {
        method: {seed: run for seed in seeds if (run := results.of(method, seed)) is not None}
        for method in (*task.methods, "all")
    }
    plain = runs_of["plain"]
    if not plain:
        raise SystemExit("there is no finished run of plain with these settings")
    target = statistics.fmean(run["pass@1"] for run in plain.values())
    table = Table(
        title=f"{len(plain)} seeds; plain: mean; others: difference from plain in points, paired by seed [95%, t]"
    )
    counts = [] if task.forms is None else [task.forms.name]
    names = ["greedy", "pass@1", "pass@4", "pass@16", "pass@32", *counts, "gradient"]
    for title in ("", *names, f"rollouts to {target:.1%} sampled"):
        table.add_column(title, justify="left" if not title else "right")
    for method, runs in runs_of.items():
        shared = [seed for seed in runs if seed in plain]
        if not shared:
            continue
        cells = []
        for name in names:
            unit = 1 if name in counts else 100
            if method == "plain":
                mean = statistics.fmean(run[name] for run in runs.values())
                cells.append(f"{unit * mean:.1f}{'%' if unit == 100 else ''}")
            else:
                cells.append(interval([runs[seed][name] - plain[seed][name] for seed in shared], unit))
        reached = [rollouts_to(runs[seed]["curve"], target) for seed in shared]
        known = [count for count in reached if count is not None]
        median = statistics.median_low([count if count is not None else 10**9 for count in reached])
        cells.append(f"{f'{median:,}' if median < 10**9 else 'not reached'} ({len(known)} of {len(reached)} seeds)")
        table.add_row(method, *cells)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
