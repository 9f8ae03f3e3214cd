"""Answers, as the server's OpenAPI schema describes them. Nothing is checked against these types when a request is
answered: tests/serving/test_schema.py does it once for all.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from critics.strategies.base import StoppedBy
from critics.types import Judgement, ParseStatus
from reasonrl.serving.trace import Trace
from verifiers.types import Status

Share = Annotated[float, Field(ge=0, le=1)]
Tokens = Annotated[int, Field(ge=0)]
Finish = Literal["stop", "length"]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorDetail(_Reply):
    message: str
    type: str
    param: str | None = Field(description="The field of the request that is wrong.")
    code: str | None


class ErrorReply(_Reply):
    error: ErrorDetail


class Health(_Reply):
    status: Literal["ok", "draining", "model_ended"]


# ---------------------------------------------------------------- models


class StrategyFacts(_Reply):
    strategy: str
    summary: str
    options: dict[str, int] = Field(description="That a request may set as `reasonrl`, with their defaults.")


class ModelRow(_Reply):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    reasonrl: StrategyFacts | None = None


class ModelList(_Reply):
    object: Literal["list"]
    data: list[ModelRow]


# ---------------------------------------------------------------- what every answer of a model holds


class RoleUsage(_Reply):
    calls: Tokens
    prompt_tokens: Tokens
    completion_tokens: Tokens


class UsageByRole(_Reply):
    roles: dict[str, RoleUsage]
    complete: bool = Field(description="False where a server behind this one did not count.")


class CompletionDetails(_Reply):
    reasoning_tokens: Tokens


class Usage(_Reply):
    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens
    completion_tokens_details: CompletionDetails
    reasonrl: UsageByRole


class StepVerdict(_Reply):
    index: int
    judgement: Judgement | None
    comment: str


class Critique(_Reply):
    judgement: Judgement | None
    first_error: int | None
    parse_status: ParseStatus
    score: float | None
    feedback: str
    steps: list[StepVerdict]
    text: str


class Message(_Reply):
    role: Literal["system", "user", "assistant"]
    content: str


class Play(_Reply):
    """What a strategy did."""

    strategy: str
    stopped_by: StoppedBy
    seed: int
    draft: str
    answer: str | None
    drafts: int
    rounds: int = Field(description="How many times critiques were asked for, one after the other.")
    critique: Critique | None
    trace: Trace | None = None


class Seed(_Reply):
    seed: int


# ---------------------------------------------------------------- chat completions


class BoxedVerdict(_Reply):
    """What stands behind the box of `boxed-CRITIC`."""

    probability_correct: Share | None
    abstained: bool
    seed: int
    critiques: list[Critique]


class Choice(_Reply):
    index: int
    message: Message
    finish_reason: Finish
    logprobs: None
    reasonrl: Play | BoxedVerdict | None = None


class ChatCompletion(_Reply):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    reasonrl: Seed


class Delta(_Reply):
    role: Literal["assistant"] | None = None
    content: str | None = None
    reasoning: str | None = Field(default=None, description="What a strategy does; also as reasoning_content.")
    reasoning_content: str | None = None


class ChunkChoice(_Reply):
    index: int
    delta: Delta
    finish_reason: Finish | None
    logprobs: None
    reasonrl: Play | BoxedVerdict | None = None


class ChatChunk(_Reply):
    """The data of one event of a stream. The last event's is `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    reasonrl: Seed | None = None


# ---------------------------------------------------------------- the routes of reasonrl


class CritiqueReply(_Reply):
    judgement: Judgement | None
    abstained: bool
    probability_correct: Share | None
    share_correct: Share | None
    interval: tuple[Share, Share] | None
    first_error: int | None
    critiques_read: int
    critiques: list[Critique]
    stopped_by: Literal["completed", "deadline", "shutdown"]
    seed: int
    steps: list[str]
    usage: Usage
    trace: Trace | None = None


class RefineReply(Play):
    text: str
    finish_reason: Finish
    usage: Usage


class VerifyReply(_Reply):
    correct: bool | None
    score: Share | None
    status: Status
    extracted: str | None
    method: str
    reason: str


class Abstention(_Reply):
    abstained: bool


class ClassRow(_Reply):
    index: int
    label: Judgement | None
    probs: tuple[Share, Share]
    num_classes: Literal[2]
    reasonrl: Abstention


class ClassifyReply(_Reply):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[ClassRow]
    usage: Usage
    reasonrl: Seed


class EmbeddingRow(_Reply):
    object: Literal["embedding"]
    index: int
    embedding: list[Annotated[float, Field(ge=0, le=1)]]
    reasonrl: Abstention


class EmbeddingReply(_Reply):
    object: Literal["list"]
    model: str
    data: list[EmbeddingRow]
    usage: Usage
    reasonrl: Seed


# ---------------------------------------------------------------- statuses and types of content

_ERRORS = {
    400: "the request is wrong; the message names the field",
    401: "a key is needed",
    403: "another host",
    404: "no such model",
    405: "another method",
    408: "the body came too slowly",
    413: "the body is too long",
    415: "the body is not JSON",
    429: "too many requests of this client",
    431: "the head is too long",
    500: "the server made a mistake",
    502: "a model behind this server failed",
    503: "the server is full, or ends",
    504: "the deadline came before there was an answer",
}
_FORMS = "#/components/schemas/"
_EVENT = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "anyOf": [
                {"const": "[DONE]"},
                {
                    "type": "string",
                    "contentMediaType": "application/json",
                    "contentSchema": {"anyOf": [{"$ref": f"{_FORMS}ChatChunk"}, {"$ref": f"{_FORMS}ErrorReply"}]},
                },
            ]
        }
    },
}
_OF_EVERY_ROUTE = (400, 401, 403, 405, 431, 500)
_Responses = dict[int | str, dict[str, Any]]


def _errors(*statuses: int) -> _Responses:
    return {status: {"model": ErrorReply, "description": _ERRORS[status]} for status in statuses}


def replies(reply: type[BaseModel], *statuses: int) -> _Responses:
    """Of a route without a body. `statuses`: of errors, besides those of every route."""
    return {200: {"model": reply}, **_errors(*_OF_EVERY_ROUTE, *statuses)}


def draining(reply: type[BaseModel]) -> _Responses:
    return {503: {"model": reply, "description": "the server ends"}}


def replies_to_body(reply: type[BaseModel], *, streams: bool = False) -> _Responses:
    """Of a route that reads a body."""
    written: dict[str, Any] = {"model": reply}
    if streams:
        written["content"] = {"text/event-stream": {"schema": _EVENT}}
    return {200: written, **_errors(*_ERRORS)}


def replies_as_text(media_type: str) -> _Responses:
    """Of a route whose answer is no JSON."""
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}}, **_errors(*_OF_EVERY_ROUTE)}


class Application(FastAPI):
    """Its schema does not name the status by which FastAPI refuses a body: this server says 400. It describes the
    events of streams, which FastAPI does not know.
    """

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        chunk = ChatChunk.model_json_schema(ref_template=f"{_FORMS}{{model}}")
        forms = {**chunk.pop("$defs"), "ChatChunk": chunk, **schema["components"]["schemas"]}
        for name in ("HTTPValidationError", "ValidationError"):
            forms.pop(name, None)
        schema["components"]["schemas"] = dict(sorted(forms.items()))
        return schema
