"""Questions of a benchmark in training data."""

from __future__ import annotations

import random
from typing import Any

from reasonrl.evaluation.contamination import WORDS, overlap, words_of
from verifiers.types import Problem

WORD_LIST = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


def problem(name: str, prompt: Any) -> Problem:
    return Problem(name, prompt, "math", {"answer": "1"})


def sentence(rng: random.Random, count: int) -> str:
    return " ".join(rng.choice(WORD_LIST) + str(rng.randint(0, 999)) for _ in range(count))


def test_copies_are_found_whatever_their_case_and_marks() -> None:
    rng = random.Random(1)
    texts = [sentence(rng, 30) for _ in range(20)]
    benchmark = [problem(str(n), text) for n, text in enumerate(texts)]
    copied = problem("t1", [{"role": "user", "content": texts[3].upper().replace(" ", ",  ") + "?"}])
    framed = problem("t2", f"Solve this. {' '.join(texts[7].split()[5 : 5 + WORDS])} And say why.")
    nearly = problem("t3", f"Solve this. {' '.join(texts[9].split()[5 : 4 + WORDS])} And say why.")
    found = overlap(benchmark, [copied, framed, nearly, problem("t4", sentence(rng, 30))])
    assert (found.same, found.shared, found.share) == (("3",), ("7",), 0.1)
    assert "10.0% of the questions" in found.text("set") and "first 3" in found.text("set")


def test_a_short_question_can_only_be_the_same() -> None:
    benchmark = [problem("a", "What is 2 + 2?"), problem("b", "What is 3 + 3?")]
    found = overlap(benchmark, [problem("t", "what is 2+2"), problem("u", "So, what is 3 + 3?")])
    assert found.same == ("a",) and found.shared == ()
    assert overlap(benchmark, []).text("set") == "set: no question repeats one of the training data"


def test_words_are_those_of_the_user() -> None:
    chat = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why ½_x?"}]
    assert words_of(problem("a", chat)) == ("why", "1", "2", "x")
