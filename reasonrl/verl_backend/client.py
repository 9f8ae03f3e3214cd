"""verl's servers as a batch engine in the trainer's process, for the evaluation of held-out sets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from reasonrl.engines.base import Generation, Request
from reasonrl.verl_backend.agent_loop import ServerEngine, end_tokens


class ClientEngine:
    """`generate_batch` over verl's client, on a separate event loop: the caller may already run inside one."""

    def __init__(self, client: Any, tokenizer: Any, model_path: str) -> None:
        self._engine = ServerEngine(client, end_tokens(tokenizer, model_path), tokenizer)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="reasonrl-client").start()

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        async def generate_all() -> list[Generation]:
            return list(
                await asyncio.gather(*(self._engine.generate(r.token_ids, r.sampling, r.seed) for r in requests))
            )

        return asyncio.run_coroutine_threadsafe(generate_all(), self._loop).result()
