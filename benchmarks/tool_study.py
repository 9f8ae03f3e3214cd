"""Does a policy learn to use a tool, and from what? The arms of recipes/tool_arithmetic, on fresh seeds.

    python benchmarks/tool_study.py run        trains what is missing, two runs at a time, then the table
    python benchmarks/tool_study.py table      the table, from what is there

    tool       the recipe as it is shipped
    no tool    the same steps without a tool: the warm-up shows direct answers alone
    cost       from the warm-up of `tool`, with reward call_cost of weight 0.3
    random     from the same warm-up; the calculator answers with random digits
    shuffled   from the same warm-up; it answers with the results of other calls
    unmasked   from the same warm-up; results carry loss as if the policy had written them

Claims, fixed on 2026-11-28. The third came true for none of the seeds of that day (2 to 6), whose policies could not
answer the sums by themselves: on 2026-11-30 the easy sums were made easier and the cost higher. Seeds 7, 8, 12 to 16
and 20 to 24 were used up: micro-batches that were too slow, then results of several lengths, of which one policy in
five had not learned to copy the rarer one (82 and 88% of the products). Now each slice has results of one length. The
settings were fixed before any run of the seeds below. Sampled at T=1, four answers to each of 150 held-out products,
and of 80 held-out easy sums for the cost:

    1. products: at most 2% without the tool, and at least 90% with it, in each of five seeds
    2. calls on products that end without an error: at least 98% in each seed
    3. with the cost, the call rate on easy sums is at most half of that without it, and accuracy there is equal: the
       95% interval of the paired difference (Student's t over seeds) holds 0
    4. random: the call rate on products falls below that of `tool`; shuffled: accuracy on products at most 2%.
       unmasked: reported, whatever it is

The figures of each run are written to benchmarks/results/tools.json as it ends.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # run as a script
    sys.path.insert(0, str(ROOT))

from benchmarks.ablation import interval  # noqa: E402

SEEDS = {"tool": range(30, 35), "no tool": range(30, 35), "cost": range(30, 35)}
CONTROL_SEEDS = range(30, 32)
RESULTS = ROOT / "benchmarks" / "results" / "tools.json"
ARMS = ("tool", "no tool", "cost", "random", "shuffled", "unmasked")
Recipe = dict[str, Any]
_WRITING = threading.Lock()


def recipe_of(arm: str, seed: int, folder: Path) -> Recipe:
    """The shipped recipe, changed for an arm. All but `tool` and `no tool` begin at the warm-up of `tool`."""
    shipped: Recipe = yaml.safe_load((ROOT / "recipes" / "tool_arithmetic" / "recipe.yaml").read_text("utf-8"))
    recipe = deepcopy(shipped) | {"seed": seed}
    if arm == "tool":
        return recipe
    if arm == "no tool":
        del recipe["rollout"]["environment"]
        recipe["rollout"].pop("max_response_tokens")
        recipe["stages"][0]["data"]["train"]["options"]["called"] = 0.0
        return recipe
    stage = recipe.pop("stages")[1]
    checkpoints = folder / f"tool-{seed}" / "stages" / "01-warm-up" / "checkpoints"
    recipe["model"] = {"path": str(max(checkpoints.glob("step-*")))}
    for key in ("name", "kind", "init_from"):
        stage.pop(key, None)
    recipe["rollout"] |= stage.pop("rollout")
    recipe |= stage
    recipe["data"]["heldout"] = shipped["stages"][0]["data"]["heldout"]
    environment = recipe["rollout"]["environment"]
    if arm == "cost":
        function = "reasonrl.rewards.tools:call_cost"
        recipe["reward"] = {"correctness": 1.0, "call_cost": {"weight": 0.3, "function": function}}
    elif arm == "unmasked":
        environment["name"] = "benchmarks.tool_controls:UnmaskedToolUse"
    else:
        tool = {"random": "RandomResults", "shuffled": "ShuffledResults"}[arm]
        environment["tools"] = [f"benchmarks.tool_controls:{tool}"]
    return recipe


def run(arm: str, seed: int, folder: Path, results: Path) -> None:
    """One run, unless its figures are there already. Raises SystemExit with what a run says that fails."""
    if f"{arm}-{seed}" in figures(results):
        return
    stem = f"{arm.replace(' ', '-')}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stem}.yaml"
    file.write_text(yaml.safe_dump(recipe_of(arm, seed, folder), sort_keys=False), encoding="utf-8")
    words = [sys.executable, "-m", "reasonrl.cli", "train", str(file), f"run_dir={folder / stem}", "--quiet"]
    started = time.monotonic()
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{stem}: {done.stderr.strip()[-2000:]}")
    read = {"minutes": round((time.monotonic() - started) / 60, 2), **read_run(folder / stem)}
    with _WRITING:
        known = figures(results) | {f"{arm}-{seed}": read}
        rows = [f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known)]
        results.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"{stem} done", file=sys.stderr, flush=True)


def read_run(folder: Path) -> dict[str, Any]:
    """Start and end of a run's learning phase on each held-out set: accuracies, call rates, calls without an error."""
    stages = sorted((folder / "stages").glob("*/metrics.jsonl")) if (folder / "stages").exists() else []
    text = (stages[-1] if stages else folder / "metrics.jsonl").read_text(encoding="utf-8")
    rows = [row for row in map(json.loads, text.splitlines()) if row["kind"] == "eval"]
    steps = sorted({row["step"] for row in rows})
    read: dict[str, Any] = {}
    for when, step in (("start", steps[0]), ("end", steps[-1])):
        of_step: dict[str, Any] = {}
        for row in rows:
            if row["step"] == step:
                of_step |= row
        for name in ("easy", "hard", "mixed"):
            for key in ("greedy", "sampled", "sampled_call_rate", "sampled_call_success"):
                if f"eval/{name}/{key}" in of_step:
                    read[f"{when}/{name}/{key}"] = of_step[f"eval/{name}/{key}"]
    return read


def figures(results: Path) -> dict[str, Any]:
    return dict(json.loads(results.read_text(encoding="utf-8"))) if results.exists() else {}


def show(results: Path) -> None:
    """A row for each run, and the paired differences that the claims are about."""
    known = figures(results)
    columns = ["start/hard/sampled", "end/hard/sampled", "end/hard/greedy", "end/mixed/sampled", "end/easy/sampled"]
    columns += [f"end/{name}/sampled_call_rate" for name in ("hard", "easy")] + ["end/hard/sampled_call_success"]
    table = Table(title="in percent")
    for title in ("run", *columns, "minutes"):
        table.add_column(title.replace("/", "\n").replace("_", "\n"), justify="right" if title != "run" else "left")
    for arm in ARMS:
        for name in sorted(name for name in known if name.rpartition("-")[0] == arm):
            cells = [f"{100 * known[name][key]:.1f}" if key in known[name] else "" for key in columns]
            table.add_row(name, *cells, f"{known[name]['minutes']:.1f}")
    console = Console(width=150)
    console.print(table)
    for key in ("end/easy/sampled", "end/easy/sampled_call_rate", "end/hard/sampled"):
        pairs = [
            (known[f"cost-{seed}"][key], known[f"tool-{seed}"][key])
            for seed in SEEDS["tool"]
            if f"cost-{seed}" in known and f"tool-{seed}" in known
        ]
        if pairs:
            console.print(f"cost - tool, {key}, {len(pairs)} seeds: {interval([a - b for a, b in pairs])} points")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time, a core each")
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "tools")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if arguments.what == "run":
        with ThreadPoolExecutor(arguments.jobs) as pool:
            first = [("tool", seed) for seed in SEEDS["tool"] if "tool" in arguments.arms]
            later = [(arm, seed) for arm in arguments.arms if arm != "tool" for seed in SEEDS.get(arm, CONTROL_SEEDS)]
            for jobs in (first, later):
                list(pool.map(lambda job: run(*job, arguments.output, arguments.results), jobs))
    show(arguments.results)


if __name__ == "__main__":
    main()
