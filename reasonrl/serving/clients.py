"""Who asks, how long they wait, and what happens when they leave."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

Result = TypeVar("Result")
MOST_WAIT_S = 3600.0


class ClientLeft(Exception):
    """Nobody waits for the answer."""


def client_name(request: Request) -> str:
    """Whose requests these are: the key's, else the address'."""
    key = request.headers.get("authorization", "").partition(" ")[2].strip()
    return key or (request.client.host if request.client else "")


def client_waits_s(request: Request) -> float | None:
    """How long the client waits for an answer, as OpenAI's clients say it. None where it does not."""
    try:
        seconds = float(request.headers.get("x-stainless-read-timeout", ""))
    except ValueError:
        return None
    return min(seconds, MOST_WAIT_S) if math.isfinite(seconds) and seconds > 0 else None


async def unless_client_leaves(request: Request, work: Awaitable[Result]) -> Result:
    """The result. When the connection is closed the work is cancelled, and with it every hidden call: ClientLeft."""
    task = asyncio.ensure_future(work)
    gone = asyncio.create_task(_until_disconnect(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeft
        return await task
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _until_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
