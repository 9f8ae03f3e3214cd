"""A critic in the place of a reward model: `POST /classify` as vLLM has it, `POST /v1/embeddings` as SGLang has it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from typing import Any

from reasonrl.engines.base import derive_seed
from reasonrl.serving.play import first_error
from reasonrl.serving.rewards import Review, Unread, class_json, embedding_json, review, split_chat, split_text
from reasonrl.serving.schemas import ClassifyRequest
from reasonrl.serving.service import BadRequest, NotFound, Service, problem_of
from reasonrl.serving.usage import Usage
from reasonrl.serving.voices import BadPrompt
from verifiers.types import Problem


def solutions_of(service: Service, request: ClassifyRequest) -> list[tuple[Problem, str]]:
    """Problems and solutions of a request. Raises NotFound, BadRequest."""
    options, cast = service.rewards, service.cast
    if request.model is not None and request.model not in {cast.critic.name, *options.names}:
        raise NotFound(f"there is no critic '{request.model[:80]}'; that of this server is '{cast.critic.name}'")
    if (request.reasonrl.critiques or 1) > 1 and cast.critic_sampling.temperature == 0:
        raise BadRequest(
            "greedy critiques are all the same; start the server with --critic-temperature", "reasonrl.critiques"
        )
    if request.messages is not None:
        pair = split_chat([message.plain() for message in request.messages], [])
        if pair is None:
            raise BadRequest("write the user's problem, and the solution as the assistant's answer", "messages")
        return [(problem_of(pair[0]), pair[1])]
    if not options.renderers:
        raise BadRequest(
            "this server knows no chat template to read a rendered chat with; send `messages`, or start it with"
            " --reward-tokenizer",
            "input",
        )
    texts = [request.input] if isinstance(request.input, str) else request.input or []
    pairs = []
    for text in texts:
        pair = split_text(text, options.renderers)
        if pair is None:
            raise BadRequest(
                "this is no problem and answer as the critic's chat template writes them; name the model whose"
                " template your trainer uses with --reward-tokenizer",
                "input",
            )
        pairs.append((problem_of(pair[0]), pair[1]))
    return pairs


async def review_all(
    service: Service, pairs: Sequence[tuple[Problem, str]], request: ClassifyRequest, seed: int
) -> list[Review]:
    """One review of each solution. The same seed, problem and solution give the same one, in any request. Raises
    CriticUnavailable.
    """
    critiques = request.reasonrl.critiques or service.rewards.critiques
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(review(service.cast, problem, solution, seed_of(seed, problem, solution), critiques))
                for problem, solution in pairs
            ]
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None
    return [task.result() for task in tasks]


def seed_of(seed: int, problem: Problem, solution: str) -> int:
    """A trainer names no seed, and rewards the same text alike in every epoch."""
    return derive_seed(seed, "input", problem.prompt, solution)


def classification(model: str, reviews: Sequence[Review], unread: float | None, seed: int) -> dict[str, Any]:
    """vLLM's answer. Raises Unread or BadPrompt for an abstention, if `unread` is None."""
    usage = _usage_of(reviews, unread)
    return {
        "id": f"classify-{uuid.uuid4().hex}",
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "data": [class_json(index, one, unread) for index, one in enumerate(reviews)],
        "usage": usage.to_json(shown=usage.completion_tokens),
        "reasonrl": {"seed": seed},
    }


def embeddings(model: str, reviews: Sequence[Review], unread: float | None, seed: int) -> dict[str, Any]:
    """SGLang's answer: the reward is the only number of an embedding. Raises as `classification`."""
    usage = _usage_of(reviews, unread)
    return {
        "object": "list",
        "model": model,
        "data": [embedding_json(index, one, unread) for index, one in enumerate(reviews)],
        "usage": usage.to_json(shown=usage.completion_tokens),
        "reasonrl": {"seed": seed},
    }


def _usage_of(reviews: Sequence[Review], unread: float | None) -> Usage:
    usage = Usage()
    for one in reviews:
        usage.merge(one.usage)
        if one.probability is None and unread is None:
            if one.why == "refused":
                raise BadPrompt("the critic cannot be given this solution: it is too long, or its template refuses it")
            raise Unread
    return usage
