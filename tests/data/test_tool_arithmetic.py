"""The data source `tool_arithmetic`."""

from __future__ import annotations

from collections import Counter

import pytest

from reasonrl.data.expressions import canonical, evaluate
from reasonrl.data.tool_arithmetic import CALL, RESULT, TASK, UNREADABLE
from reasonrl.environments.tools.calculator import NotComputed, calculate
from reasonrl.errors import DataError
from reasonrl.models.tiny import TOOLS, build_tokenizer


def test_demonstrations_say_what_the_calculator_says() -> None:
    """Each result is that of the real tool: a policy must not be taught others."""
    seen: Counter[str] = Counter()
    for problem in TASK.problems({"size": 1500, "repeats": True, "called": 0.6, "careless": 0.5, "seed": 1}):
        turns = problem.reference["demonstration"]
        seen["called" if len(turns) == 3 else "direct"] += 1
        if len(turns) == 1:
            assert not problem.meta["called"]
            continue
        call, result, _ = turns
        expression = call["content"].removeprefix(CALL).strip()
        try:
            value = calculate(expression)
        except NotComputed as error:
            value = f"error: {error}"
            assert value == UNREADABLE
            seen["unreadable"] += 1
        assert result == {"role": "tool", "content": f"{RESULT}{value}\n"}
        assert (f"{expression}=\n" == problem.prompt) == (not problem.meta["careless"])
    assert seen["direct"] > 400 and seen["called"] > 700 and seen["unreadable"] > 100


def test_on_easy_sums_calls_are_right_and_most_direct_answers() -> None:
    seen: Counter[tuple[bool, bool]] = Counter()
    for problem in TASK.problems({"size": 3000, "slices": ["easy"], "repeats": True, "called": 0.5, "careless": 1.0}):
        assert not problem.meta["careless"]
        last = problem.reference["demonstration"][-1]["content"].strip()
        seen[problem.meta["called"], last == problem.reference["answer"]] += 1
    assert seen[True, True] > 1300 and not seen[True, False]
    assert 0.85 < seen[False, True] / (seen[False, True] + seen[False, False]) < 0.95


def test_slices_take_turns_and_answers_are_right() -> None:
    problems = TASK.problems({"size": 300, "repeats": True, "seed": 2})
    assert Counter(problem.meta["slice"] for problem in problems) == {"easy": 100, "hard": 100, "mixed": 100}
    for problem in problems:
        assert problem.reference["answer"] == str(evaluate(str(problem.prompt).strip().removesuffix("=")))
    lengths = {(problem.meta["slice"], len(problem.reference["answer"])) for problem in problems}
    assert lengths == {("easy", 3), ("hard", 7), ("mixed", 5)}, "each often enough to be learned"


def test_sides_of_the_split_share_no_expression() -> None:
    sides = [
        {
            canonical(str(problem.prompt).strip().removesuffix("="))
            for problem in TASK.problems({"size": size, "split": split, "slices": ["easy"], "seed": 1})
        }
        for split, size in (("train", 150), ("test", 30))
    ]
    assert not sides[0] & sides[1]


def test_every_character_is_a_token_of_the_small_model() -> None:
    tokenizer = build_tokenizer(TOOLS)
    for problem in TASK.problems({"size": 60, "repeats": True, "called": 1.0, "careless": 1.0, "seed": 3}):
        text = str(problem.prompt) + "".join(turn["content"] for turn in problem.reference["demonstration"])
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id not in ids and tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "size is missing"),
        ({"size": 0}, "size must be"),
        ({"size": 10, "slices": ["easy", "huge"]}, "slices must be a list of easy, hard, mixed"),
        ({"size": 10, "called": 2}, "called must be in"),
        ({"size": 10, "repeats": 1}, "repeats must be true or false"),
        ({"size": 10, "split": "dev"}, "split must be train or test"),
        ({"size": 10, "sliced": 1}, "sliced"),
        ({"size": 5000, "slices": ["easy"]}, "ask for fewer, or write repeats: true"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TASK.problems(options)
