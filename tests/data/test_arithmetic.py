"""The generator and the chains of integers that it makes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reasonrl.data.arithmetic as module
from reasonrl.data.arithmetic import arithmetic, arithmetic_from_options
from reasonrl.data.expressions import canonical, evaluate, operands, side, signed_terms
from reasonrl.errors import DataError

numbers = st.integers(-99, 99)
chains = st.lists(st.tuples(st.sampled_from("+-*"), numbers), min_size=1, max_size=6)


def write(number: int) -> str:
    return str(number) if number >= 0 else f"({number})"


def text_of(chain: list[tuple[str, int]]) -> str:
    return write(chain[0][1]) + "".join(f" {join} {write(number)}" for join, number in chain[1:])


def shuffled(text: str, rng: random.Random) -> str:
    """The same chain with its additive terms and the factors in them in another order; the first term must be a
    positive one.
    """
    terms = signed_terms(text)
    first = rng.choice([index for index, (sign, _) in enumerate(terms) if sign > 0])
    rest = [term for index, term in enumerate(terms) if index != first]
    rng.shuffle(rest)
    out = ""
    for sign, factors in [terms[first], *rest]:
        rng.shuffle(factors)
        product = " * ".join(map(write, factors))
        out += (" + " if sign > 0 else " - ") + product if out else product
    return out


@given(chains)
def test_evaluate_is_what_python_says(chain: list[tuple[str, int]]) -> None:
    text = text_of(chain)
    assert evaluate(text) == eval(text)
    assert operands(text) == [number for _, number in chain]


@pytest.mark.parametrize(
    "text",
    ["", "+", "3 +", "3 4", "3 ** 4", "(3 + 4)", "3 / 4", "-3 + 4", "__import__('os')", "3 + 4;", "٣ + 4", "1_0"],
)
def test_evaluate_refuses_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match="not a chain"):
        evaluate(text)


@given(chains, st.randoms(use_true_random=False))
def test_commuted_chains_have_one_canonical_form_value_and_side(
    chain: list[tuple[str, int]], rng: random.Random
) -> None:
    text = text_of(chain)
    other = shuffled(text, rng)
    assert canonical(other) == canonical(text)
    assert (
        evaluate(other)
        == evaluate(text)
        == evaluate(canonical(text).lstrip("+") if canonical(text)[0] == "+" else "0 " + canonical(text))
    )
    assert side(other) == side(text)


def test_different_chains_differ_in_canonical_form() -> None:
    assert canonical("3 + 4 * 2") == canonical("2 * 4 + 3")
    assert canonical("7 - 5") == canonical("7 + (-5)")
    assert len({canonical(text) for text in ("7 - 5", "5 - 7", "7 + 5", "7 * 5", "75", "3 + 4 * 2", "3 * 4 + 2")}) == 7


@pytest.mark.parametrize("seeds", [(0, 0), (1, 2)])
def test_train_and_test_share_nothing_up_to_commutation(seeds: tuple[int, int]) -> None:
    train = arithmetic(size=3000, seed=seeds[0], split="train")
    test = arithmetic(size=800, seed=seeds[1], split="test")
    assert not {canonical(p.prompt) for p in train} & {canonical(p.prompt) for p in test}
    assert len({p.prompt for p in train}) == len({p.id for p in train}) == 3000


def test_the_whole_space_is_found_and_the_error_counts_it() -> None:
    both = {s: {p.prompt for p in arithmetic(size=n, terms=2, high=4, split=s)} for s, n in count_sides().items()}
    assert both["train"] | both["test"] == {f"{a} {o} {b}" for a in range(5) for b in range(5) for o in "+-"}
    with pytest.raises(DataError, match=f"only {len(both['test'])} different expressions on the test side"):
        arithmetic(size=51, terms=2, high=4, split="test")


def count_sides() -> dict[str, int]:
    return dict(Counter(side(f"{a} {o} {b}") for a in range(5) for b in range(5) for o in "+-"))


@pytest.mark.parametrize("balance", [None, "terms", "result"])
@pytest.mark.parametrize("high", [9, 999])
def test_sizes_nest_and_seeds_differ(balance: str | None, high: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 500)
    big = arithmetic(size=400, high=high, seed=3, balance=balance)
    assert arithmetic(size=60, high=high, seed=3, balance=balance) == big[:60]
    assert arithmetic(size=400, high=high, seed=3, balance=balance) == big
    assert arithmetic(size=400, high=high, seed=4, balance=balance) != big


def test_problems_are_what_they_say() -> None:
    for problem in arithmetic(size=300, operations="+-*", terms=(2, 4), low=-3, high=12, seed=5):
        assert problem.reference == {"answer": str(eval(problem.prompt))}
        assert problem.kind == "math" and problem.meta == {
            "expression": problem.prompt,
            "terms": len(operands(problem.prompt)),
        }
        assert 2 <= problem.meta["terms"] <= 4 and all(-3 <= number <= 12 for number in operands(problem.prompt))


def test_bounds_on_results() -> None:
    assert all(2 <= evaluate(p.prompt) <= 5 for p in arithmetic(size=200, min_result=2, max_result=5))
    for problem in arithmetic(size=200, terms=3, allow_negative=False):
        a, b, c = operands(problem.prompt)
        first, second = problem.prompt.split()[1::2]
        partial = a + b if first == "+" else a - b
        assert partial >= 0 and (partial + c if second == "+" else partial - c) >= 0


def test_balance_mixes_evenly() -> None:
    lengths = Counter(p.meta["terms"] for p in arithmetic(size=200, terms=(2, 3), balance="terms"))
    assert lengths == {2: 100, 3: 100}
    results = Counter(
        evaluate(p.prompt) for p in arithmetic(size=190, terms=3, min_result=0, max_result=18, balance="result")
    )
    assert results == dict.fromkeys(range(19), 10)
    large = Counter(p.meta["terms"] for p in arithmetic(size=100, terms=(2, 5), high=99, balance="terms"))
    assert large == dict.fromkeys(range(2, 6), 25)


def test_what_has_run_out_leaves_its_turns_to_the_rest() -> None:
    lengths = Counter(p.meta["terms"] for p in arithmetic(size=1000, terms=(2, 3), balance="terms"))
    assert lengths[2] == sum(side(f"{a} {o} {b}") == "train" for a in range(10) for b in range(10) for o in "+-")
    assert sum(lengths.values()) == 1000


def test_a_sampled_space_is_also_exhausted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {p.prompt for p in arithmetic(size=826, split="test")}
    monkeypatch.setattr(module, "ENUMERATE_UP_TO", 10)
    assert {p.prompt for p in arithmetic(size=826, split="test")} == everything
    with pytest.raises(DataError, match="only 826 different"):
        arithmetic(size=827, split="test")


def test_a_space_too_large_to_list_says_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MISSES", 500)
    with pytest.raises(DataError, match="found only 0 different expressions on the train side"):
        arithmetic(size=1, terms=5, operations="*", high=99, min_result=3, max_result=3)


def test_every_wrong_argument_is_named_at_once() -> None:
    with pytest.raises(DataError) as caught:
        arithmetic(size=1, operations="+/", terms=(3, 2), low=5, high=1, split="dev", test_share=2)
    for word in ("operations", "terms", "low and high", "split", "test_share"):
        assert word in str(caught.value)
    with pytest.raises(DataError, match="size must be a whole number"):
        arithmetic(size=0)


def test_options_of_a_recipe() -> None:
    assert arithmetic_from_options({"size": 3, "terms": [2, 2]}) == arithmetic(size=3, terms=2)
    with pytest.raises(DataError, match=r"unknown option 'operation'\. Did you mean 'operations'\?"):
        arithmetic_from_options({"size": 3, "operation": "+"})
    with pytest.raises(DataError, match="option size is missing"):
        arithmetic_from_options({})
