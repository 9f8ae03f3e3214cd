"""Memory and minutes of a stage on this machine, before it runs. Rough guesses: within a factor of two or so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.devices import choose_device, computed_dtype
from reasonrl.models.loading import DTYPES
from reasonrl.models.sizes import states_gb, weights_gb
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.schema import Recipe
from reasonrl.stages.base import StageKind, Workload
from verifiers.types import Problem

LIBRARIES_GB = 0.5
POSITION_BYTES_135M = 900e3
"""Activations of one token position of a model with 135 M parameters; they grow with the square root of its size."""
RESPONSE_SHARE = 0.6
"""The mean length of a response, as a share of max_new_tokens."""
SIGNAL_SHARE = 0.6
"""The share of sampled responses that the update computes: silent groups cost nothing."""
DECODING_STEP_S = 0.03
"""Minimal seconds to decode one token of a batch, however few rows it has."""
OPTIMIZER_S_PER_PARAMETER = 2e-9
MODEL_SHARE = 0.5
"""The speed of a model's layers, as a share of that of a plain matrix product."""
PROMPTS_READ = 20
"""The mean prompt length is taken over this many prompts."""


def estimate_memory_gb(recipe: Recipe, kind: StageKind, parameters: int, cache_gb: float = 0.0) -> float:
    """Weights with gradients and moments, a reference, vLLM's copy and cache, the libraries; and the larger of one
    micro-batch of an update and the engine's copy of the weights with its cache, which make room for each other.
    """
    dtype, lora = recipe.model.dtype, recipe.model.lora is not None
    weights = weights_gb(parameters, dtype)
    trains = KINDS[recipe.kind].trains
    model = states_gb(parameters, lora=lora, dtype=dtype) if trains else weights
    reference = weights if kind.needs_reference(recipe) and not lora else 0.0
    activations = recipe.train.positions_per_micro_batch * POSITION_BYTES_135M * (parameters / 135e6) ** 0.5 / 1e9
    vllm = weights + recipe.rollout.vllm.kv_cache_gib * 2**30 / 1e9 if recipe.rollout.engine == "vllm" else 0.0
    device = choose_device(recipe.device)
    has_copy = recipe.rollout.engine == "hf" and device.type == "cpu"
    engine = weights_gb(parameters, computed_dtype(dtype, device)) + cache_gb if has_copy else 0.0
    return model + reference + max(activations, engine) + vllm + LIBRARIES_GB


@dataclass(frozen=True)
class Speed:
    """How fast this machine runs a model, and how long its texts are."""

    parameters: int
    flops_per_s: float
    prompt_tokens: float
    """Mean length of a prompt."""
    response_tokens: float
    rows_per_batch: int
    """Rows that are decoded together."""

    @property
    def forward_s(self) -> float:
        """Seconds for one token position through the model."""
        return 2 * self.parameters / self.flops_per_s

    def sampling_s(self, prompts: int, responses: int) -> float:
        if not responses:
            return 0.0
        positions = prompts * self.prompt_tokens + responses * self.response_tokens
        batches = responses / self.rows_per_batch + 1
        return positions * self.forward_s + batches * self.response_tokens * DECODING_STEP_S

    def training_s(self, prompts: int, responses: int, share: float) -> float:
        """`share` of the positions go forward and backward; each prompt is computed once for all its responses."""
        positions = prompts * self.prompt_tokens + responses * self.response_tokens
        return 3 * share * positions * self.forward_s + self.parameters * OPTIMIZER_S_PER_PARAMETER

    def evaluation_s(self, responses: int) -> float:
        return responses * (self.prompt_tokens / 4 + self.response_tokens) * self.forward_s


def measure_speed(recipe: Recipe, parameters: int, problems: Sequence[Problem], tokenizer: Any) -> Speed:
    """Times a matrix product here, and reads the first prompts."""
    prompts = [len(encode_prompt(tokenizer, problem)) for problem in problems[:PROMPTS_READ]]
    flops_per_s = MODEL_SHARE * measure_flops_per_s(choose_device(recipe.device), DTYPES[recipe.model.dtype])
    return Speed(
        parameters,
        flops_per_s,
        prompt_tokens=sum(prompts) / max(1, len(prompts)),
        response_tokens=recipe.rollout.response_limit * RESPONSE_SHARE,
        rows_per_batch=recipe.rollout.rows_per_batch,
    )


def measure_flops_per_s(device: torch.device, dtype: torch.dtype, *, repeats: int = 20) -> float:
    """Seconds of a plain product of a [512, 1024] and a [1024, 1024] matrix."""
    rows, width = 512, 1024
    a = torch.randn(rows, width, device=device, dtype=dtype)
    b = torch.randn(width, width, device=device, dtype=dtype)
    (a @ b).sum().item()
    started = time.perf_counter()
    for _ in range(repeats):
        product = a @ b
    product.sum().item()  # waits for the device
    return repeats * 2 * rows * width * width / (time.perf_counter() - started)


def estimate_minutes(recipe: Recipe, workload: Workload, speed: Speed, heldout_problems: int) -> float:
    """Sampling, updates and evaluations of the whole stage."""
    step = speed.sampling_s(workload.prompts_per_step, workload.rollouts_per_step)
    if not workload.updates_per_step:
        return workload.steps * step / 60
    share = SIGNAL_SHARE if workload.rollouts_per_step else 1.0
    step += speed.training_s(workload.prompts_per_step, workload.trained_rows_per_step, share)
    spec = recipe.evaluation
    evaluations = 2 if spec.every_steps is None else 1 + workload.steps // spec.every_steps
    answers = heldout_problems * (spec.samples_per_problem + int(spec.greedy))
    return (workload.steps * step + evaluations * speed.evaluation_s(answers)) / 60
