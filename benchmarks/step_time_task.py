"""What both sides of `step_time.py` do: the same prompts, the same reward, the same correct answers.

Two sets of eight prompts of about 45 tokens. `distinct` prompts share no beginning, so nothing can be saved between
groups. `few-shot` prompts begin with the same four worked examples, as prompts of a few-shot task do.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from verifiers.types import Problem, Status, Verdict


@dataclass(frozen=True)
class Shape:
    """Of one update."""

    prompts: int
    rollouts: int
    new_tokens: int

    @property
    def rows(self) -> int:
        return self.prompts * self.rollouts

    def __str__(self) -> str:
        return f"{self.prompts}x{self.rollouts}x{self.new_tokens}"

    @classmethod
    def read(cls, text: str) -> Shape:
        """Raises ValueError for what is not PROMPTSxROLLOUTSxTOKENS, and for more prompts than there are."""
        prompts, rollouts, new_tokens = map(int, text.split("x"))
        if not (1 <= prompts <= len(DISTINCT) and rollouts >= 2 and new_tokens >= 1):
            raise ValueError(text)
        return cls(prompts, rollouts, new_tokens)


DISTINCT = [
    (
        "Mara stacks 14 red bricks and 9 blue bricks beside the shed, then gives 6 of the red ones to a friend. "
        "How many bricks does Mara have left? The number of bricks is",
        "17",
    ),
    (
        "A bus leaves the square with 22 people on board. At the mill 7 people get off and 4 others get on, and "
        "nobody moves after that. "
        "The number of people on the bus is",
        "19",
    ),
    (
        "Every shelf of the little library holds 8 books, and there are 5 shelves. "
        "The librarian lends 3 books to a school. "
        "So the number of books that remain on the shelves is",
        "37",
    ),
    (
        "Tom bakes 30 rolls before sunrise. He sells 12 of them at the market and 9 more at the station, and eats 2. "
        "When he comes home, the number of rolls in his basket is",
        "7",
    ),
    (
        "In a garden of 6 rows, each row has 7 tulips. A storm breaks 10 of the tulips in the night. "
        "The gardener counts those that still stand in the morning, and the count is",
        "32",
    ),
    (
        "Two trains carry sand to the port. The first has 11 wagons and the second has 4 wagons fewer than the first. "
        "Together, the number of wagons that the two trains have is",
        "18",
    ),
    (
        "Lena saves 5 coins in each week of a month of 4 weeks. Then she spends 8 coins on a kite for her brother. "
        "The number of coins that are still in her box is",
        "12",
    ),
    (
        "Yesterday the well was 40 steps deep. Rain raised the water by 6 steps, and the pumps lowered it again by 9. "
        "Measured from the top, the water now stands at a depth of steps equal to",
        "43",
    ),
]
EXAMPLES = "6 + 7 = 13\n8 - 3 + 2 = 7\n3 + 0 + 3 = 6\n9 - 4 = 5\n"
SUMS = ["4 + 3", "9 - 5 + 2", "2 + 6 + 1", "8 - 7", "5 + 5 - 4", "7 + 2 - 3", "3 + 9", "6 - 1 + 8"]


def problems(prompts: str, count: int) -> list[Problem]:
    """The first problems of one set: `distinct` or `few-shot`."""
    pairs = DISTINCT if prompts == "distinct" else [(f"{EXAMPLES}{text} =", str(_sum(text))) for text in SUMS]
    return [
        Problem(f"{prompts}/{i}", prompt, "math", {"answer": answer})
        for i, (prompt, answer) in enumerate(pairs[:count], 1)
    ]


def _sum(text: str) -> int:
    return sum(int(number) for number in re.findall(r"-?\d+", text.replace("- ", "-")))


def correctness(response: str, answer: str) -> float:
    """1 when the first number of the first line is the answer."""
    numbers = re.findall(r"-?\d+", response.strip().partition("\n")[0])
    return float(bool(numbers) and numbers[0] == answer)


def spread(response: str, answer: str) -> float:
    """A number in [0, 1) that depends on the text alone: different responses get different rewards, so no group is
    silent.
    """
    return int.from_bytes(hashlib.blake2b(response.encode(), digest_size=6).digest(), "big") / 2**48


REWARDS = {"spread": spread, "correctness": correctness}


def spread_part(responses: Sequence[str], of: Sequence[Problem]) -> list[float]:
    """`spread` as a reward part of a recipe."""
    return [spread(response, "") for response in responses]


class FirstNumber:
    """`correctness` as a verifier, in this process: the benchmark measures no verifier."""

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        scores = [
            correctness(response, reference["answer"])
            for response, reference in zip(responses, references, strict=True)
        ]
        return [
            Verdict(score == 1.0, score, Status.JUDGED, None, "first number", "compared as text", 0.0)
            for score in scores
        ]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return str(reference["answer"])


def mixed_groups(rewards: Sequence[float], rollouts: int) -> int:
    """Groups of `rollouts` neighbours whose rewards are not all equal."""
    groups = [rewards[i : i + rollouts] for i in range(0, len(rewards), rollouts)]
    return sum(max(group) > min(group) for group in groups)


def prompt_digest(token_ids: Sequence[Sequence[int]]) -> str:
    """A name for a set of tokenised prompts, whatever their order and however often each is listed."""
    text = "\n".join(sorted({" ".join(map(str, ids)) for ids in token_ids}))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
