"""Responses that hold the right answer and do not give it: two answers, denials, corrections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.verifiers.metamorphic.wording import inline

Put = Callable[[str, str, Random], str]


@dataclass(frozen=True, slots=True)
class Hedge:
    name: str
    put: Put
    """The right answer and a wrong one to a response that is wrong."""
    needs: frozenset[str]


HEDGES: list[Hedge] = []


def hedge(put: Put) -> Put:
    HEDGES.append(Hedge(put.__name__.replace("_", " "), put, frozenset({"one"})))
    return put


def _shuffled(right: str, wrong: str, rng: Random) -> list[str]:
    return rng.sample([inline(right), inline(wrong)], 2)


@hedge
def one_or_the_other(right: str, wrong: str, rng: Random) -> str:
    return "The answer is {}{} or {}.".format(rng.choice(["", "either "]), *_shuffled(right, wrong, rng))


@hedge
def one_and_the_other(right: str, wrong: str, rng: Random) -> str:
    return "The answer is {} and {}.".format(*_shuffled(right, wrong, rng))


@hedge
def another_is_possible_too(right: str, wrong: str, rng: Random) -> str:
    return rng.choice(
        [
            "The answer is {}, but {} is possible too.",
            "The answer is {}, though it might be {}.",
            "The answer is {} (or {} if the last day counts).",
            "The answer is {}, or perhaps {}.",
            "The answer is {}, unless the first one counts, then {}.",
        ]
    ).format(*_shuffled(right, wrong, rng))


@hedge
def the_right_one_denied(right: str, wrong: str, rng: Random) -> str:
    return rng.choice(
        ["The answer is {1}, not {0}.", "The answer is {1} and not {0}.", "The answer is {1} instead of {0}."]
    ).format(inline(right), inline(wrong))


@hedge
def not_the_answer(right: str, wrong: str, rng: Random) -> str:
    return rng.choice(["The answer is not {}.", "The answer isn't {}.", "The answer cannot be {}."]).format(
        inline(right)
    )


@hedge
def two_boxes(right: str, wrong: str, rng: Random) -> str:
    one, two = rng.sample([right, wrong], 2)
    between = rng.choice([" or ", "\n\nAlternatively, ", ", ", " ", "\n"])
    return f"\\boxed{{{one}}}{between}\\boxed{{{two}}}"


@hedge
def two_in_one_box(right: str, wrong: str, rng: Random) -> str:
    one, two = rng.sample([right, wrong], 2)
    return rng.choice(["\\boxed{{{} \\text{{ or }} {}}}", "\\boxed{{{}, {}}}", "\\boxed{{\\{{{}, {}\\}}}}"]).format(
        one, two
    )


@hedge
def two_tags(right: str, wrong: str, rng: Random) -> str:
    one, two = rng.sample([right, wrong], 2)
    return rng.choice(
        ["<answer>{}</answer>\n<answer>{}</answer>", "<answer>{} or {}</answer>", "#### {}\n#### {}"]
    ).format(one, two)


@hedge
def corrected_to_the_wrong_one(right: str, wrong: str, rng: Random) -> str:
    return rng.choice(
        [
            "\\boxed{{{0}}} double counts one edge. The corrected answer is \\boxed{{{1}}}.",
            "<think>It is \\boxed{{{0}}}.</think>\nThe answer is \\boxed{{{1}}}.",
            "Answer: {0}\n\nWait, an edge was counted twice.\n\nAnswer: {1}",
        ]
    ).format(right, wrong)


@hedge
def cut_off(right: str, wrong: str, rng: Random) -> str:
    return rng.choice(
        ["\\boxed{{{0}}}. Let me write that again: \\boxed{{", "So we get \\boxed{{{0}", "<think>So \\boxed{{{0}}}, or"]
    ).format(right)
