"""TRL's side of `step_time.py`: one GRPOTrainer that stops before every update until it is told to go on."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from step_time_task import REWARDS, Shape, mixed_groups, problems, prompt_digest
from step_time_worker import Driver


def main(setting: dict[str, Any]) -> None:
    driver = Driver()
    import torch
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    torch.set_num_threads(setting["threads"])
    shape = Shape.read(setting["shape"])
    of = problems(setting["prompts"], shape.prompts)
    seen: dict[str, Any] = {}
    optimizer_steps = [0]

    def reward(
        prompts: Sequence[str], completions: Sequence[str], completion_ids: Sequence[Sequence[int]], **columns: Any
    ) -> list[float]:
        values = [
            REWARDS[setting["reward"]](text, answer)
            for text, answer in zip(completions, columns["answer"], strict=True)
        ]
        ids = trainer.processing_class(text=list(prompts))["input_ids"]
        seen.update(
            rollout_s=time.perf_counter() - driver.begun,
            prompts=prompt_digest(ids),
            prompt_tokens=sum(map(len, ids)) // shape.rollouts,
            rollouts=len(values),
            response_tokens=sum(map(len, completion_ids)),
            groups_mixed=mixed_groups(values, shape.rollouts),
        )
        return values

    class OneAtATime(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if not driver.wait():
                sys.exit(0)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            optimizer_steps[0] += 1

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            done, optimizer_steps[0] = optimizer_steps[0], 0
            driver.answer(**seen, optimizer_steps=done, dtype=str(trainer.model.dtype))

    micro = setting["micro_batch"]
    with tempfile.TemporaryDirectory() as scratch:
        trainer = GRPOTrainer(
            model=setting["model"],
            reward_funcs=reward,
            train_dataset=Dataset.from_list([{"prompt": p.prompt, "answer": p.reference["answer"]} for p in of]),
            callbacks=[OneAtATime()],
            args=GRPOConfig(
                output_dir=scratch,
                use_cpu=True,
                model_init_kwargs={"dtype": setting["dtype"]},
                bf16=setting["autocast"],
                gradient_checkpointing=setting["checkpointing"],
                # With these, the generation batch is one optimiser step, so TRL makes no pass over the old log-probs.
                per_device_train_batch_size=micro,
                gradient_accumulation_steps=shape.rows // micro,
                num_generations=shape.rollouts,
                max_completion_length=shape.new_tokens,
                generation_kwargs={"min_new_tokens": shape.new_tokens},
                beta=0.0,
                learning_rate=1e-6,
                lr_scheduler_type="constant",
                max_steps=10**6,
                seed=setting["seed"],
                save_strategy="no",
                report_to="none",
                logging_steps=10**6,
                disable_tqdm=True,
            ),
        )
        trainer.train()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
