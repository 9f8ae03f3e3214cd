"""Does a change of the code leave the numbers of a run alone? The same runs from two checkouts, compared bit for bit.

    git worktree add ../before COMMIT
    .venv/bin/python benchmarks/same_numbers.py ../before .                          # all cases
    .venv/bin/python benchmarks/same_numbers.py ../before . --only smoke             # one of them
    .venv/bin/python benchmarks/same_numbers.py ../before . --keep runs/same         # keep the runs, reuse those before

Both run in the environment of this interpreter. Compared are every row of metrics.jsonl and every tensor of every
checkpoint. Left out is what no run repeats (`time/*`, `memory/*`) and what the table below says was renamed or defined
anew, with the reason.

Both are judged by `LastWord` below. The math verifier is corrected from time to time (" 46 and so on" for 46 counts
now), and one verdict that differs makes every later number differ. `--own-verifier` takes that of the recipes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

OVERRIDE = f"verifier={{name: {Path(__file__).stem}:LastWord}}"
NOT_REPEATED = ("time/", "memory/")

RENAMED: dict[str, str] = {"policy/entropy": "policy/surprise"}
"""Name before -> name now: the values must be equal."""

REDEFINED: dict[str, str] = {
    "policy/entropy": "now the mean entropy of the distributions of trained tokens, on both backends",
}
"""Name -> why the number is another one now. It is left out of the comparison on both sides."""


ADDED: dict[str, str] = {
    r"eval/.+/(greedy|sampled)_(n|unjudged|if_unjudged_wrong)": "unjudged answers are counted beside the accuracy",
    r"eval/.+/any_of_n_(low|high)": "every share has its interval",
    r"response/(turns|environment_tokens)": "episodes may have several turns",
    r"eval/.+/(greedy|sampled)_refine(_\w+)?_failed": "0 is written too: nobody has to guess whether it was counted",
}
"""Pattern of a name -> why it is written now and was not before."""


@dataclass(frozen=True)
class Case:
    recipe: str
    """Its name before."""
    overrides: tuple[str, ...]
    recipe_now: str | None = None

    def name_in(self, after: bool) -> str:
        return (self.recipe_now or self.recipe) if after else self.recipe


CASES = {
    "quickstart": Case("quickstart", ("train.steps=15", "checkpoint.every_steps=15")),
    "smoke": Case("smoke", ()),
    "all_methods": Case("all-methods", ("train.steps=5",), recipe_now="all_methods"),
    "critique_rl": Case(
        "critique_rl",
        (
            "stages.0.data.train.options.size=600",
            "stages.0.data.heldout.sums.options.size=60",
            "stages.0.sft.steps=80",
            "stages.1.data.train.options.size=600",
            "stages.1.data.heldout.sums.options.size=60",
            "stages.1.sft.steps=80",
            "stages.2.data.train.options.size=200",
            "stages.2.data.heldout.balanced.options.size=60",
            "stages.3.sft.steps=30",
            "stages.4.train.steps=12",
            "stages.4.checkpoint.every_steps=6",
            "stages.4.evaluation.every_steps=6",
            "stages.5.train.steps=12",
            "stages.5.checkpoint.every_steps=6",
            "stages.5.evaluation.every_steps=6",
        ),
    ),
}


class LastWord:
    """A response is right if its last word is the answer."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Any]:
        from verifiers.types import Status, Verdict

        verdicts = []
        for response, reference in zip(responses, references, strict=True):
            word = response.split()[-1] if response.split() else None
            right = word == str(reference["answer"])
            status = Status.UNPARSED if word is None else Status.JUDGED
            verdicts.append(Verdict(right, float(right), status, word, "last word", "compared", 0.0))
        return verdicts

    def gold_response(self, reference: dict[str, Any]) -> str:
        return str(reference["answer"])


def run(checkout: Path, recipe: str, overrides: tuple[str, ...], folder: Path) -> None:
    """Train `recipe` of a checkout into `folder`; a finished run there is kept."""
    done = folder / "done"
    if done.exists():
        return
    paths = f"{checkout}{os.pathsep}{Path(__file__).resolve().parent}"
    environment = os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "reasonrl.cli", "train", recipe, f"run_dir={folder}", *overrides, "--quiet"]
    finished = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(
            f"{checkout}: {' '.join(command)} ended with"
            f" {finished.returncode}:\n{finished.stdout[-2000:]}\n{finished.stderr[-2000:]}"
        )
    done.write_text("")


def rows_of(run_folder: Path, names: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Rows of every metrics.jsonl below a run, by its place, without what is not compared; keys renamed by `names`."""
    found = {}
    for path in sorted(run_folder.rglob("metrics.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found[str(path.relative_to(run_folder))] = [
            {
                names.get(key, key): value
                for key, value in row.items()
                if not key.startswith(NOT_REPEATED) and not redefined(names.get(key, key))
            }
            for row in rows
        ]
    return found


def redefined(name: str) -> bool:
    return name in REDEFINED or any(name.startswith(key.removesuffix("*")) for key in REDEFINED if key.endswith("*"))


def compare_rows(before: Path, after: Path) -> tuple[list[str], int]:
    """Differences between the metrics of two runs, and how many numbers were compared."""
    old, new = rows_of(before, RENAMED), rows_of(after, {})
    faults = [f"{place}: only in one of the two" for place in sorted(set(old) ^ set(new))]
    count = 0
    for place in sorted(set(old) & set(new)):
        if len(old[place]) != len(new[place]):
            faults.append(f"{place}: {len(old[place])} rows before, {len(new[place])} now")
        for number, (a, b) in enumerate(zip(old[place], new[place], strict=False), 1):
            count += len(a)
            for key in sorted(set(a) | set(b)):
                if key not in a and any(re.fullmatch(pattern, key) for pattern in ADDED):
                    continue
                if key not in a or key not in b:
                    faults.append(f"{place}:{number}: {key} only {'now' if key in b else 'before'}")
                elif a[key] != b[key] and not (a[key] != a[key] and b[key] != b[key]):
                    faults.append(f"{place}:{number}: {key} was {a[key]!r}, is {b[key]!r}")
    return faults, count


def compare_weights(before: Path, after: Path) -> tuple[list[str], int]:
    """Differences between the tensors of all checkpoints of two runs, and how many tensors were compared."""
    old = {str(path.relative_to(before)): path for path in before.rglob("*.safetensors")}
    new = {str(path.relative_to(after)): path for path in after.rglob("*.safetensors")}
    faults = [f"{place}: only in one of the two" for place in sorted(set(old) ^ set(new))]
    count = 0
    for place in sorted(set(old) & set(new)):
        a, b = load_file(old[place]), load_file(new[place])
        count += len(a)
        faults += [f"{place}: tensor {name} only in one of the two" for name in sorted(set(a) ^ set(b))]
        faults += [
            f"{place}: tensor {name} differs" for name in sorted(set(a) & set(b)) if not torch.equal(a[name], b[name])
        ]
    return faults, count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", action="append", choices=sorted(CASES), help="a case; may be given several times")
    parser.add_argument("--keep", type=Path, help="folder of the runs; finished runs of BEFORE in it are reused")
    parser.add_argument("--own-verifier", action="store_true", help="judge as the recipes say, not by the last word")
    options = parser.parse_args()
    judge = () if options.own_verifier else (OVERRIDE,)
    root = options.keep or Path(tempfile.mkdtemp(prefix="same-numbers-"))
    failed = False
    for name in options.only or CASES:
        case = CASES[name]
        folders = [root.resolve() / side / name for side in ("before", "after")]
        (folders[1] / "done").unlink(missing_ok=True)
        if folders[1].exists():
            subprocess.run(["rm", "-r", str(folders[1])], check=True)
        for checkout, folder, after in zip((options.before, options.after), folders, (False, True), strict=True):
            run(checkout.resolve(), case.name_in(after), (*case.overrides, *judge), folder)
        row_faults, numbers = compare_rows(*folders)
        weight_faults, tensors = compare_weights(*folders)
        faults = row_faults + weight_faults
        failed = failed or bool(faults) or not numbers or not tensors
        print(
            f"{name}: {numbers} numbers and {tensors} tensors compared, {len(faults) or 'no'} differences", flush=True
        )
        for fault in faults[:20]:
            print(f"  {fault}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
