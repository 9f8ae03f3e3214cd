"""Errors as clients see them: a status, a message and a field, and never a word of this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from critics.strategies.base import CriticUnavailable
from reasonrl.engines.local.serving import OverloadedError
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import ModelError
from reasonrl.serving.admission import Full
from reasonrl.serving.clients import ClientLeft
from reasonrl.serving.guard import error_body, error_kind
from reasonrl.serving.metrics import ServerMetrics
from reasonrl.serving.play import BudgetSpent
from reasonrl.serving.rewards import Unread
from reasonrl.serving.service import BadRequest, NotFound
from reasonrl.serving.voices import BadPrompt, reason_for_log

_log = logging.getLogger(__name__)


def describe_error(error: BaseException) -> tuple[int, str, str | None]:
    """Status, message and field. 500: it is nobody's request that is wrong, and is logged."""
    error = _reason(error)
    if isinstance(error, BadRequest):
        return 400, str(error), error.param
    if isinstance(error, BadPrompt):
        return 400, str(error), "messages"
    if isinstance(error, NotFound):
        return 404, str(error), "model"
    if isinstance(error, BudgetSpent):
        return 400, "budget_tokens does not allow one draft; write more", "reasonrl.budget_tokens"
    if isinstance(error, Unread):
        return 503, "no critique of this solution could be read; ask again, or serve with --unread-reward", None
    if isinstance(error, TimeoutError):
        return 504, "the deadline came before there was an answer", None
    if isinstance(error, Full):
        return error.status, str(error), None
    if isinstance(error, OverloadedError):
        return 503, str(error), None
    if isinstance(error, ServedFailure | CriticUnavailable | ModelError):
        return 502, "a model behind this server did not answer", None
    return 500, "the server made a mistake; its log has it", None


def describe_mistake(errors: Sequence[Mapping[str, Any]], body: object) -> tuple[str, str]:
    """The field of the first mistake as the client wrote it, and what is wrong with it.

    Of a field that may be of several types, pydantic lists what each type misses. Those count that read the farthest
    into the field, and of these, those that are not about its type.
    """
    fields = [_written_field(error, body) for error in errors]
    first = fields[0]
    deepest = max((field for field in fields if field[: len(first)] == first), key=len)
    mistakes = [error for error, field in zip(errors, fields, strict=True) if field == deepest]
    mistakes = [error for error in mistakes if not error["type"].endswith("_type")] or mistakes
    messages = dict.fromkeys(str(error["msg"]).removeprefix("Value error, ") for error in mistakes)
    joined = " or ".join(messages).replace(" or Input should be ", " or ")
    return ".".join(map(str, deepest)), joined


def _written_field(error: Mapping[str, Any], body: object) -> list[str | int]:
    """Where a mistake is, without the names of types that pydantic puts in between."""
    _, *places = error["loc"]
    field: list[str | int] = []
    value = body
    for number, place in enumerate(places):
        is_there = (isinstance(value, dict) and place in value) or (
            isinstance(value, list) and isinstance(place, int) and place < len(value)
        )
        if is_there:
            value = value[place]  # type: ignore[index]
        elif error["type"] != "missing" or number + 1 < len(places):
            continue
        field.append(place)
    return field


def _reason(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, CriticUnavailable) and error.__cause__ is not None else error


_DESCRIBED: tuple[type[Exception], ...] = (
    *(BadRequest, BadPrompt, NotFound, BudgetSpent, TimeoutError, OverloadedError, Full, Unread),
    *(ServedFailure, CriticUnavailable, ModelError, Exception),
)


def handle_errors(app: FastAPI, metrics: ServerMetrics) -> None:
    async def failed(_: Request, error: Exception) -> Response:
        status, message, param = describe_error(error)
        headers = {}
        if isinstance(error, Full):
            metrics.rejections.labels(error.reason).inc()
            wait = max(1, round(error.retry_after_s))
            headers = {"retry-after": str(wait), "retry-after-ms": str(1000 * wait)}
        elif status == 502:
            _log.warning("a model did not answer: %s", reason_for_log(_reason(error)))
        elif status == 503:
            headers = {"retry-after": "1"}
        elif status in (400, 404):
            headers = {"x-should-retry": "false"}
        code = "model_not_found" if status == 404 else None
        if isinstance(_reason(error), BadPrompt):
            code = "prompt_refused"
        return JSONResponse(error_body(message, error_kind(status), param, code), status, headers)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        field, message = describe_mistake(error.errors(), error.body)
        body = error_body(f"{field}: {message}" if field else message, error_kind(400), field or None)
        return JSONResponse(body, 400, {"x-should-retry": "false"})

    async def no_route(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers: Mapping[str, str] = error.headers or {}
        return JSONResponse(error_body(str(error.detail), error_kind(error.status_code)), error.status_code, headers)

    async def left(_: Request, __: Exception) -> Response:
        return Response(status_code=499)

    for kind in _DESCRIBED:
        app.add_exception_handler(kind, failed)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(ClientLeft, left)
