"""Every format: what it reads, what it refuses to read, and that it reads what it writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.formats import FORMATS, load_format
from critics.formats.base import judgement_word, settle
from critics.formats.overall_judgment import OverallJudgment
from critics.types import Critique, Judgement, Solution
from verifiers.types import Problem

CORRECT, INCORRECT = Judgement.CORRECT, Judgement.INCORRECT
PROBLEM = Problem(
    "p", [{"role": "user", "content": "12 + 7 - 5"}], "critique", {"answer": "14"}, meta={"question": "12 + 7 - 5"}
)
STEPS = ("12 + 7 = 19", "19 - 5 = 13")
WRONG = Solution("p", "\n".join(STEPS), STEPS, "13", False, 1)
RIGHT = Solution("p", "12 + 7 = 19\n19 - 5 = 14", ("12 + 7 = 19", "19 - 5 = 14"), "14", True, -1)
EVERY = [(name, {}) for name in FORMATS] + [
    ("boxed_index", {"first_index": 1}),
    ("conclusion", {"style": "sentence"}),
    ("long_cot", {"needs_thinking": True}),
]


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize(("solution", "judgement"), [(WRONG, INCORRECT), (RIGHT, CORRECT)])
def test_reads_what_it_writes(name: str, options: dict[str, Any], solution: Solution, judgement: Judgement) -> None:
    form = load_format(name, **options)
    text = form.write(solution, ["", "19 - 5 = 14"])
    for written in (text, f"<think>{'Correct Incorrect Wrong'}</think>\n{text}"):
        read = form.parse(written, 2)
        assert (read.judgement, read.parse_status) == (judgement, "ok"), written
        if read.first_error is not None:
            assert read.first_error == solution.first_error


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_says_nothing_of_nothing(name: str, options: dict[str, Any]) -> None:
    form = load_format(name, **options)
    for text in (
        "",
        "   ",
        "I do not know.",
        "<think>Correctness of the final answer: Correct <Answer>Correct</Answer> \\boxed{1}",
    ):
        assert form.parse(text, 2).parse_status == "missing", text


@pytest.mark.parametrize(("name", "options"), EVERY)
@given(text=st.text(max_size=300))
def test_never_raises(name: str, options: dict[str, Any], text: str) -> None:
    load_format(name, **options).parse(text, 2)


PIECES = [
    "Correctness of the final answer: ",
    "Correctness of the step: ",
    "Step sentence: ",
    "Explanation: ",
    "Correct",
    "Wrong",
    "Incorrect",
    "<Answer>",
    "</Answer>",
    "\\boxed{",
    "}",
    "-1",
    "0",
    "1",
    "7",
    "{",
    '{"is_correct": ',
    '"Correct"',
    "\\conclusion{",
    "T",
    "F",
    "Conclusion: ",
    "[END]",
    "Judgement: ",
    "Overall judgment: ",
    "<think>",
    "</think>",
    "\n",
    " ",
    "```json\n",
    "```",
]


@pytest.mark.parametrize(("name", "options"), EVERY)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=25))
def test_a_judgement_exists_exactly_when_it_was_read(name: str, options: dict[str, Any], pieces: list[str]) -> None:
    read = load_format(name, **options).parse("".join(pieces), 2)
    assert (read.judgement is not None) == (read.parse_status == "ok")
    assert read.first_error is None or -1 <= read.first_error < 2
    assert all(step.index < 2 for step in read.steps)


@pytest.mark.parametrize(("name", "options"), EVERY)
def test_asks_with_everything_the_critic_needs(name: str, options: dict[str, Any]) -> None:
    form = load_format(name, **options)
    (message,) = form.render(PROBLEM, WRONG)
    for part in ("12 + 7 - 5", "12 + 7 = 19", "19 - 5 = 13", form.instruction):
        assert part in message["content"], part
    turns = form.refine_messages(PROBLEM, WRONG, form.parse(form.write(WRONG, ["", "look again"]), 2))
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert (
        turns[0]["content"] == "12 + 7 - 5"
        and turns[1]["content"] == WRONG.text
        and form.refine_instruction in turns[2]["content"]
    )


def test_step_sentence_reads_steps() -> None:
    form = load_format("step_sentence")
    read = form.parse(form.write(WRONG, ["", "19 - 5 = 14"]), 2)
    assert [(s.index, s.judgement, s.comment) for s in read.steps] == [(0, CORRECT, ""), (1, INCORRECT, "19 - 5 = 14")]
    assert read.feedback.startswith("Step sentence: 12 + 7 = 19")
    # The final answer may be called wrong though no step is: both are kept as they were said.
    steps = "".join(f"Step sentence: {name}\nCorrectness of the step: Correct\n" for name in "ab")
    text = f"{steps}Correctness of the final answer: Wrong"
    assert form.parse(text, 2).first_error == -1 and form.parse(text, 2).judgement is INCORRECT
    assert form.parse(text, 3).first_error is None, "a step that is not judged may be the wrong one"
    assert form.parse(text, 1).steps == (), "there are not that many steps"
    unread = form.parse("Step sentence: a\nCorrectness of the step: maybe\nCorrectness of the final answer: Correct", 1)
    assert unread.steps[0].judgement is None and unread.first_error is None and unread.judgement is CORRECT


def test_answer_tag_shows_the_last_step_apart() -> None:
    form = load_format("answer_tag")
    text = form.render(PROBLEM, WRONG)[0]["content"]
    assert text.index("12 + 7 = 19") < text.index("Last step") < text.index("19 - 5 = 13")
    first = Solution("p", "12 + 7 = 19", ("12 + 7 = 19",))
    assert "There are none" in form.render(PROBLEM, first)[0]["content"]
    assert form.parse("<Answer> Correct </Answer>").judgement is CORRECT, (
        "the official reader drops this one for its spaces"
    )
    assert form.parse("<Answer>Correct</Answer> <Answer>Incorrect</Answer>").parse_status == "conflict"
    assert (
        form.parse("<Answer>Correct").parse_status == "malformed"
        and form.parse("<Answer>yes</Answer>").parse_status == "malformed"
    )
    assert form.parse("<Answer>Incorrect</Answer>", 2).first_error == 1


@pytest.mark.parametrize(
    ("text", "status", "index"),
    [
        ("\\boxed{1}", "ok", 1),
        ("\\boxed{-1}", "ok", -1),
        ("\\boxed{0} then \\boxed{1}", "ok", 1),
        ("\\boxed{\\text{1}}", "ok", 1),
        ("\\boxed{\\frac{1}{2}}", "malformed", None),
        ("\\boxed{2}", "malformed", None),
        ("\\boxed{-2}", "malformed", None),
        ("\\boxed{1} \\boxed{0", "malformed", None),
        ("the first is 1", "missing", None),
        ("\\boxed{}", "malformed", None),
    ],
)
def test_boxed_index(text: str, status: str, index: int | None) -> None:
    read = load_format("boxed_index").parse(text, 2)
    assert (read.parse_status, read.first_error) == (status, index)


def test_a_boxed_index_is_written_behind_the_steps_that_lead_to_it() -> None:
    """What follows the first wrong step is no part of a demonstration: it was right or wrong by luck."""
    form = load_format("boxed_index", first_index=1)
    solution = Solution("p", "a\nb\nc", ("a", "b", "c"), "c", False, 1)
    assert form.write(solution, ["A", "B", "C"]) == "A\nB\n\\boxed{2}"
    assert form.write(replace(solution, correct=True, first_error=-1), ["A", "", "C"]) == "A\nC\n\\boxed{-1}"


def test_json_verdict() -> None:
    form = load_format("json_verdict")
    wanted = {"reasons": 'it {is} "so"', "is_correct": "Incorrect"}
    for text in (
        json.dumps(wanted),
        f"Well:\n```json\n{json.dumps(wanted, indent=2)}\n```\nDone.",
        f'{{"other": 1}} {json.dumps(wanted)}',
    ):
        read = form.parse(text)
        assert read.judgement is INCORRECT and read.feedback == wanted["reasons"], text
    assert form.parse('{"is_correct": "Correct"} {"is_correct": "Incorrect"}').parse_status == "conflict"
    for text in ('{"is_correct": true}', '{"is_correct": "maybe"}', '{"is_correct": "Correct"', "{}"):
        assert form.parse(text).parse_status == "malformed", text
    assert form.parse("{" * 100_000).parse_status == "malformed", "brackets without end take no time"


@pytest.mark.parametrize(
    ("text", "judgement", "status"),
    [
        ("\\conclusion{T}", CORRECT, "ok"),
        ("\\conclusion{F}", INCORRECT, "ok"),
        ("\\conclusion{true}", CORRECT, "ok"),
        ("\\conclusion{INCORRECT}", INCORRECT, "ok"),
        ("\\conclusion{T} or \\conclusion{F}", None, "conflict"),
        ("**Conclusion: right [END]**", CORRECT, "ok"),
        ("Conclusion: wrong [END]", INCORRECT, "ok"),
        ("\\conclusion{perhaps}", None, "malformed"),
    ],
)
def test_conclusion(text: str, judgement: Judgement | None, status: str) -> None:
    """The official reader of Critique-Coder calls INCORRECT true and cannot read "true" (checklist: 7)."""
    read = load_format("conclusion").parse(text)
    assert (read.judgement, read.parse_status) == (judgement, status)


def test_ctrl_wants_all_parts_in_its_second_version() -> None:
    assert OverallJudgment.has_all_parts("Analysis:\nx\nImprovement suggestions:\ny\nOverall judgment: Correct")
    assert not OverallJudgment.has_all_parts("Overall judgment: Correct")


def test_words_are_whole() -> None:
    assert judgement_word(" **Correct**. ") is CORRECT and judgement_word("WRONG") is INCORRECT
    for text in ("incorrectly", "not correct", "Correct or not", "[Correct/Wrong]", "", "cor rect"):
        assert judgement_word(text) is None, text
    assert settle([]) == (None, "missing") and settle([CORRECT, CORRECT]) == (CORRECT, "ok")
    assert settle([CORRECT, None]) == (None, "malformed") and settle([CORRECT, INCORRECT]) == (None, "conflict")


def test_names_and_options() -> None:
    with pytest.raises(ValueError, match="did you mean 'boxed_index'"):
        load_format("boxed_indx")
    with pytest.raises(ValueError, match=r"no option 'first'; its options: .*first_index"):
        load_format("boxed_index", first=1)
    with pytest.raises(ValueError, match="0 or 1"):
        load_format("boxed_index", first_index=2)


def test_unlabelled_solutions_cannot_be_demonstrated() -> None:
    bare = Solution("p", "x", ("x",))
    for name in FORMATS:
        with pytest.raises(ValueError, match=r"has no label|no step label"):
            load_format(name).write(bare)


def test_texts_can_be_replaced() -> None:
    form = load_format(
        "step_sentence", instruction="Check {this}.", prompt_template="{question}|{solution}|{instruction}"
    )
    assert form.render(PROBLEM, WRONG)[0]["content"].endswith("|Check {this}.")
    assert isinstance(form.parse("x"), Critique)
