"""Recipes for runs on the CPU platform of verl."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

SUMS = {"operations": "+", "terms": [2, 2], "low": 0, "high": 9, "test_share": 0.25}

EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "seed": 0,
    "threads": 1,
    "backend": "verl",
    "verl": {"platform": "cpu"},
    "model": {"path": "tiny-critic", "attention": "eager"},
    "verifier": {"name": "math", "mode": "whole"},
    "data": {
        "train": {"source": "arithmetic", "options": {**SUMS, "size": 60, "split": "train"}},
        "heldout": {"sums": {"source": "arithmetic", "options": {**SUMS, "size": 20, "split": "test"}}},
        "prompt": {"style": "text", "template": "{question} ="},
    },
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 4, "stop": ["\n"], "temperature": 1.2},
    "evaluation": {"samples_per_problem": 1},
    # Of two candidates for each prompt: the nearest of four are predicted so alike that the budget gives all the same
    # (in all six steps with two of three seeds; of two, groups are ragged in at least two steps with each).
    "curriculum": {"name": "pcl", "candidates_per_prompt": 2},
    "budget": {"name": "knapsack", "low": 2, "high": 8},
    "stages": [
        {
            "name": "warm-up",
            "kind": "sft",
            # Few: it then solves about half, and each of the six steps has mixed groups, whatever the last bits of a
            # processor are (seeds 0 to 3: 8 to 32 trained rollouts a step; with 300 steps, 0 to 17).
            "sft": {"steps": 130, "rows_per_step": 32, "response": " {gold}\n"},
            "optim": {"lr": 3.0e-3},
        },
        {
            "name": "grpo",
            "kind": "rl",
            "train": {
                "steps": 6,
                "prompts_per_step": 8,
                "credit": "tempo",
                "unlikeliness": {"beta": 0.25},
                "drop_silent_groups": True,
                "kl": {"coefficient": 0.05},
                "entropy_coefficient": 0.01,
                "mismatch": {"name": "tis"},
            },
            # Small: exp(reference - policy) of the KL term multiplies the rounding of the gradients that are compared.
            "optim": {"lr": 1.0e-4, "warmup_steps": 2, "schedule": "linear"},
            "checkpoint": {"every_steps": 3, "keep_last": 2},
        },
    ],
}

ON_TWO: dict[str, Any] = {**EVERYTHING, "verl": {"platform": "cpu", "gpus_per_node": 2}}
"""The same on two workers: two shards of every weight, two rollout servers, two agent workers."""

CRITIQUE: dict[str, Any] = {
    "name": "two-turns",
    "seed": 0,
    "threads": 1,
    "backend": "verl",
    "verl": {"platform": "cpu"},
    "model": {"path": "tiny-critic", "attention": "eager"},
    "verifier": {"name": "math", "mode": "lenient"},
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 48},
    "evaluation": {"samples_per_problem": 2},
    "critic": {
        "format": {"name": "step_sentence", "instruction": "Check.", "refine_instruction": "Again."},
        "refine": {"refinements": 2, "actor": {"model": "same", "max_new_tokens": 48}},
    },
    "stages": [],
}


def critique() -> dict[str, Any]:
    """A base that solves, criticises and refines a little; its solutions; stage II of Critique-RL on verl, refined by
    the policy itself; a policy that judges its own reasoning beside the verifier.
    """
    made = copy.deepcopy(CRITIQUE)
    world = {
        "size": 400,
        "split": "train",
        "terms": 4,
        "low": 1,
        "high": 5,
        "most": 18,
        "format": made["critic"]["format"],
    }
    tasks = {"solve": 0.3, "refine": 0.3, "critique": 0.4}
    train = {"source": "step_arithmetic", "options": {**world, "repeat": 8, "tasks": tasks, "error_rate": 0.5}}
    labeller = "reasonrl.data.step_demonstrations:label"
    made["stages"] = [
        {
            "name": "base",
            "kind": "sft",
            "critic": None,
            "data": {"train": train},
            "sft": {"steps": 150, "rows_per_step": 64, "response": "{demonstration}"},
            "optim": {"lr": 2.0e-3},
        },
        {
            "name": "solutions",
            "kind": "collect",
            "data": {
                "train": {"source": "step_arithmetic", "options": {**world, "size": 60, "seed": 1}},
                "heldout": {
                    "balanced": {
                        "source": "step_arithmetic",
                        "options": {**world, "size": 20, "split": "test", "seed": 1},
                    }
                },
            },
            "collect": {"samples_per_problem": 4, "temperature": 1.0, "steps": "lines", "labeller": labeller},
        },
        {
            "name": "critic",
            "kind": "rl",
            "init_from": "base",
            "data": {
                "train": {"source": "stage:solutions/train"},
                "heldout": {"balanced": {"source": "stage:solutions/balanced"}},
            },
            "critic": {"phase": 2, "judgement_weight": 1.0},
            "train": {"steps": 2, "prompts_per_step": 4, "advantage": "rloo"},
            "optim": {"lr": 1.0e-4},
        },
        {
            "name": "policy",
            "kind": "rl",
            "init_from": "base",
            "critic": None,
            "data": {"train": {"source": "step_arithmetic", "options": {**world, "size": 60, "seed": 2}}},
            "reward": {
                "correctness": 1.0,
                "process": {
                    "weight": 0.3,
                    "critic": {"model": "same", "format": made["critic"]["format"], "max_new_tokens": 48},
                },
            },
            "train": {"steps": 2, "prompts_per_step": 4, "advantage": "rloo"},
            "optim": {"lr": 1.0e-4},
        },
    ]
    return made


def launch(
    recipe: dict[str, Any], folder: Path, *more: str, probe: Path | None = None, **environment: str
) -> subprocess.Popen[str]:
    """`reasonrl train` in a process group of its own; its run folder is folder/run."""
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    around = dict(os.environ)
    if probe is not None:
        probe.mkdir(exist_ok=True)
        around |= {"PROBE_FOLDER": str(probe), "VERL_USE_EXTERNAL_MODULES": "tests.verl_backend.probe"}
        around["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])
        )
    around |= environment
    command = [
        sys.executable,
        "-m",
        "reasonrl.cli",
        "train",
        str(folder / "recipe.yaml"),
        f"run_dir={folder / 'run'}",
        *more,
    ]
    with (folder / "out.txt").open("ab") as out:
        return subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=around, start_new_session=True, text=True
        )


def processes_of(folder: Path) -> list[int]:
    """Every process, of Ray too, that was started for a run in this folder: it is in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
    return found
