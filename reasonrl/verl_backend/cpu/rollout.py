"""Rollouts on a CPU through verl's own server interface: our transformers engine in a Ray actor, weights pushed to it
by the trainer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from typing import Any

import ray
import torch
from torch import Tensor
from verl.workers.rollout.base import BaseRollout
from verl.workers.rollout.replica import RolloutReplica, TokenOutput

from reasonrl.engines.base import Generation, Request, Sampling, derive_seed
from reasonrl.engines.local.engine import CachedEngine
from reasonrl.models.loading import LanguageModel, load_model

WINDOW_S = 0.02
"""How long requests are gathered into one batch. What a row draws does not depend on the others in it."""


class HFServer:
    def __init__(self, model_path: str, response_length: int) -> None:
        torch.set_num_threads(1)
        self._lm: LanguageModel = load_model(model_path, device="cpu", offline=True, attention="eager")
        self._engine = CachedEngine(self._lm)
        self._response_length = response_length
        self._global_steps: int | None = None
        self._waiting: list[tuple[Request, asyncio.Future[Generation]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def update_weights(self, named: dict[str, Tensor], global_steps: int | None = None) -> None:
        weights = self._lm.model.state_dict()
        unknown = sorted(set(named) - set(weights))
        if unknown:
            raise ValueError(
                f"the trainer sent {len(unknown)} weights that the rollout model does not have, e.g. {unknown[0]}"
            )
        with torch.no_grad():
            for name, value in named.items():
                weights[name].copy_(value)
        self._global_steps = global_steps if global_steps is not None else self._global_steps

    async def set_global_steps(self, global_steps: int | None) -> None:
        self._global_steps = global_steps

    async def generate(
        self,
        prompt_ids: list[int],
        sampling_params: dict[str, Any],
        request_id: str,
        image_data: Any = None,
        video_data: Any = None,
        **_: Any,
    ) -> TokenOutput:
        future: asyncio.Future[Generation] = asyncio.get_running_loop().create_future()
        seed = sampling_params.get("seed")
        sampling = Sampling(
            max_new_tokens=int(sampling_params.get("max_tokens") or self._response_length),
            temperature=float(sampling_params.get("temperature", 1.0)),
            top_p=float(sampling_params.get("top_p", 1.0)),
            top_k=max(0, int(sampling_params.get("top_k", -1))),
            stop=tuple(sampling_params.get("stop") or ()),
        )
        self._waiting.append(
            (Request(tuple(prompt_ids), sampling, derive_seed(request_id) if seed is None else seed), future)
        )
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._drain())
        generation = await future
        return TokenOutput(
            token_ids=generation.token_ids,
            log_probs=generation.logprobs if sampling_params.get("logprobs") else None,
            stop_reason="completed",
            extra_fields={"global_steps": self._global_steps},
        )

    async def _drain(self) -> None:
        while self._waiting:
            await asyncio.sleep(WINDOW_S)
            batch, self._waiting = self._waiting, []
            try:
                generations = await asyncio.to_thread(self._engine.generate_batch, [request for request, _ in batch])
            except BaseException as error:  # every caller is told; an await that never ends would hang the whole step
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), generation in zip(batch, generations, strict=True):
                future.set_result(generation)

    # What verl's manager calls on every server, and means nothing here: weights and cache stay where they are.
    async def wake_up(self, *_: Any, **__: Any) -> None: ...
    async def sleep(self, *_: Any, **__: Any) -> None: ...
    async def abort_all_requests(self, *_: Any, **__: Any) -> None: ...
    async def resume_generation(self, *_: Any, **__: Any) -> None: ...
    async def clear_kv_cache(self, *_: Any, **__: Any) -> None: ...
    async def release_kv_cache(self, *_: Any, **__: Any) -> None: ...
    async def resume_kv_cache(self, *_: Any, **__: Any) -> None: ...
    async def start_profile(self, *_: Any, **__: Any) -> None: ...
    async def stop_profile(self, *_: Any, **__: Any) -> None: ...


class ServerAdapter(BaseRollout):
    """The trainer's side: pushes the weights to the server."""

    def __init__(self, config: Any, model_config: Any, device_mesh: Any, *_: Any, **__: Any) -> None:
        super().__init__(config, model_config, device_mesh)
        world = self.config.tensor_model_parallel_size * self.config.data_parallel_size
        rank = int(os.environ["RANK"])
        self._replica, self._rank = rank // world, rank % world

    async def resume(self, tags: list[str]) -> None: ...

    async def release(self) -> None: ...

    @torch.no_grad()
    async def update_weights(
        self,
        weights: Generator[tuple[str, Tensor], None, None],
        wire_format: str = "named_tensors",
        global_steps: int | None = None,
        **_: Any,
    ) -> None:
        named = {name: value.detach().cpu().clone() for name, value in weights}
        if self._rank == 0:
            await ray.get_actor(server_name(self._replica)).update_weights.remote(named, global_steps=global_steps)


class HFReplica(RolloutReplica):
    async def launch_servers(self) -> None:
        name = server_name(self.replica_rank)
        actor_class = ray.remote(HFServer).options(name=name, max_concurrency=self.max_concurrency, num_cpus=1)
        server = actor_class.remote(self.model_config.path, self.config.response_length)
        await server.set_global_steps.remote(None)
        self.servers = [server]
        self._server_handle = server
        self._server_address = name


def server_name(replica: int) -> str:
    return f"reasonrl_hf_server_{replica}"
