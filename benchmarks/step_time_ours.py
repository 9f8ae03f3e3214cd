"""Our side of `step_time.py`: the stage that `reasonrl train` runs, one `run_step` for each update that is wanted."""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from step_time_task import Shape, prompt_digest
from step_time_worker import Driver


def main(setting: dict[str, Any]) -> None:
    driver = Driver()
    from reasonrl.host.tuning import tune_for_computing

    tune_for_computing()  # as `reasonrl train` does
    from reasonrl.environments.single_turn import encode_prompt
    from reasonrl.recipe.schema import Recipe
    from reasonrl.runs.console import TrainConsole
    from reasonrl.runs.folder import RunFolder
    from reasonrl.stages.rl import RLStage
    from reasonrl.stages.run_stage import prepare

    recipe = Recipe.model_validate(recipe_of(setting))
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        console = TrainConsole(recipe.total_steps, quiet=True)
        context = prepare(recipe, folder, console, init_from=recipe.model.path, checkpoint=None, offline=True)
        context.sampling = dataclasses.replace(context.sampling, ignore_eos=True)
        stage = RLStage(context)
        folder.open(after_step=None)
        tokenizer = context.language_model.tokenizer
        ids = [encode_prompt(tokenizer, problem) for problem in context.data.train]
        step = 0
        while driver.wait():
            step += 1
            row = stage.run_step(step)
            folder.add_metrics(row)
            driver.answer(
                rollout_s=row["time/rollout_s"],
                prompts=prompt_digest(ids),
                prompt_tokens=row["tokens/prompt"],
                rollouts=row["rollouts/total"],
                response_tokens=row["tokens/response"],
                groups_mixed=row["groups/mixed"],
                optimizer_steps=row["optim/updates"],
                dtype=str(context.model.dtype),
                computed_tokens=row["tokens/computed"],
                rollouts_trained=row["rollouts/trained"],
            )
        folder.close()


def recipe_of(setting: dict[str, Any]) -> dict[str, Any]:
    """What a user would write in a recipe.yaml. Correctness is always judged; with the spread reward it weighs
    nothing.
    """
    shape = Shape.read(setting["shape"])
    reward: dict[str, Any] = {"correctness": 1.0}
    if setting["reward"] == "spread":
        reward = {"correctness": 0.0, "spread": {"function": "step_time_task:spread_part"}}
    return {
        "name": "step-time",
        "seed": setting["seed"],
        "device": "cpu",
        "threads": setting["threads"],
        "model": {
            "path": setting["model"],
            "dtype": setting["dtype"],
            "gradient_checkpointing": setting["checkpointing"],
        },
        "data": {
            "train": {
                "source": "step_time_task:problems",
                "options": {"prompts": setting["prompts"], "count": shape.prompts},
            }
        },
        "verifier": "step_time_task:FirstNumber",
        "reward": reward,
        "rollout": {"rollouts_per_prompt": shape.rollouts, "max_new_tokens": shape.new_tokens},
        "train": {
            "steps": 10**6,
            "prompts_per_step": shape.prompts,
            "skip_silent_groups": setting["skip_silent_groups"],
            "positions_per_micro_batch": setting["positions"],
        },
        "optim": {"lr": 1e-6},
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
