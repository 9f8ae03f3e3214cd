"""Generated arithmetic problems such as "7 + 5 - 3", split so that held-out problems are new even up to commutation.

Which side an expression is on depends on nothing but the expression (see `expressions.side`). So a run that trains on
one side, with any seed and any size, has never seen a held-out expression, nor one in another order.
"""

from __future__ import annotations

import inspect
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reasonrl.data.expressions import evaluate, operands, side, signed_terms
from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.values import LARGEST_SIZE
from reasonrl.errors import DataError
from verifiers.types import Problem

LARGEST_NUMBER = 10**12
ENUMERATE_UP_TO = 100_000
"""Spaces of up to this many expressions are listed and shuffled; larger ones are sampled. This depends on the space
alone, so a smaller size gives the first problems of a larger one.
"""
COUNT_UP_TO = 1_000_000
"""Sampled spaces up to this size are listed to the end (some 10 s) when a run asks for nearly all of them."""
BLOCK = 20_000
"""A sampled space is balanced within blocks of this many expressions."""
MISSES = 50_000
"""Sampling stops after this many draws in a row without a new expression, or after twice as many draws as the space has
expressions.
"""


def arithmetic(
    *,
    operations: str = "+-",
    terms: int | tuple[int, int] = (2, 3),
    low: int = 0,
    high: int = 9,
    size: int,
    seed: int = 0,
    split: str = "train",
    test_share: float = 0.2,
    min_result: int | None = None,
    max_result: int | None = None,
    allow_negative: bool = True,
    balance: str | None = None,
) -> list[Problem]:
    """Makes `size` different arithmetic problems of one side of the split.

    Args:
        operations: any of the characters "+-*".
        terms: how many numbers an expression has, (least, most) or one number.
        low: least operand; a negative one is written in brackets.
        high: greatest operand.
        size: how many problems. A smaller size with the same seed gives the first of them.
        seed: of the order and choice. The side of an expression does not depend on it.
        split: "train" or "test".
        test_share: share of the canonical expressions that are "test". Use the same in both.
        min_result: least result, or None.
        max_result: greatest result, or None.
        allow_negative: False leaves out expressions whose result, or a partial sum from the left, is below 0.
        balance: None draws evenly from all expressions, so most have the most terms; "terms" mixes the numbers of terms
            evenly, "result" the results. When one kind runs out, the others take its turns.

    Returns:
        Problems of kind "math": the prompt is the bare expression, meta {"expression", "terms"}.

    Raises:
        DataError: every wrong argument, or fewer expressions on this side than `size`; the message says how many there
            are.
    """
    space = _Space.checked(operations, terms, low, high, min_result, max_result, allow_negative, split, test_share)
    _check_choice(size, seed, balance)
    keys: dict[str | None, Callable[[str], int]] = {
        None: lambda text: 0,
        "terms": lambda text: len(operands(text)),
        "result": evaluate,
    }
    rng = random.Random(f"arithmetic {seed}")
    ordered = itertools.chain.from_iterable(
        _mixed(block, keys[balance], rng) for block in _blocks(space, rng, by_terms=balance == "terms")
    )
    chosen = list(itertools.islice(ordered, size))
    if len(chosen) < size:
        raise DataError(
            f"arithmetic: size {size:,} was asked for, but there are only {len(chosen):,} different expressions on the"
            f" {split} side with operations={operations!r}, {space.terms[0]} to {space.terms[1]} terms from {low} to"
            f" {high}. Ask for fewer, or widen terms or operands"
        )
    return [
        Problem(
            id=f"arithmetic/{text.replace(' ', '')}",
            prompt=text,
            kind="math",
            reference={"answer": str(evaluate(text))},
            source=f"arithmetic/{split}",
            meta={"expression": text, "terms": len(operands(text))},
        )
        for text in chosen
    ]


def arithmetic_from_options(options: dict[str, Any]) -> list[Problem]:
    """`arithmetic` with the options of a recipe. Raises DataError for an unknown or missing one."""
    refuse_unknown(options, inspect.signature(arithmetic).parameters, "arithmetic")
    if "size" not in options:
        raise DataError("arithmetic: the option size is missing; write the number of problems to generate")
    return arithmetic(**options)


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `arithmetic` of a recipe. Raises DataError."""
    options = {"seed": seed} | options
    if split is not None and options.setdefault("split", split) != split:
        raise DataError(
            f"arithmetic: split={split!r} was asked for, but the options say {options['split']!r}. Leave one out"
        )
    if limit is not None:
        size = options.get("size", limit)
        options["size"] = min(size, limit) if isinstance(size, int) else size
    return arithmetic_from_options(options)


@dataclass(frozen=True)
class _Space:
    """All expressions that the arguments allow."""

    operations: str
    terms: tuple[int, int]
    low: int
    high: int
    min_result: float
    max_result: float
    allow_negative: bool
    split: str
    test_share: float

    @classmethod
    def checked(
        cls,
        operations: Any,
        terms: Any,
        low: Any,
        high: Any,
        least: Any,
        most: Any,
        allow_negative: Any,
        split: Any,
        test_share: Any,
    ) -> _Space:
        wrong = []
        if (
            not isinstance(operations, str)
            or not operations
            or set(operations) - set("+-*")
            or len(set(operations)) < len(operations)
        ):
            wrong.append(f"operations must be different characters out of '+-*', not {operations!r}")
        pair = (terms, terms) if _is_int(terms) else tuple(terms) if isinstance(terms, list | tuple) else ()
        if len(pair) != 2 or not all(map(_is_int, pair)) or not 2 <= pair[0] <= pair[1] <= 50:
            wrong.append(f"terms must be a number or [least, most] from 2 to 50, not {terms!r}")
        if not _is_int(low) or not _is_int(high) or low > high:
            wrong.append(f"low and high must be whole numbers, low not above high, not {low!r} and {high!r}")
        elif max(abs(low), abs(high)) > LARGEST_NUMBER:
            wrong.append(f"low and high must be at most {LARGEST_NUMBER:,} in size")
        if not all(bound is None or _is_int(bound) for bound in (least, most)):
            wrong.append(f"min_result and max_result must be whole numbers, or be left out, not {least!r} and {most!r}")
        elif least is not None and most is not None and least > most:
            wrong.append(f"min_result {least} is above max_result {most}")
        if not isinstance(allow_negative, bool):
            wrong.append(f"allow_negative must be true or false, not {allow_negative!r}")
        if split not in ("train", "test"):
            wrong.append(f"split must be train or test, not {split!r}")
        if isinstance(test_share, bool) or not isinstance(test_share, int | float) or not 0 <= test_share <= 1:
            wrong.append(f"test_share must be in [0, 1], not {test_share!r}")
        if wrong:
            raise DataError("arithmetic: " + "; ".join(wrong))
        bounds = (-math.inf if least is None else least, math.inf if most is None else most)
        return cls(operations, pair, low, high, *bounds, allow_negative, split, float(test_share))

    def count(self, terms: int) -> int:
        """The number of expressions with this many terms, before limits on results and the split."""
        return (self.high - self.low + 1) ** terms * len(self.operations) ** (terms - 1)

    def lengths(self) -> range:
        return range(self.terms[0], self.terms[1] + 1)

    def total(self) -> int:
        return sum(map(self.count, self.lengths()))

    def holds(self, expression: str) -> bool:
        partial = list(itertools.accumulate(sign * math.prod(factors) for sign, factors in signed_terms(expression)))
        if not self.min_result <= partial[-1] <= self.max_result or (not self.allow_negative and min(partial) < 0):
            return False
        return side(expression, self.test_share) == self.split

    def every(self) -> Iterator[str]:
        numbers = range(self.low, self.high + 1)
        for terms in self.lengths():
            for joins in itertools.product(self.operations, repeat=terms - 1):
                for values in itertools.product(numbers, repeat=terms):
                    text = _write(values, joins)
                    if self.holds(text):
                        yield text


def _blocks(space: _Space, rng: random.Random, *, by_terms: bool) -> Iterator[list[str]]:
    """The expressions of the space in a random order, each once, in blocks whose borders do not depend on how many are
    wanted.
    """
    if space.total() <= ENUMERATE_UP_TO:
        expressions = list(space.every())
        rng.shuffle(expressions)
        yield expressions
        return
    lengths = space.lengths()
    weights = [
        1.0 if by_terms else math.exp(math.log(space.count(terms)) - math.log(space.total())) for terms in lengths
    ]
    seen: set[str] = set()
    block: list[str] = []
    misses = draws = 0
    while misses < MISSES and draws < 2 * space.total():
        draws += 1
        terms = rng.choices(lengths, weights)[0]
        text = _write(
            [rng.randint(space.low, space.high) for _ in range(terms)], rng.choices(space.operations, k=terms - 1)
        )
        if text in seen or not space.holds(text):
            misses += 1
            continue
        misses = 0
        seen.add(text)
        block.append(text)
        if len(block) == BLOCK:
            yield block
            block = []
    yield block
    if space.total() > COUNT_UP_TO:
        raise DataError(
            f"arithmetic: found only {len(seen):,} different expressions on the {space.split} side in {draws:,} draws. "
            "Ask for fewer, or loosen min_result, max_result and allow_negative"
        )
    remaining = [text for text in space.every() if text not in seen]
    rng.shuffle(remaining)
    yield remaining


def _mixed(block: list[str], key: Callable[[str], int], rng: random.Random) -> Iterable[str]:
    """The block with its keys taking turns, each round in a new order."""
    buckets: dict[int, list[str]] = defaultdict(list)
    for text in block:
        buckets[key(text)].append(text)
    waiting = {value: iter(bucket) for value, bucket in sorted(buckets.items())}
    while waiting:
        for value in rng.sample(list(waiting), len(waiting)):
            expression = next(waiting[value], None)
            if expression is None:
                del waiting[value]
            else:
                yield expression


def _write(values: Iterable[int], joins: Iterable[str]) -> str:
    numbers = [str(value) if value >= 0 else f"({value})" for value in values]
    return numbers[0] + "".join(f" {join} {number}" for join, number in zip(joins, numbers[1:], strict=True))


def _check_choice(size: Any, seed: Any, balance: Any) -> None:
    wrong = []
    if not _is_int(size) or not 1 <= size <= LARGEST_SIZE:
        wrong.append(f"size must be a whole number from 1 to {LARGEST_SIZE:,}, not {size!r}")
    if not _is_int(seed):
        wrong.append(f"seed must be a whole number, not {seed!r}")
    if balance not in (None, "terms", "result"):
        wrong.append(f"balance must be terms or result or left out, not {balance!r}")
    if wrong:
        raise DataError("arithmetic: " + "; ".join(wrong))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
