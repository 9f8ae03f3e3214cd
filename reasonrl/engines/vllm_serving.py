"""vLLM for a server: each model in a process of vLLM's own, whose running batch takes requests as they arrive.

The weights are read from their folder, and are not those of a training. `engines/vllm.py` is the one for training.
Prompts come as tokens, as for the local engine, so that a critic is asked with the very prompt that it was trained
with, whatever chat template its folder has.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import signal
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import torch

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.vllm_setup import (
    COMMAND,
    LONGEST,
    cannot_run,
    check_heads,
    cpu_options,
    generation_of,
    prepare_vllm,
    sampling_params,
)
from reasonrl.errors import ModelError
from reasonrl.host.guardian import end_with_this_process
from reasonrl.models import tiny
from reasonrl.models.architecture import most_positions
from reasonrl.models.cache_size import BLOCK, block_bytes
from reasonrl.models.hub import download_snapshot
from reasonrl.models.loading import (
    check_model_files,
    end_token_ids,
    load_generation_config,
    load_model,
    load_tokenizer_and_config,
    model_source,
)
from reasonrl.models.pretrained import hub_errors
from reasonrl.models.saving import save_weights

_BLOCK = 128
"""Tokens of a block of vLLM's own cache on a CPU."""
_FIRST_S = 60.0
"""vLLM's first answer takes some milliseconds."""


class VLLMServingEngine:
    """Requests of many clients for the weights `source`: a folder, a Hugging Face id, or a bundled model.

    Raises ModelError where vLLM is not installed, or cannot run the model.
    """

    def __init__(
        self,
        source: str,
        *,
        dtype: str,
        device: torch.device,
        seed: int = 0,
        offline: bool = False,
        rows_per_batch: int = 128,
        kv_cache_gib: float = 2.0,
        gpu_memory_share: float = 0.4,
        max_model_len: int | None = None,
    ) -> None:
        if device.index:
            raise ModelError(
                f"--engine vllm runs on the first GPU: set CUDA_VISIBLE_DEVICES={device.index} instead of"
                f" device: {device}"
            )
        on_gpu = device.type == "cuda"
        prepare_vllm(COMMAND, on_gpu=on_gpu, kv_cache_gib=kv_cache_gib)
        self.tokenizer, config = load_tokenizer_and_config(source, offline=offline)
        check_model_files(source, self.tokenizer, config, offline=offline)
        check_heads(COMMAND, config, source, on_gpu=on_gpu)
        gib = None if on_gpu else max(1, round(kv_cache_gib))
        self.positions = _positions(config, dtype, wanted=max_model_len, gib=gib)
        """Tokens of a prompt and its response."""
        self.on_begin: Callable[[float], None] = lambda seconds: None
        """vLLM does not say how long a request waited: this is never called."""
        self._numbers = itertools.count()
        with _folder(source, seed=seed, offline=offline) as folder:
            self._eos_ids = end_token_ids(self.tokenizer, load_generation_config(folder))
            others = {one.pid for one in multiprocessing.active_children()}
            options = {"gpu_memory_utilization": gpu_memory_share} if on_gpu else cpu_options(self.positions)
            self._llm = _start(
                model=folder,
                dtype=dtype,
                max_model_len=self.positions,
                max_num_seqs=rows_per_batch,
                enable_prefix_caching=True,
                enforce_eager=not on_gpu,
                distributed_executor_backend="uni",
                logprobs_mode="processed_logprobs",
                generation_config="vllm",  # a model's own temperature or top-p must not enter
                seed=0,
                disable_log_stats=True,
                **options,
            )
        started = multiprocessing.active_children()
        self._guard = end_with_this_process([one.pid for one in started if one.pid not in others])

    @property
    def is_running(self) -> bool:
        """False once vLLM's process has died: only another server helps then."""
        return self._llm is not None and not self._llm.errored

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        llm, self._llm = self._llm, None
        if llm is not None:
            llm.shutdown()
            self._guard()

    async def generate(
        self, token_ids: Sequence[int], sampling: Sampling, seed: int, *, episode: Hashable = None
    ) -> Generation:
        """One continuation of `token_ids`. A caller that is cancelled cancels its request.

        Raises ValueError for a request that cannot be computed, and ModelError where vLLM has ended.
        """
        from vllm.sampling_params import RequestOutputKind

        last = None
        async with contextlib.aclosing(
            self._outputs(Request(token_ids, sampling, seed, episode), RequestOutputKind.FINAL_ONLY)
        ) as outputs:
            async for output in outputs:
                last = output
        return generation_of(last)

    async def stream(
        self, token_ids: Sequence[int], sampling: Sampling, seed: int, *, episode: Hashable = None
    ) -> AsyncGenerator[int | Generation]:
        """The tokens of one continuation as they are drawn, and last the generation. Raises as `generate`. To close it
        early cancels it.
        """
        from vllm.sampling_params import RequestOutputKind

        drawn, output = 0, None
        async with contextlib.aclosing(
            self._outputs(Request(token_ids, sampling, seed, episode), RequestOutputKind.CUMULATIVE)
        ) as outputs:
            async for output in outputs:
                new = output.token_ids[drawn:]  # vLLM goes on writing into its list
                drawn += len(new)
                for token in new:
                    yield token
        yield generation_of(output)

    async def _outputs(self, request: Request, kind: Any) -> AsyncGenerator[Any]:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        request.sampling.check()
        if not request.token_ids:
            raise ValueError("the prompt is empty")
        if len(request.token_ids) + request.sampling.max_new_tokens > self.positions:
            raise ValueError(
                f"{len(request.token_ids)} tokens of the prompt and {request.sampling.max_new_tokens} new ones exceed"
                f" the {self.positions} positions of the model"
            )
        prompt = {"prompt_token_ids": list(request.token_ids)}
        try:
            await asyncio.wait_for(self._llm.get_supported_tasks(), _FIRST_S)  # vLLM asks itself this once
            params = sampling_params(request.sampling, request.seed, self._eos_ids, output_kind=kind)
            async with contextlib.aclosing(self._llm.generate(prompt, params, str(next(self._numbers)))) as results:
                async for result in results:
                    yield result.outputs[0]
        except TimeoutError as error:
            raise ModelError("vLLM did not answer its first question, as where it has just ended") from error
        except VLLMClientError as error:
            raise ValueError(f"vLLM refuses this request: {error}") from error
        except (EngineDeadError, EngineGenerateError) as error:
            raise ModelError(f"vLLM has ended: {error}") from error


@contextlib.contextmanager
def _folder(source: str, *, seed: int, offline: bool) -> Iterator[str]:
    """What vLLM can read. Models of the hub are downloaded; those with random weights are written."""
    if source not in tiny.MODELS:
        weights = model_source(source, offline=offline)
        if not Path(weights).is_dir():  # the newest of the hub
            with hub_errors(source, local_only=offline):
                weights = download_snapshot(weights, None, local_only=offline)
        yield weights
        return
    model = load_model(source, device="cpu", seed=seed)
    with tempfile.TemporaryDirectory(prefix="reasonrl-vllm-") as folder:
        save_weights(model.model, Path(folder))
        model.tokenizer.save_pretrained(folder)
        yield folder


def _positions(config: Any, dtype: str, *, wanted: int | None, gib: int | None) -> int:
    """Tokens of a prompt and its response: what the model has, and what vLLM's cache of `gib` GiB holds, in whole
    blocks, of which vLLM keeps one for itself; None: vLLM says in its own words what does not fit. Raises ModelError.
    """
    longest = min(value for value in (wanted or LONGEST, most_positions(config)) if value is not None)
    size = 0 if gib is None else block_bytes(config, dtype) // BLOCK
    if not size or gib is None:
        return longest
    fitting = max(1, gib * 2**30 // size // _BLOCK - 1) * _BLOCK
    if wanted is not None and longest > fitting:
        raise ModelError(
            f"rollout.vllm.max_model_len: {longest} tokens do not fit into rollout.vllm.kv_cache_gib: {gib}, which"
            f" holds {fitting}. Write more there, or fewer here"
        )
    return min(longest, fitting)


def _start(**options: Any) -> Any:
    """vLLM's process does not hear Ctrl-C, which reaches all processes of a terminal: it is to go on until the server
    has answered what is under way. A process inherits what the thread that starts it does not hear.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    outcome: list[Any] = []

    resource_tracker.ensure_running()  # which multiprocessing starts first, and hears the signals again then

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            outcome.append(AsyncLLM.from_engine_args(AsyncEngineArgs(**options)))
        except Exception as error:  # raised below, in the caller's thread
            outcome.append(error)

    threads = torch.get_num_threads()
    starting = threading.Thread(target=start, name="start of vLLM", daemon=True)
    starting.start()
    starting.join()
    torch.set_num_threads(threads)
    (result,) = outcome
    if isinstance(result, (ValueError, RuntimeError, OSError)):
        raise cannot_run(COMMAND, result) from result
    if isinstance(result, Exception):
        raise result
    return result
