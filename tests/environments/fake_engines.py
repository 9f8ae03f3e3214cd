"""Engines that a test recipe names by dotted path. Fakes: they know the answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from reasonrl.data.step_arithmetic import spoilt, worked
from reasonrl.engines.base import Generation, Request


class HalfRight:
    """Works sums out in steps, and errs in every second."""

    def __init__(self, language_model: Any, rows_per_batch: int) -> None:
        self.tokenizer = language_model.tokenizer

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        made = []
        for request in requests:
            question = self.tokenizer.decode(list(request.token_ids)).removeprefix("<|user|>").removesuffix("<|assistant|>")
            rng = random.Random(request.seed)
            text = "\n".join(worked(question) if rng.random() < 0.5 else spoilt(question, rng))
            ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            made.append(Generation(ids, [0.0] * len(ids), "stop"))
        return made
