"""Log-probs of a generation that are not numbers: the model's logits were not, so what it wrote is noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from reasonrl.engines.base import Generation, Request
from reasonrl.errors import NotFiniteError


def require_finite_logprobs(role: str, requests: Sequence[Request], generations: Sequence[Generation]) -> None:
    """Raises NotFiniteError for the first generation with a log-prob that is NaN or infinite; `role` is "" for the
    model that is trained or evaluated.
    """
    for request, generation in zip(requests, generations, strict=False):
        place = next((t for t, value in enumerate(generation.logprobs) if not math.isfinite(value)), None)
        if place is not None:
            model = f"the model of the role {role}" if role else "the model"
            raise NotFiniteError(
                f"{model} gives logits that are not finite numbers (NaN or infinite), at token {place + 1} of a"
                f" response to a prompt of {len(request.token_ids)} tokens. Its weights have diverged, or its"
                " computation overflows"
            )
