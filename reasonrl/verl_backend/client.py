"""verl's servers as a batch engine in the trainer's process, for the evaluation of held-out sets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from reasonrl.engines.base import Generation, Request
from reasonrl.errors import ModelError
from reasonrl.verl_backend.agent_loop import ServerEngine, end_tokens


class ClientEngine:
    """`generate_batch` over verl's client, on a separate event loop: the caller may already run inside one.

    Args:
        timeout_s: a batch is given up when no request of it is answered for so long.
    """

    def __init__(self, client: Any, tokenizer: Any, model_path: str, *, timeout_s: float) -> None:
        self._engine = ServerEngine(client, end_tokens(tokenizer, model_path), tokenizer)
        self._timeout_s = timeout_s
        self._name = uuid4().hex
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="reasonrl-client").start()

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        """One generation for each request, in order. Raises ModelError when the servers answer none for too long."""

        async def generate_all() -> list[Generation]:
            tasks = [asyncio.create_task(self._generate(request)) for request in requests]
            pending = set(tasks)
            try:
                while pending:
                    done, pending = await asyncio.wait(
                        pending, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
                    )
                    if not done:
                        raise ModelError(
                            f"held-out evaluation: {len(pending)} of {len(tasks)} requests are open, and the rollout"
                            f" servers have answered none for {self._timeout_s:g} s. Look at the servers' log, or raise"
                            " verl.episode_timeout_s"
                        )
                    for task in done:
                        task.result()  # the first error ends the batch
            finally:
                for task in pending:
                    task.cancel()
            return [task.result() for task in tasks]

        return asyncio.run_coroutine_threadsafe(generate_all(), self._loop).result()

    async def _generate(self, request: Request) -> Generation:
        """The turns of an episode go to one server, which has their beginning in its cache."""
        name = uuid4().hex if request.episode is None else f"{self._name}-{request.episode}"
        return await self._engine.request(name, request.token_ids, request.sampling, request.seed)
