"""The task of the ablation: sums and products for a character model of 0.2 M parameters, where a uniform budget wastes
most groups.

    solved      sums of numbers below 10: the warm-up has taught them
    hard        sums of two numbers from 10 to 59: the warm-up has shown a few
    impossible  products of two numbers from 13 to 97: never shown, and the model cannot learn them from what it sees
                here

Held out are hard problems only; no expression is in two sets, nor its commuted form.
"""

from __future__ import annotations

import random
from typing import Any

SEED = 20261121
SIZES = {"solved": 90, "hard": 300, "impossible": 300, "test": 100, "shown": 150}


def _hard() -> list[tuple[int, int]]:
    pairs = [(a, b) for a in range(10, 60) for b in range(a, 60)]
    random.Random(SEED).shuffle(pairs)
    return pairs


def problems(split: str) -> list[dict[str, Any]]:
    """`train`: what reinforcement learning sees; `test`: held out; `warm-up`: what the supervised phase sees."""
    generator = random.Random(f"{SEED}/{split}")
    easy = [(a, b) for a in range(10) for b in range(10)]
    hard = _hard()
    test, rest = hard[: SIZES["test"]], hard[SIZES["test"] :]
    shown, train = rest[: SIZES["shown"]], rest[SIZES["shown"] : SIZES["shown"] + SIZES["hard"]]
    if split == "test":
        return [_row("hard", f"{a}+{b}", a + b) for a, b in test]
    if split == "warm-up":
        return [_row("solved", f"{a}+{b}", a + b) for a, b in easy] + [
            _row("hard", f"{a}+{b}", a + b) for a, b in shown
        ]
    if split != "train":
        raise ValueError(f"no split {split!r}; there are train, test and warm-up")
    products = [(generator.randint(13, 97), generator.randint(13, 97)) for _ in range(4 * SIZES["impossible"])]
    unique = list(dict.fromkeys(products))[: SIZES["impossible"]]
    made = [_row("solved", f"{a}+{b}", a + b) for a, b in generator.sample(easy, SIZES["solved"])]
    made += [_row("hard", f"{a}+{b}", a + b) for a, b in train]
    made += [_row("impossible", f"{a}*{b}", a * b) for a, b in unique]
    return made


def _row(kind: str, expression: str, value: int) -> dict[str, Any]:
    return {"id": f"{kind}/{expression}", "prompt": f"{expression} =", "answer": str(value), "source": kind}
