"""The source `programs`: functions, their values, and the forms that a program can have."""

from __future__ import annotations

import ast
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.data.checks import contradicting, shared_prompts
from reasonrl.data.load import load_problems
from reasonrl.data.program_trees import Op, Tree, rewritten, size, text, total, value, with_a_mistake
from reasonrl.errors import DataError
from reasonrl.models.tiny import PROGRAMS, build_tokenizer
from verifiers.types import Problem

leaves = st.one_of(st.sampled_from(["x", "y"]), st.integers(1, 6))


def _larger(trees: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    condition = st.builds(
        lambda name, a, b: Op(name, (a, b)), st.sampled_from(["<", ">", "<=", "==", "!="]), trees, trees
    )
    return st.one_of(
        st.builds(lambda name, a, b: Op(name, (a, b)), st.sampled_from(["+", "-", "*", "max", "min"]), trees, trees),
        st.builds(lambda name, a, b: Op(name, (a, b)), st.sampled_from(["//", "%"]), trees, st.integers(2, 3)),
        st.builds(lambda name, a: Op(name, (a,)), st.sampled_from(["abs", "negative"]), trees),
        st.builds(lambda a, b: Op("abs", (Op("-", (a, b)),)), trees, trees),
        st.builds(lambda a, b, c: Op("if", (a, b, c)), condition, trees, trees),
    )


trees = st.recursive(leaves, _larger, max_leaves=8)


def python_value(tree: Tree, x: int, y: int) -> Any:
    return eval(text(tree), {"__builtins__": {}, "max": max, "min": min, "abs": abs}, {"x": x, "y": y})


@given(trees, st.integers(-9, 9), st.integers(-9, 9))
def test_the_text_of_a_tree_has_the_value_of_the_tree_in_python(tree: Tree, x: int, y: int) -> None:
    assert python_value(tree, x, y) == value(tree, {"x": x, "y": y})


@given(trees, st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 99))
def test_a_rewritten_tree_is_the_same_function(tree: Tree, x: int, y: int, seed: int) -> None:
    other = rewritten(tree, random.Random(seed))
    assert python_value(other, x, y) == value(tree, {"x": x, "y": y})


@given(trees, st.integers(0, 99))
def test_a_mistake_changes_one_place_and_leaves_a_program(tree: Tree, seed: int) -> None:
    wrong = with_a_mistake(tree, random.Random(seed))
    assert wrong != tree
    assert abs(size(wrong) - size(tree)) <= max(1, size(tree))
    ast.parse(text(wrong))


def test_the_mistakes_of_a_product() -> None:
    rng = random.Random(0)
    mistakes = {text(with_a_mistake(Op("-", ("x", Op("*", (2, "y")))), rng)) for _ in range(200)}
    assert mistakes == {
        *("x + 2 * y", "x", "2 * y", "x + 1 - 2 * y", "x - 1 - 2 * y"),
        *("x - 2", "x - y", "x - 1 * y", "x - 3 * y", "x - 2 * (y + 1)", "x - 2 * (y - 1)"),
    }


def test_a_text_has_no_brackets_that_it_does_not_need() -> None:
    difference = Op("-", ("x", Op("-", ("y", 1))))
    assert text(difference) == "x - (y - 1)"
    assert text(Op("-", (Op("-", ("x", "y")), 1))) == "x - y - 1"
    assert text(Op("*", (2, Op("if", (Op("<", ("x", "y")), "x", difference))))) == "2 * (x if x < y else x - (y - 1))"
    assert text(Op("**", (Op("negative", ("x",)), 2))) == "(-x) ** 2"
    assert size(difference) == 2


def test_a_sum_of_terms_begins_with_the_sign_of_its_first() -> None:
    assert text(total([(1, "x"), (-1, 2)])) == "x - 2"
    assert text(total([(-1, Op("*", (2, "x"))), (1, "y"), (-1, 3)])) == "-(2 * x) + y - 3"
    assert total([(-1, 4)]) == -4


def test_a_maximum_has_several_forms() -> None:
    rng = random.Random(0)
    forms = {text(rewritten(Op("max", ("x", "y")), rng)) for _ in range(50)}
    assert forms == {"max(x, y)", "max(y, x)", "x if x > y else y", "y if x < y else x"}


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_demonstration_gives_the_values_that_are_shown_and_the_hidden_ones(split: str) -> None:
    problems = load_problems("programs", split=split, options={"size": 150, "repeat": 2})
    assert len({problem.id for problem in problems}) == 300
    for problem in problems:
        namespace: dict[str, Any] = {}
        exec(problem.reference["demonstration"], namespace)
        tests = problem.reference["tests"]
        assert [namespace["f"](*arguments) for arguments in tests["inputs"]] == tests["outputs"]
        for line, arguments, output in zip(
            problem.prompt.splitlines(), tests["inputs"], tests["outputs"], strict=False
        ):
            assert line == f"f({', '.join(map(str, arguments))}) == {output}"
        assert len(tests["inputs"]) == 18


def failures(problem: Problem, program: str) -> int:
    """Of how many shown values the program misses."""
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    tests = problem.reference["tests"]
    return sum(
        namespace["f"](*given) != out for given, out in list(zip(tests["inputs"], tests["outputs"], strict=True))[:8]
    )


def test_careless_demonstrations_miss_a_shown_value_and_the_solution_stays_right() -> None:
    problems = load_problems("programs", options={"size": 400, "careless": 0.4})
    careless = [problem for problem in problems if problem.meta["careless"]]
    assert 0.3 < len(careless) / 400 < 0.5
    for problem in problems:
        assert (failures(problem, problem.reference["demonstration"]) > 0) == problem.meta["careless"]
        assert failures(problem, problem.reference["solution"]) == 0


def test_the_functions_are_the_same_however_many_demonstrations_they_have() -> None:
    plain = load_problems("programs", options={"size": 40})
    careless = load_problems("programs", options={"size": 40, "careless": 0.5, "repeat": 2})
    assert [problem.prompt for problem in plain] == [problem.prompt for problem in careless[::2]]


def test_no_prompt_is_on_both_sides_and_repeated_functions_have_no_solution_to_be_run() -> None:
    train = load_problems("programs", split="train", options={"size": 400, "repeat": 3})
    test = load_problems("programs", split="test", options={"size": 150, "seed": 5})
    assert shared_prompts(train, test) == []
    assert not any("solution" in problem.reference for problem in train)
    assert all(problem.reference["solution"] == problem.reference["demonstration"] for problem in test)
    assert len({problem.prompt for problem in train}) == 400
    assert contradicting(train) == []


@pytest.mark.parametrize("shown", [5, 8])
def test_what_is_wrapped_can_be_seen_in_the_shown_values(shown: int) -> None:
    problems = load_problems("programs", options={"size": 150, "wrapped": 1.0, "shown": shown})
    checked = 0
    for problem in problems:
        tests = problem.reference["tests"]
        body = ast.parse(problem.reference["demonstration"].split("return ")[1].strip(), mode="eval").body
        if not (isinstance(body, ast.Call) and isinstance(body.func, ast.Name)):
            continue  # written as a conditional expression
        assert body.func.id in ("abs", "max", "min")
        for operand in body.args:
            function = eval(f"lambda x, y=0: {ast.unparse(operand)}")
            values = [function(*arguments) for arguments in tests["inputs"][:shown]]
            assert tests["outputs"][:shown] not in (values, [-value for value in values])
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("shown", [3, 8])
def test_fewer_shown_values_leave_no_prompt_on_both_sides(shown: int) -> None:
    train = load_problems("programs", split="train", options={"size": 60, "shown": shown})
    test = load_problems("programs", split="test", options={"size": 20, "shown": shown, "seed": 5})
    assert shared_prompts(train, test) == []
    assert len({problem.prompt for problem in train}) == 60


def test_a_smaller_size_gives_the_first_problems_of_a_larger_one() -> None:
    few, many = (load_problems("programs", options={"size": count}) for count in (20, 60))
    assert many[:20] == few


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the option size is missing; write the number of functions"),
        ({"size": 0}, "size must be a whole number from 1 to 10,000,000, not 0"),
        ({"size": 5, "repeat": True}, "repeat must be a whole number from 1"),
        ({"size": 5, "wrapped": 1.5}, r"wrapped must be in \[0, 1\], not 1.5"),
        ({"size": 5, "arguments": [2, 1]}, r"arguments must be 1, 2 or \[1, 2\], not \[2, 1\]"),
        ({"size": 5, "shown": 9}, "shown must be a whole number from 1 to 8, not 9"),
        ({"size": 5, "hidden": 0}, "hidden must be a whole number from 1 to 20, not 0"),
        ({"size": 5, "split": "dev"}, "split must be train or test, not 'dev'"),
        ({"size": 5, "test_share": "half"}, "test_share must be in"),
        ({"size": 5, "seed": "one"}, "seed must be a whole number, not 'one'"),
        ({"size": 5, "wraped": 1}, "Did you mean 'wrapped'"),
        (
            {"size": 500, "arguments": 1, "wrapped": 0.0},
            "there are only about .* different functions of 500. Ask for fewer",
        ),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_problems("programs", options=options)


def test_the_tokenizer_of_tiny_programs_gives_one_token_to_each_number_and_operator() -> None:
    tokenizer = build_tokenizer(PROGRAMS)
    problem = load_problems("programs", options={"size": 1, "arguments": 2})[0]
    whole = problem.prompt + problem.reference["demonstration"]
    ids = tokenizer(whole)["input_ids"]
    assert tokenizer.decode(ids) == whole
    assert tokenizer.unk_token_id not in ids
    assert len(tokenizer("def f(x, y): return -17 + x // 2 - 5\n")["input_ids"]) == 9
