"""Reading the final answer out of a response."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from verifiers.math.extract import extract
from verifiers.response import boxes, strip_thinking

MARKED = [
    (r"so \boxed{5}", "5"),
    (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    (r"\boxed{\left\{1, 2\right\}}", r"\left\{1, 2\right\}"),
    (r"\fbox{7}.", "7"),
    (r"\boxed 5", "5"),
    (r"\boxed{\boxed{3}}", "3"),
    ("<answer>12</answer>", "12"),
    (r"<answer> $\boxed{12}$ </answer>", "12"),
    ("2 + 2 = 4\n#### 4", "4"),
    ("The answer is 42.", "42"),
    ("Therefore, the final answer is: $\\frac{3}{4}$.", r"\frac{3}{4}"),
    ("Final Answer: The final answer is $10,455$. I hope it is correct.", "10,455"),
    ("The answer to the riddle is **12**.", "12"),
    ("Answer: 17", "17"),
    ("The answer is 3.5", "3.5"),
    (r"First \boxed{1/2}, that is \boxed{0.5}", "0.5"),
    (r"We write it as \boxed{}: \boxed{9}", "9"),
    (r"$\boxed{d=14}$ Final Answer: The final answer is 14.", "14"),
    (r"\boxed{\text{the answer is } 5}", r"\text{the answer is } 5"),
    (r"<think>maybe \boxed{3}</think> It is \boxed{4}", "4"),
    (r"maybe \boxed{3}</think> It is \boxed{4}", "4"),
]


@pytest.mark.parametrize(("response", "answer"), MARKED)
@pytest.mark.parametrize("mode", ["strict", "lenient"])
def test_marked_answers(response: str, answer: str, mode: str) -> None:
    assert extract(response, mode).answer == answer


NOTHING = [
    ("", "empty"),
    ("   \n", "empty"),
    ("<think>the answer is 5</think>", "thinking"),
    ("<think>it must be \\boxed{5}", "thinking"),
    (r"The answer is \boxed{1", "not closed"),
    (r"\boxed{3} and then \boxed{4", "not closed"),
    ("<answer>5</answer> or <answer>6", "not closed"),
    (r"\boxed{1} \boxed{2} \boxed{3}", "several different"),
    ("<answer>5</answer>\n#### 6", "several different"),
    (r"\boxed{8}, so the answer is 7", "several different"),
    (r"\boxed{}", "empty"),
    ("<answer></answer>", "empty"),
]


@pytest.mark.parametrize(("response", "reason"), NOTHING)
@pytest.mark.parametrize("mode", ["strict", "lenient"])
def test_what_earns_nothing(response: str, reason: str, mode: str) -> None:
    extraction = extract(response, mode)
    assert extraction.answer is None
    assert reason in extraction.reason


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("I think it is 12", "12"),
        ("3 apples and 1,234 pears.", "1,234"),
        ("so it is $x = 3$ in the end", "x = 3"),
        ("about -.5", "-.5"),
        ("10 - 7 = 3", "3"),
        ("3+2", "3+2"),
        ("the ratio is 3/4.", "3/4"),
        ("the answer is 7 or so. But I am not sure. Take 8", "8"),
    ],
)
def test_lenient_falls_back_where_strict_does_not(response: str, answer: str) -> None:
    assert extract(response, "lenient").answer == answer
    assert extract(response, "strict").answer is None


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("Therefore it equals $$55^{4}$$.", "55^{4}"),
        ("So it is\n$$\\frac{1}{2}$$", "\\frac{1}{2}"),
        ("The area is $36 cm^2$.", "36 cm^2"),
        ("The area is 36 cm$^2$.", "36"),
        ("The area is $36$ $\\text{cm}^2$.", "36"),
        ("The area is 36 cm^2.", "36"),
    ],
)
def test_lenient_keeps_powers_of_formulas_and_drops_those_of_units(response: str, answer: str) -> None:
    assert extract(response, "lenient").answer == answer


def test_lenient_finds_nothing_in_words() -> None:
    assert extract("I do not know", "lenient").answer is None


def test_whole_takes_the_response_as_it_stands() -> None:
    assert extract("<think>hm</think> 12 \n", "whole").answer == "12"
    assert extract("12 or 13", "whole").answer == "12 or 13"
    assert extract(" \n", "whole").answer is None


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="strict, lenient, whole"):
        extract("5", "loose")


@given(
    st.text("ab {}\\$", max_size=30).filter(
        lambda text: text.count("{") == text.count("}") == 0 and not text.endswith("\\")
    )
)
def test_a_box_around_any_balanced_text_is_read_back(text: str) -> None:
    found, is_open = boxes("so \\boxed{" + text + "} then")
    assert not is_open and found == [text.strip()]


@given(st.text())
def test_thinking_never_leaks(text: str) -> None:
    assert "</think>" not in strip_thinking(text) and "<think>" not in strip_thinking(text)


PIECES = [*"\\boxed{}<answer>/$()[]#=0123.,-\n ", "\\boxed{", "</answer>", "<answer>", "the answer is ", "#### "]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@example("$.$")
def test_no_text_breaks_it(text: str) -> None:
    for mode in ("strict", "lenient", "whole"):
        found = extract(text, mode)
        assert found.reason, "every outcome says why"
        assert found.answer is None or found.answer.strip()


UNITS = [
    "\\boxed{",
    "\\boxed 1 ",
    "\\boxed{1}",
    "\\boxed{a\\boxed{",
    "\\text{",
    "\\frac{1}",
    "{",
    "}",
    "$",
    "\\(",
    "\\[",
    "<answer>",
    "#### 1\n",
]
UNITS += ["the answer is ", "1,234", "1", " ", "\n", "=", ".", "-", "a "]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("mode", ["strict", "lenient", "whole"])
def test_it_takes_no_longer_than_the_text_is_long(unit: str, mode: str) -> None:
    text = unit * (60_000 // len(unit))
    started = time.perf_counter()
    extract(text, mode)
    extract(text + "}" * 20_000, mode)
    assert time.perf_counter() - started < 1.0


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("#### Generalization:\nIn any case the number is \\(\\boxed{1}\\).", "1"),
        ("#### Step 1: Read\nIt is 3 + 4.\n#### 2. Add\nThat is 7.\n#### 7", "7"),
        ("#### 7\nand so on\n#### 8", None),
        ("#### Monday", "Monday"),
        ("So $\\boxed{\\frac{3}{16} = 0.0011_2}$. Final Answer: The final answer is 0.0011_2.", "0.0011_2"),
        ("The answer is 5. So $\\boxed{x = 5}$.", "x = 5"),
    ],
)
def test_headings_are_no_answers_and_an_equation_is_its_right_side(response: str, answer: str | None) -> None:
    assert extract(response, "strict").answer == answer
