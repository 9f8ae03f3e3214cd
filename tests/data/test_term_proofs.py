"""The data source `term_proofs`: propositions, proofs that are drawn, and what the kernel says of them."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.data.load import load_problems
from reasonrl.data.propositions import (
    FALSE,
    Proposition,
    atoms,
    both,
    draw_proof,
    draw_proposition,
    either,
    implies,
    renamed,
    statement,
    with_a_mistake,
)
from reasonrl.data.term_proofs import ATOMS, term_proofs
from reasonrl.errors import DataError
from reasonrl.models.tiny import PROOFS, build_tokenizer
from tests.verifiers.lean.conftest import need_kernel
from verifiers.loading import load_verifier


@pytest.mark.parametrize(
    ("proposition", "text"),
    [
        (implies("p", implies("q", "p")), "p → q → p"),
        (implies(implies("p", "q"), "p"), "(p → q) → p"),
        (both(either("p", FALSE), "q"), "And (Or p False) q"),
        (implies(both("p", "q"), both("q", "p")), "And p q → And q p"),
        (either(implies("p", "q"), "r"), "Or (p → q) r"),
    ],
)
def test_a_statement_is_written_with_the_brackets_that_it_needs(proposition: Proposition, text: str) -> None:
    assert statement(proposition) == text


@given(st.integers(0, 10_000), st.integers(0, 8))
def test_different_propositions_have_different_texts(seed: int, connectives: int) -> None:
    rng = random.Random(seed)
    first, second = (draw_proposition(rng, connectives, ATOMS, 0.1) for _ in range(2))
    assert (statement(first) == statement(second)) is (first == second)
    assert set(atoms(first)) <= set(ATOMS)


@pytest.mark.parametrize(
    "proposition",
    [
        "p",
        FALSE,
        implies("p", "q"),
        implies(either("p", "q"), both("p", "q")),
        implies(implies(implies("p", "q"), "p"), "p"),  # Peirce's law: classical alone
        either("p", implies("p", FALSE)),  # the excluded middle
        implies(implies(implies("p", FALSE), FALSE), "p"),
    ],
)
def test_what_has_no_intuitionistic_proof_gets_none(proposition: Proposition) -> None:
    assert all(draw_proof(proposition, random.Random(seed)) is None for seed in range(20))


def test_many_proofs_of_one_statement_are_drawn() -> None:
    rng = random.Random(0)
    goal = implies(either("q", "r"), either(either(implies(implies("r", FALSE), "q"), "r"), "p"))
    assert len({draw_proof(goal, rng) for _ in range(60)} - {None}) >= 4


def test_no_side_of_the_split_knows_the_other_even_with_other_names() -> None:
    def forms(split: str) -> set[str]:
        problems = term_proofs({"size": 150, "split": split, "seed": 3})
        return {canonical(problem.reference["statement"]) for problem in problems}

    def canonical(text: str) -> str:
        body = text.partition(" : Prop) : ")[2].removesuffix(" := sorry")
        names: dict[str, str] = {}
        for atom in re.findall(r"\b[pqr]\b", body):
            names.setdefault(atom, ATOMS[len(names)] if len(names) < len(ATOMS) else "")
        return re.sub(r"\b[pqr]\b", lambda match: names[match.group()], body)

    train, test = forms("train"), forms("test")
    assert len(train) == len(test) == 150
    assert not train & test


def test_the_same_options_give_the_same_problems_and_a_seed_gives_others() -> None:
    options: dict[str, Any] = {"size": 20, "repeat": 2, "careless": 0.5}
    assert term_proofs(dict(options), seed=1) == term_proofs(dict(options), seed=1)
    assert term_proofs(dict(options), seed=1) != term_proofs(dict(options), seed=2)


def test_a_careless_demonstration_differs_in_one_word() -> None:
    problems = term_proofs({"size": 100, "careless": 1.0}, seed=1)
    changed = 0
    for problem in problems:
        right, written = (str(problem.reference[name]).split() for name in ("proof", "demonstration"))
        assert len(right) == len(written)
        changed += sum(a != b for a, b in zip(right, written, strict=True))
        assert sum(a != b for a, b in zip(right, written, strict=True)) <= 1
    assert changed > 90
    assert with_a_mistake("fun h1 => h1", random.Random(0)) == "fun h1 => h1"


def test_statements_and_proofs_are_a_few_known_tokens() -> None:
    tokenizer = build_tokenizer(PROOFS)
    for problem in term_proofs({"size": 100, "repeat": 2}, seed=2):
        prompt, answer = (tokenizer(text)["input_ids"] for text in (problem.prompt, problem.reference["demonstration"]))
        assert tokenizer.unk_token_id not in [*prompt, *answer]
        assert len(prompt) < 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "size is missing"),
        ({"size": 0}, "size must be"),
        ({"size": 5, "connectives": [4, 3]}, "connectives must be"),
        ({"size": 5, "careless": 2}, "careless must be"),
        ({"size": 5, "splitt": "test"}, "splitt"),
        ({"size": 100_000, "connectives": [1, 1]}, "different propositions"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_problems("term_proofs", options=options)


def test_renaming_is_a_substitution() -> None:
    assert renamed(implies("p", both("q", FALSE)), {"p": "q", "q": "p"}) == implies("q", both("p", FALSE))


@pytest.mark.sandbox
def test_the_kernel_accepts_what_is_drawn_and_no_proof_of_another_statement() -> None:
    need_kernel()
    problems = term_proofs({"size": 8, "connectives": [4, 6]}, seed=7)
    references = [problem.reference for problem in problems]
    proofs = [problem.reference["demonstration"] for problem in problems]
    verifier = load_verifier("lean", mode="whole", backend="bundled")
    try:
        assert all(verdict.correct is True for verdict in verifier.verify(proofs, references))
        others = verifier.verify([*proofs[1:], proofs[0]], references)
        assert sum(verdict.correct is False for verdict in others) >= 6  # a short proof may fit another statement
        assert all(verdict.correct is not None for verdict in others)
    finally:
        verifier.close()  # type: ignore[attr-defined]
