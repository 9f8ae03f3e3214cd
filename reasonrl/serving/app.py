"""The routes. Answers on OpenAI's are what its clients expect; what a strategy did rides in a field `reasonrl`."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from reasonrl.serving.admission import Admission
from reasonrl.serving.clients import ClientLeft, Result, client_name, client_waits_s, unless_client_leaves
from reasonrl.serving.errors import handle_errors
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.page import load_page
from reasonrl.serving.play import first_error
from reasonrl.serving.schemas import ChatRequest, CritiqueRequest, RefineRequest, VerifyRequest
from reasonrl.serving.service import Answer, BadRequest, NotFound, Service, new_seed, seeds_of
from reasonrl.serving.streams import EventStream, chat_events
from reasonrl.serving.usage import Usage


def create_app(service: Service, admission: Admission, metrics: ServerMetrics) -> FastAPI:
    """The application, without its guard."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(title="reasonrl", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    handle_errors(app, metrics)

    @contextlib.contextmanager
    def place(request: Request, route: str, strategy: str) -> Iterator[None]:
        """Of one request among those under way, which are counted. Raises Full."""
        with admission.enter(client_name(request)), _counted(metrics, route, strategy):
            yield

    async def admitted(request: Request, route: str, strategy: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """Runs the work if there is room, and ends it when the client leaves."""
        with place(request, route, strategy):
            return await unless_client_leaves(request, work())

    @app.get("/health")
    async def health() -> JSONResponse:
        if admission.is_draining:
            return JSONResponse({"status": "draining"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def prometheus() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    html, policy = load_page()

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers={"content-security-policy": policy})

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": service.models()}

    @app.get("/v1/models/{name}", responses=_ERRORS)
    async def model(name: str) -> dict[str, Any]:
        for row in service.models():
            if row["id"] == name:
                return row
        raise NotFound(f"there is no model '{name[:80]}'; see /v1/models")

    @app.post("/v1/chat/completions", responses=_ERRORS)
    async def chat(body: ChatRequest, request: Request) -> Response:
        target = service.check(body)
        seed = body.seed if body.seed is not None else new_seed()
        strategy = target.strategy or "none"
        if body.stream:
            if body.n > 1:
                raise BadRequest("a stream has one choice: write n 1, or stream false", "n")
            head = _head(body, "chat.completion.chunk")
            return EventStream(
                lambda: chat_events(service, body, seed, head, metrics),
                lambda: place(request, "chat", strategy),
            )
        waits_s = client_waits_s(request)
        timed = body if waits_s is None or target.strategy is None else body.within(waits_s)

        async def work() -> list[Answer]:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(service.answer(timed, each)) for each in seeds_of(body, seed)]
            except BaseExceptionGroup as errors:
                raise first_error(errors) from None
            return [task.result() for task in tasks]

        answers = await admitted(request, "chat", strategy, work)
        return JSONResponse(_completion(body, answers, seed, metrics))

    @app.post("/v1/critique", responses=_ERRORS)
    async def critique(body: CritiqueRequest, request: Request) -> dict[str, Any]:
        seed = body.seed if body.seed is not None else new_seed()
        value, critiques, usage = await admitted(request, "critique", "none", lambda: service.critique(body, seed))
        metrics.count_usage(usage)
        for one in critiques:
            metrics.count_critique(one)
        return value

    @app.post("/v1/refine", responses=_ERRORS)
    async def refine(body: RefineRequest, request: Request) -> dict[str, Any]:
        seed = body.seed if body.seed is not None else new_seed()
        strategy = service.check_refine(body)
        answer = await admitted(request, "refine", strategy, lambda: service.refine(body, seed))
        metrics.count_answer(answer.usage, [answer.facts])
        return {
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            **answer.facts,
            "usage": answer.usage.to_json(shown=answer.tokens),
        }

    @app.post("/v1/verify", responses=_ERRORS)
    async def verify(body: VerifyRequest, request: Request) -> dict[str, Any]:
        return await admitted(request, "verify", "none", lambda: service.verify(body))

    return app


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text}
    for status, text in (
        (400, "the request is wrong; the message names the field"),
        (401, "a key is needed"),
        (403, "another host"),
        (404, "no such model"),
        (408, "the body came too slowly"),
        (413, "the body is too long"),
        (415, "the body is not JSON"),
        (429, "too many requests of this client"),
        (502, "a model behind this server failed"),
        (503, "the server is full, or ends"),
        (504, "the deadline came before there was an answer"),
    )
}


# ---------------------------------------------------------------- chat completions


def _head(body: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": body.model}


def _completion(body: ChatRequest, answers: list[Answer], seed: int, metrics: ServerMetrics) -> dict[str, Any]:
    usage = Usage()
    choices = []
    for index, answer in enumerate(answers):
        usage.merge(answer.usage)
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": index, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
        if answer.facts:
            choice["reasonrl"] = dict(answer.facts)
        choices.append(choice)
    metrics.count_answer(usage, [answer.facts for answer in answers])
    used = usage.to_json(shown=sum(answer.tokens for answer in answers))
    return _head(body, "chat.completion") | {"choices": choices, "usage": used, "reasonrl": {"seed": seed}}


# ---------------------------------------------------------------- around the work


@contextlib.contextmanager
def _counted(metrics: ServerMetrics, route: str, strategy: str) -> Iterator[None]:
    started = time.monotonic()
    metrics.running.inc()
    status = "ok"
    try:
        yield
    except BaseException as error:
        status = "cancelled" if isinstance(error, ClientLeft | asyncio.CancelledError | GeneratorExit) else "error"
        if status == "cancelled":
            metrics.cancelled.inc()
        raise
    finally:
        metrics.running.dec()
        metrics.requests.labels(route, strategy, status).inc()
        metrics.latency.labels(route).observe(time.monotonic() - started)
