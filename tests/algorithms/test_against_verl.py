"""Every estimator and loss that verl 0.9.1 also has, against verl's own on random ragged batches. `make test-verl` runs
it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from reasonrl.algorithms.batch import length_mask
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.algorithms.kl import kl_estimate
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.token_loss import token_loss

core = pytest.importorskip("verl.trainer.ppo.core_algos")
pytestmark = pytest.mark.verl
BATCHES = 200
OURS_TO_VERL = {
    "grpo": "grpo",
    "dr_grpo": "grpo",
    "rloo": "rloo",
    "opo": "opo",
    "remax": "remax",
    "gpg": "gpg",
    "passk": "grpo_passk",
    "reinforce_pp": "reinforce_plus_plus",
    "reinforce_pp_baseline": "reinforce_plus_plus_baseline",
    "gdpo": "gdpo",
}
VECTORISED = {"grpo": "grpo_vectorized", "rloo": "rloo_vectorized"}


class InDoublePrecision:
    """torch or numpy for a module of verl that casts to float32: its formula is what is compared, not its rounding."""

    def __init__(self, module: Any) -> None:
        self._module, self.float32 = module, module.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@pytest.fixture(autouse=True)
def verl_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    from verl.utils import groupwise

    for module in (core, groupwise):
        monkeypatch.setattr(module, "torch", InDoublePrecision(torch))
        monkeypatch.setattr(module, "np", InDoublePrecision(np))


class Batch:
    """Groups of 1 to 6 rows in random order, 1 to 9 tokens each. `smallest` keeps out what verl refuses or has two
    minds about.
    """

    def __init__(self, seed: int, smallest: int = 1) -> None:
        generator = np.random.default_rng(seed)
        sizes = generator.integers(smallest, 7, generator.integers(2, 6))
        group = np.repeat(np.arange(len(sizes)), sizes)
        generator.shuffle(group)
        rows = len(group)
        lengths = generator.integers(1, 10, rows)
        self.group = torch.tensor(group)
        self.mask = length_mask(lengths.tolist())
        self.lengths = torch.tensor(lengths)
        kinds = [
            generator.integers(0, 2, rows).astype(float),
            generator.normal(size=rows),
            generator.choice([0.0, 0.5, 1.0], rows),
        ]
        self.rewards = torch.tensor(kinds[seed % 3], dtype=torch.float64)
        self.parts = {"a": self.rewards, "b": torch.tensor(generator.integers(0, 2, rows), dtype=torch.float64)}
        self.greedy = torch.tensor(generator.integers(0, 2, rows), dtype=torch.float64)
        self.token_rewards = self.at_the_end(self.rewards)

    def at_the_end(self, rewards: Tensor) -> Tensor:
        out = torch.zeros(self.mask.shape, dtype=rewards.dtype)
        out[torch.arange(len(rewards)), self.lengths - 1] = rewards
        return out


def theirs(name: str, batch: Batch, norm: bool) -> Tensor:
    from omegaconf import OmegaConf

    more: dict[str, Any] = {}
    if name == "remax":
        more["reward_baselines"] = batch.greedy
    elif name not in ("reinforce_plus_plus",):
        more["index"] = batch.group.numpy()
    if name in ("grpo", "grpo_vectorized", "grpo_passk"):
        more["norm_adv_by_std_in_grpo"] = norm
    config = OmegaConf.create(
        {
            "gamma": 1.0,
            "norm_adv_by_std_in_grpo": norm,
            "gdpo_reward_keys": ["a", "b"],
            "gdpo_reward_weights": [1.0, 0.5],
        }
    )
    if name == "gdpo":
        prompt = torch.ones(len(batch.group), 3)
        more["non_tensor_batch"] = {key: value.numpy() for key, value in batch.parts.items()}
        more["batch"] = {"prompts": prompt, "attention_mask": torch.cat([prompt.long(), batch.mask.long()], 1)}
    estimator = core.get_adv_estimator_fn(name)
    made, _ = estimator(
        token_level_rewards=batch.token_rewards.clone(),
        response_mask=batch.mask.to(batch.rewards.dtype),
        config=config,
        **more,
    )
    return made * batch.mask


def ours(name: str, batch: Batch) -> Tensor:
    extra = {
        "lengths": batch.lengths,
        "greedy_rewards": batch.greedy,
        "reward_parts": batch.parts,
        "part_weights": {"a": 1.0, "b": 0.5},
    }
    rows = ADVANTAGES[name].load()(
        batch.rewards, batch.group, None, **{key: extra[key] for key in ADVANTAGES[name].needs}
    )
    return rows[:, None] * batch.mask


@pytest.mark.parametrize("name", sorted(OURS_TO_VERL))
def test_advantages(name: str) -> None:
    for seed in range(BATCHES):
        batch = Batch(seed, smallest=2 if name == "passk" else 1)  # verl raises for a group of one there
        torch.testing.assert_close(
            ours(name, batch),
            theirs(OURS_TO_VERL[name], batch, name != "dr_grpo").double(),
            atol=1e-6,
            rtol=0,
            msg=f"batch {seed}",
        )


@pytest.mark.parametrize("name", sorted(VECTORISED))
def test_the_vectorised_forms(name: str) -> None:
    """Of groups of two and more; verl's own two forms of RLOO differ on a group of one (the reward, or 0)."""
    for seed in range(BATCHES):
        batch = Batch(seed, smallest=2)
        torch.testing.assert_close(ours(name, batch), theirs(VECTORISED[name], batch, True).double(), atol=1e-6, rtol=0)


LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "ppo_clip": ("vanilla", {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": 3.0}),
    "gspo": ("gspo", {"clip_low": 0.2, "clip_high": 0.28}),
    "cispo": ("cispo", {"clip_low": 0.2, "clip_high": 0.28}),
    "geometric_mean": ("geo_mean", {"clip_low": 0.2, "clip_high": 0.28}),
    "reinforce": ("gpg", {}),
    "mirror_descent": ("dro", {"mirror_beta": 0.3}),
}


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_and_their_gradients(name: str) -> None:
    """Value and gradient. verl's `vanilla` always clips twice; its `geo_mean` is a mean over sequences at all times."""
    from verl.workers.config.actor import ActorConfig

    verls, options = LOSSES[name]
    config = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio=0.2,
        clip_ratio_low=0.2,
        clip_ratio_high=0.28,
        clip_ratio_c=3.0,
    )
    object.__setattr__(config.policy_loss, "dro_beta", 0.3)
    loss_of: Callable[..., Any] = core.get_policy_loss_fn(verls)
    aggregation = "seq-mean-token-mean" if name == "geometric_mean" else "token-mean"
    for seed in range(BATCHES // 4):
        batch = Batch(seed)
        generator = torch.Generator().manual_seed(seed)
        old = -torch.rand(batch.mask.shape, generator=generator, dtype=torch.float64) * 3
        new = (old + 0.3 * torch.randn(batch.mask.shape, generator=generator, dtype=torch.float64)).clamp(max=-1e-3)
        advantages = (
            torch.randn(len(batch.group), 1, generator=generator, dtype=torch.float64).expand(batch.mask.shape)
            * batch.mask
        )
        gradients, values = [], []
        for side in ("ours", "theirs"):
            logprobs = new.clone().requires_grad_(True)
            if side == "ours":
                weights = token_weights(
                    batch.mask, "sequence_mean" if name == "geometric_mean" else "token_mean", 10
                ).double()
                losses, _ = token_loss(name, logprobs, old, advantages, batch.mask, **options)
                value = (weights * losses).sum()
            else:
                given = {
                    "old_log_prob": old,
                    "log_prob": logprobs,
                    "advantages": advantages,
                    "response_mask": batch.mask.double(),
                }
                value = loss_of(**given, loss_agg_mode=aggregation, config=config)[0]
            values.append(value.detach().double())
            gradients.append(torch.autograd.grad(value, logprobs)[0])
        torch.testing.assert_close(values[0], values[1], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("ours_", "verls"), [("k1", "kl"), ("k2", "mse"), ("k3", "low_var_kl")])
def test_kl_estimators(ours_: str, verls: str) -> None:
    generator = torch.Generator().manual_seed(0)
    new, reference = (-torch.rand(50, 9, generator=generator) * 4 for _ in range(2))
    torch.testing.assert_close(
        kl_estimate(new, reference, ours_), core.kl_penalty_forward(new, reference, verls), atol=1e-6, rtol=1e-6
    )
