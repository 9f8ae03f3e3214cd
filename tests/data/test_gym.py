"""Problems from reasoning-gym: importing the package takes about 2 s, so these tests stand apart."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from reasonrl.data import from_verl, load_problems, shared_prompts, to_verl
from reasonrl.errors import DataError

pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed")


def load(split: str | None = None, limit: int | None = None, seed: int = 0, **options: Any) -> Any:
    return load_problems("reasoning_gym", options=options, split=split, limit=limit, seed=seed)


def test_problems_are_the_packages_own_rows() -> None:
    import reasoning_gym

    theirs = reasoning_gym.create_dataset("chain_sum", size=20, seed=3, max_terms=3)
    problems = load(dataset="chain_sum", size=20, seed=3, max_terms=3)
    assert [p.prompt for p in problems] == [row["question"] for row in theirs]
    for problem in problems:
        assert problem.kind == "reasoning_gym" and problem.reference["dataset"] == "chain_sum"
        assert theirs.score_answer(problem.reference["entry"]["answer"], problem.reference["entry"]) == 1.0
        assert json.loads(json.dumps(problem.reference)) == problem.reference
    assert len({p.id for p in problems}) == 20
    assert from_verl(to_verl(problems)) == problems
    assert load(dataset="chain_sum", size=20, seed=3, max_terms=3, limit=4) == problems[:4]


def test_the_seed_is_that_of_the_options_or_of_the_call() -> None:
    made = load_problems("reasoning_gym", options={"dataset": "gcd", "size": 3}, seed=5)
    assert made == load_problems("reasoning_gym", options={"dataset": "gcd", "size": 3, "seed": 5}, seed=6)
    assert made != load_problems("reasoning_gym", options={"dataset": "gcd", "size": 3}, seed=6)


def test_splits_share_no_question() -> None:
    small = {"dataset": "chain_sum", "max_terms": 2, "max_digits": 1}
    assert shared_prompts(load(size=300, seed=1, **small), load(size=100, seed=2, **small))  # why a split is needed
    train, test = load("train", size=300, seed=1, **small), load("test", size=100, seed=2, **small)
    assert len(train) == 300 and len(test) == 100 and not shared_prompts(train, test)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dataset": "chain_sums"}, "dataset='chain_sums'. Did you mean 'chain_sum'?"),
        ({}, "options need the name of a data set"),
        ({"dataset": "composite"}, "options need the name of a data set"),
        (
            {"dataset": "chain_sum", "min_term": 2},
            "unknown option 'min_term'. Did you mean 'min_terms'? Options: dataset, min_terms",
        ),
        ({"dataset": "chain_sum", "min_terms": 0}, "min_terms must be positive"),
        ({"dataset": "chain_sum", "min_terms": "two"}, "not supported between instances"),
        ({"dataset": "chain_sum", "size": 0}, "size must be a whole number from 1"),
    ],
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(**options)
    assert said in str(caught.value)


def test_wrong_split_and_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="split must be train or test, not 'dev'"):
        load("dev", dataset="chain_sum", size=2)
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    with pytest.raises(DataError, match="pip install reasoning-gym"):
        load(dataset="chain_sum", size=2)
