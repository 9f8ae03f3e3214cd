"""Every kind of stage says the same in its three places: its file, its facts, and the recipe."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest
import yaml

from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.data import RunData
from reasonrl.stages import STAGES, stage_kind
from verifiers.types import Problem

PROBLEMS = [Problem(str(i), "1 + 1", "math", {"answer": "2", "first_error": -1 if i else 0}) for i in range(5)]
DATA = RunData(train=PROBLEMS[:3], heldout={"test": PROBLEMS[3:]}, reports={})


def stage(**settings: Any) -> Recipe:
    return parse_recipe(
        yaml.safe_dump({"name": "n", "data": {"train": {"source": "x.jsonl"}}, **settings}), "test"
    ).stages[0]


def test_every_kind_is_known_everywhere() -> None:
    assert list(STAGES) == list(KINDS) == list(get_args(Recipe.model_fields["kind"].annotation))
    for name, facts in KINDS.items():
        assert stage_kind(name).name == name and len(stage_kind(name).target_label) <= 15
        assert facts.settings in Recipe.model_fields
        assert bool(facts.outputs(stage().data)) is not facts.trains, "a model or files"


@pytest.mark.parametrize("module", ["reasonrl.cli", "reasonrl.recipe.links", "reasonrl.stages"])
def test_names_cost_no_torch(module: str) -> None:
    code = f"import sys, {module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("settings", "steps", "prompts", "rollouts", "tokens", "trained", "updates"),
    [
        (
            {
                "kind": "rl",
                "train": {"steps": 3, "prompts_per_step": 4, "updates_per_step": 2, "epochs_per_step": 2},
                "rollout": {"rollouts_per_prompt": 8, "max_new_tokens": 10},
            },
            3,
            4,
            32,
            320,
            32,
            12,
        ),
        ({"kind": "sft", "sft": {"steps": 5, "rows_per_step": 6}}, 5, 6, 0, 0, 6, 5),
        ({"kind": "offline", "offline": {"steps": 2, "rows_per_step": 7}}, 2, 7, 0, 0, 7, 2),
        (
            {
                "kind": "offline",
                "offline": {"steps": 2},
                "data": {"train": {"source": "x.jsonl"}, "replay": {"source": "y.jsonl"}},
            },
            2,
            64,
            0,
            0,
            80,
            2,
        ),
        ({"kind": "collect", "rollout": {"max_new_tokens": 10}}, 1, 5, 20, 200, 0, 0),
        (
            {"kind": "game", "game": {"completions": 4, "attempts_per_solution": 3}},
            1,
            2,
            2 * 3 * (1 + 8 + 2),
            2 * 3 * 11 * 512,
            0,
            0,
        ),
    ],
)
def test_workloads(
    settings: dict[str, Any], steps: int, prompts: int, rollouts: int, tokens: int, trained: int, updates: int
) -> None:
    recipe = stage(**settings)
    workload = stage_kind(recipe.kind).workload(recipe, DATA)
    assert workload.steps == recipe.total_steps == steps
    assert (workload.prompts_per_step, workload.rollouts_per_step) == (prompts, rollouts)
    assert (workload.sampled_tokens_per_step, workload.trained_rows_per_step) == (tokens, trained)
    assert workload.optimizer_updates == updates


def test_what_is_compared_with_the_start() -> None:
    for settings, expected in (
        ({"kind": "rl"}, False),
        ({"kind": "rl", "train": {"kl": {"coefficient": 0.1}}}, True),
        ({"kind": "rl", "train": {"loss": "trpa"}}, True),
        ({"kind": "sft", "train": {"kl": {"coefficient": 0.1}}}, False),
        ({"kind": "offline"}, True),
        ({"kind": "collect"}, False),
    ):
        recipe = stage(**settings)
        assert stage_kind(recipe.kind).needs_reference(recipe) is expected
