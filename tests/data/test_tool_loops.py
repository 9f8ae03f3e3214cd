"""The data source `tool_loops`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from reasonrl.data.load import load_problems
from reasonrl.data.tool_loops import TASK
from reasonrl.environments.tools.formats import FencedFormat
from reasonrl.environments.tools.python import PythonTool, result_of
from reasonrl.errors import DataError
from reasonrl.models.tiny import TOOLS, build_tokenizer
from verifiers.sandbox.types import Stdin


def made(**options: Any) -> Any:
    return TASK.problems({"size": 120, "repeats": True, "seed": 5} | options)


def test_careful_programs_print_the_answer_in_the_sandbox() -> None:
    """What the demonstration says that the tool prints is what it prints, of right programs and of wrong ones."""
    tool, texts = PythonTool(), FencedFormat([PythonTool()])
    wrong = 0
    for problem in made(called=1.0, careless=0.5, size=60):
        call, shown, answer = (turn["content"] for turn in problem.reference["demonstration"])
        (written,) = texts.read(call.removesuffix("```output")).calls
        (outcome,) = tool.sandbox.run(written.arguments["code"], [Stdin()], tool.limits)
        printed = result_of(outcome, tool.limits).text
        assert shown.strip().removesuffix("```").strip().partition(":")[0] == printed.partition(":")[0]
        if not problem.meta["careless"]:
            assert printed == answer == problem.reference["answer"]
        wrong += printed != problem.reference["answer"]
    assert 10 < wrong < 50, "careless programs are mostly wrong"


def test_every_token_is_known_and_a_program_is_short() -> None:
    tokenizer = build_tokenizer(TOOLS)
    for problem in made(called=1.0, careless=0.3):
        for turn in problem.reference["demonstration"]:
            ids = tokenizer(turn["content"], add_special_tokens=False)["input_ids"]
            assert tokenizer.unk_token_id not in ids and len(ids) < 64
            assert tokenizer.decode(ids) == turn["content"]


def test_the_sides_share_no_question_and_slices_take_turns() -> None:
    train, test = ({p.prompt for p in made(split=split, size=600)} for split in ("train", "test"))
    assert not train & test
    names = [problem.prompt.split()[0] for problem in made(size=6)]
    assert names == ["digits", "primes", "multiples"] * 2
    sides = {tuple(sorted(re.findall(r"\d+", prompt))) for prompt in train if prompt.startswith("multiples")}
    others = {tuple(sorted(re.findall(r"\d+", prompt))) for prompt in test if prompt.startswith("multiples")}
    assert not sides & others, "of 3 or 5 and of 5 or 3 is one question"


def test_it_is_a_source_of_recipes_and_refuses_other_options() -> None:
    assert len(load_problems("tool_loops", options={"size": 3, "repeats": True})) == 3
    with pytest.raises(DataError, match="slices must be a list of digits, primes, multiples"):
        made(slices=["squares"])
