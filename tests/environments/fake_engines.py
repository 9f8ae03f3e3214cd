"""Engines that a test recipe names by dotted path. Fakes: they know the answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from reasonrl.data.step_demonstrations import spoilt
from reasonrl.data.step_sums import parse_sum, step, worked
from reasonrl.engines.base import Generation, Request


class HalfRight:
    """Works sums out in steps, and errs in every second."""

    right_share = 0.5

    def __init__(self, language_model: Any, rows_per_batch: int) -> None:
        self.tokenizer = language_model.tokenizer

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        made = []
        for request in requests:
            question = (
                self.tokenizer.decode(list(request.token_ids)).removeprefix("<|user|>").partition("<|assistant|>")[0]
            )
            rng = random.Random(request.seed)
            text = "\n".join(worked(question) if rng.random() < self.right_share else spoilt(question, rng))
            ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            made.append(Generation(ids, [0.0] * len(ids), "stop"))
        return made


class Completing(HalfRight):
    """Works sums out in steps, errs in every fifth, and goes on from any beginning without a further error."""

    right_share = 0.8

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        made = super().generate_batch(requests)
        for i, request in enumerate(requests):
            question, _, begun = (
                self.tokenizer.decode(list(request.token_ids)).removeprefix("<|user|>").partition("<|assistant|>")
            )
            if begun:
                ids = [
                    *self.tokenizer(_rest(question, begun), add_special_tokens=False)["input_ids"],
                    self.tokenizer.eos_token_id,
                ]
                made[i] = Generation(ids, [0.0] * len(ids), "stop")
        return made


class Players(HalfRight):
    """All roles of SPC's game: spoils every step by one, goes on rightly from anywhere, and calls every second step
    wrong.
    """

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        made = []
        for request in requests:
            prompt = self.tokenizer.decode(list(request.token_ids))
            if "Spoil." in prompt:
                left, _, result = prompt.split("<step>\n")[1].split("\n</step>")[0].rpartition(" = ")
                text = f"<step>\n{left} = {int(result) + 1}\n</step>"
            elif "Check." in prompt:
                text = f"<Answer>{random.Random(request.seed).choice(['Correct', 'Incorrect'])}</Answer>"
            else:
                question, _, begun = prompt.removeprefix("<|user|>").partition("<|assistant|>")
                text = _rest(question, begun)
            ids = [*self.tokenizer(text, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id]
            made.append(Generation(ids, [0.0] * len(ids), "stop"))
        return made


def _rest(question: str, begun: str) -> str:
    done = [line for line in begun.split("\n") if line]
    value, operations = parse_sum(question)
    value = int(done[-1].rpartition(" ")[2]) if done else value
    lines = []
    for sign, number in operations[len(done) :]:
        text, value = step(value, sign, number)
        lines.append(text)
    return "\n".join(lines)
