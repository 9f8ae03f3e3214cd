"""TRL's own trainer with the served critic as its reward function, both unchanged. `make test-trl`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.trl,
    pytest.mark.timeout(300),
    pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="needs TRL: make test-trl"),
]
pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")
pytest.importorskip("prometheus_client", reason="prometheus_client is not installed (extra: serve)")

from critics.adapters import trl_reward  # noqa: E402
from reasonrl.models import tiny  # noqa: E402
from tests.serving.fake_voices import FakeVoice, running_server  # noqa: E402
from tests.serving.scripts import ACCEPTS, REJECTS, fake_service  # noqa: E402

QUESTIONS = ["2 + 3", "4 + 5", "7 + 1", "6 + 6"]
GROUP, STEPS = 4, 2


def judge(chat: Any, seed: int) -> str:
    """Accepts, rejects, or says nothing that can be read, by the text of the solution."""
    return (ACCEPTS, REJECTS, "I do not know.")[sum(map(ord, chat[0]["content"])) % 3]


def test_the_trainer_of_trl_learns_from_the_served_critic(tmp_path: Path) -> None:
    """Two steps of GRPOTrainer. Every completion is judged once, rewards are those of the critic, and completions that
    it could not judge are left out and counted.
    """
    import torch
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    tokenizer = tiny.build_tokenizer()
    critic = FakeVoice("judge", judge)
    given: list[float | None] = []
    with running_server(fake_service(critic=critic)) as address:
        reward = trl_reward(address)

        def watched(*arguments: Any, **columns: Any) -> list[float | None]:
            rewards = reward(*arguments, **columns)
            given.extend(rewards)
            return rewards

        watched.__name__ = reward.__name__
        trainer = GRPOTrainer(
            model=tiny.build_model(0, torch.float32),
            processing_class=tokenizer,
            reward_funcs=[watched],
            train_dataset=Dataset.from_list([{"prompt": question} for question in QUESTIONS]),
            args=GRPOConfig(
                output_dir=str(tmp_path / "out"),
                per_device_train_batch_size=2 * GROUP,
                num_generations=GROUP,
                max_completion_length=8,
                max_steps=STEPS,
                learning_rate=1e-3,
                logging_steps=1,
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                seed=1,
            ),
        )
        before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
        trainer.train()
    rows = [row for row in trainer.state.log_history if "reward" in row]
    assert len(rows) == STEPS and len(given) == STEPS * 2 * GROUP
    assert {None, 0.0, 1.0} == set(given), "the texts are to give all three"
    for number, row in enumerate(rows):
        batch = given[number * 2 * GROUP : (number + 1) * 2 * GROUP]
        judged = [one for one in batch if one is not None]
        assert row["rewards/critic_reward/mean"] == pytest.approx(sum(judged) / len(judged), abs=1e-4)
        assert row["critic_reward/undecided"] == pytest.approx(batch.count(None) / len(batch))
    assert any((before[name] != weight).any() for name, weight in trainer.model.named_parameters())
    print(f"{len(given)} completions, {given.count(None)} undecided, rewards {[row['reward'] for row in rows]}")
