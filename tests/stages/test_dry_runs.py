"""Every shipped recipe passes its own dry run, offline. Recipes for verl are checked against verl's schema in
tests/verl_backend.
"""

from __future__ import annotations

import pytest

from reasonrl.commands.train import _verl_plan
from reasonrl.plan.preflight import preflight
from reasonrl.plan.text import plan_text
from reasonrl.recipe.reading import load_recipe, shipped_recipes

NAMES = sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml"))


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipes_pass_the_dry_run(name: str) -> None:
    loaded = load_recipe(name)
    plan = preflight(loaded, offline=True, backends={"verl": _verl_plan})
    assert len(plan.stages) == len(loaded.stages)
    for stage, recipe in zip(plan.stages, loaded.stages, strict=True):
        of_hub = recipe.model.path.count("/") == 1
        assert bool(stage.not_checked) == of_hub, stage.not_checked
        assert bool(stage.backend) == (recipe.kind == "rl" and recipe.backend == "verl")
    assert "nothing was trained" in plan_text(plan)


def test_what_offline_skips_is_listed() -> None:
    pytest.importorskip("datasets")  # the oldest environment is without it
    plan = preflight(load_recipe("tempo_qwen3_1.7b"), offline=True, backends={"verl": _verl_plan})
    text = plan_text(plan)
    assert "not checked     the model Qwen/Qwen3-1.7B is not in the local cache" in text
    assert "not checked     data.train is not in the local cache: no row, prompt or gold answer was checked" in text
    assert "verl: ppo_mini_batch_size=64" in text and "memory a GPU    trainer 27.2 GB" in text
