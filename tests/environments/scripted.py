"""Fakes for tests: engines that say what a function tells them to, and a critic that is nothing but a table of
chances.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

from reasonrl.engines.base import Generation, Request
from reasonrl.models.tiny import CRITIC, build_tokenizer

TOKENIZER = build_tokenizer(CRITIC)


def spoken(text: str) -> Generation:
    ids = [*TOKENIZER(text, add_special_tokens=False)["input_ids"], TOKENIZER.eos_token_id]
    return Generation(ids, [-0.5] * len(ids), "stop")


class ScriptedEngine:
    """Says `speak(prompt text, seed)`."""

    def __init__(self, speak: Callable[[str, int], str]) -> None:
        self.speak = speak
        self.batches: list[int] = []

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches.append(len(requests))
        return [spoken(self.speak(TOKENIZER.decode(list(request.token_ids)), request.seed)) for request in requests]


class TabularCritic:
    """Softmax over arms, each a way to criticise: `arms[name](prompt text, rng)`. What it says is drawn from the
    request's seed.
    """

    def __init__(self, arms: dict[str, Callable[[str, random.Random], str]]) -> None:
        self.arms, self.logits = arms, dict.fromkeys(arms, 0.0)
        self.chosen: list[str] = []

    @property
    def chances(self) -> dict[str, float]:
        total = sum(math.exp(value) for value in self.logits.values())
        return {name: math.exp(value) / total for name, value in self.logits.items()}

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        made = []
        for request in requests:
            rng = random.Random(request.seed)
            (arm,) = rng.choices(list(self.arms), list(self.chances.values()))
            self.chosen.append(arm)
            made.append(spoken(self.arms[arm](TOKENIZER.decode(list(request.token_ids)), rng)))
        return made

    def learn(self, advantages: Sequence[float], lr: float = 0.2) -> None:
        """REINFORCE on what was said since the last call."""
        chances = self.chances
        for arm, advantage in zip(self.chosen, advantages, strict=True):
            for name in self.logits:
                self.logits[name] += lr * advantage * ((name == arm) - chances[name])
        self.chosen.clear()

    @property
    def favourite(self) -> str:
        return max(self.logits, key=lambda name: self.logits[name])
