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
from reasonrl.serving.classify import classification, embeddings, review_all, solutions_of
from reasonrl.serving.clients import ClientLeft, Result, client_name, client_waits_s, unless_client_leaves
from reasonrl.serving.errors import handle_errors
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.page import load_page
from reasonrl.serving.play import first_error
from reasonrl.serving.replies import (
    Application,
    ChatCompletion,
    ClassifyReply,
    CritiqueReply,
    EmbeddingReply,
    Health,
    ModelList,
    ModelRow,
    RefineReply,
    VerifyReply,
    draining,
    replies,
    replies_as_text,
    replies_to_body,
)
from reasonrl.serving.rewards import Review
from reasonrl.serving.schemas import ChatRequest, ClassifyRequest, CritiqueRequest, RefineRequest, VerifyRequest
from reasonrl.serving.service import Answer, NotFound, Service, new_seed, seeds_of
from reasonrl.serving.streams import EventStream, chat_events
from reasonrl.serving.turns import asking
from reasonrl.serving.usage import Usage


def create_app(service: Service, admission: Admission, metrics: ServerMetrics) -> FastAPI:
    """The application, without its guard."""
    service.shutdown = admission.shutdown  # whoever ends the server knows the admission
    metrics.watch([service.cast.critic, service.cast.actor])

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = Application(title="reasonrl", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    handle_errors(app, metrics)

    @contextlib.contextmanager
    def place(request: Request, route: str, strategy: str) -> Iterator[None]:
        """Of one request among those under way, which are counted. Raises Full."""
        client = client_name(request)
        with admission.enter(client), asking(client), _counted(metrics, route, strategy):
            yield

    async def admitted(request: Request, route: str, strategy: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """Runs the work if there is room, and ends it when the client leaves."""
        with place(request, route, strategy):
            return await unless_client_leaves(request, work())

    @app.get("/health", responses=replies(Health) | draining(Health))
    async def health() -> JSONResponse:
        if admission.is_draining:
            return JSONResponse({"status": "draining"}, 503)
        if not service.is_running:
            return JSONResponse({"status": "model_ended"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", responses=replies_as_text("text/plain"), response_class=Response)
    async def prometheus() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(), media_type="text/plain; version=0.0.4")

    html, policy = load_page()

    @app.get("/", responses=replies_as_text("text/html"), response_class=Response)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers={"content-security-policy": policy})

    @app.get("/v1/models", responses=replies(ModelList), response_model=None)
    async def models() -> dict[str, Any]:
        return {"object": "list", "data": service.models()}

    @app.get("/v1/models/{name}", responses=replies(ModelRow, 404), response_model=None)
    async def model(name: str) -> dict[str, Any]:
        for row in service.models():
            if row["id"] == name:
                return row
        raise NotFound(f"there is no model '{name[:80]}'; see /v1/models")

    @app.post("/v1/chat/completions", responses=replies_to_body(ChatCompletion, streams=True))
    async def chat(body: ChatRequest, request: Request) -> Response:
        target = service.check(body)
        seed = body.seed if body.seed is not None else new_seed()
        strategy = target.strategy or "none"
        if body.stream:
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

    @app.post("/v1/critique", responses=replies_to_body(CritiqueReply), response_model=None)
    async def critique(body: CritiqueRequest, request: Request) -> dict[str, Any]:
        seed = body.seed if body.seed is not None else new_seed()
        value, critiques, usage = await admitted(request, "critique", "none", lambda: service.critique(body, seed))
        metrics.count_usage(usage)
        for one in critiques:
            metrics.count_critique(one)
        return value

    async def reviews_of(body: ClassifyRequest, request: Request, route: str, seed: int) -> list[Review]:
        """A trainer sends all its solutions at once and ends at the first 429: its requests wait for their turn."""
        pairs = solutions_of(service, body)

        async def work() -> list[Review]:
            client = client_name(request)
            async with admission.in_turn(client):
                with asking(client), _counted(metrics, route, "none"):
                    return await review_all(service, pairs, body, seed)

        reviews = await unless_client_leaves(request, work())
        metrics.count_reviews(route, reviews, service.rewards.unread)
        return reviews

    @app.post("/classify", responses=replies_to_body(ClassifyReply), response_model=None)
    async def classify(body: ClassifyRequest, request: Request) -> dict[str, Any]:
        seed = body.reasonrl.seed or 0
        reviews = await reviews_of(body, request, "classify", seed)
        return classification(body.model or service.cast.critic.name, reviews, service.rewards.unread, seed)

    @app.post("/v1/embeddings", responses=replies_to_body(EmbeddingReply), response_model=None)
    async def embed(body: ClassifyRequest, request: Request) -> dict[str, Any]:
        seed = body.reasonrl.seed or 0
        reviews = await reviews_of(body, request, "embeddings", seed)
        return embeddings(body.model or service.cast.critic.name, reviews, service.rewards.unread, seed)

    @app.post("/v1/refine", responses=replies_to_body(RefineReply), response_model=None)
    async def refine(body: RefineRequest, request: Request) -> dict[str, Any]:
        seed = body.seed if body.seed is not None else new_seed()
        strategy = service.check_refine(body)
        answer = await admitted(request, "refine", strategy, lambda: service.refine(body, seed))
        metrics.count_answer(answer)
        return {
            "text": answer.text,
            "finish_reason": answer.finish_reason,
            **answer.facts,
            "usage": answer.usage.to_json(shown=answer.tokens),
        }

    @app.post("/v1/verify", responses=replies_to_body(VerifyReply), response_model=None)
    async def verify(body: VerifyRequest, request: Request) -> dict[str, Any]:
        return await admitted(request, "verify", "none", lambda: service.verify(body))

    return app


# ---------------------------------------------------------------- chat completions


def _head(body: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": body.model}


def _completion(body: ChatRequest, answers: list[Answer], seed: int, metrics: ServerMetrics) -> dict[str, Any]:
    usage = Usage()
    choices = []
    for index, answer in enumerate(answers):
        usage.merge(answer.usage)
        metrics.count_answer(answer)
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": index, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
        if answer.facts:
            choice["reasonrl"] = dict(answer.facts)
        choices.append(choice)
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
