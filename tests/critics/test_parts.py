"""Balancing, step splitting, Monte Carlo labels and controls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.balance import balanced, correct_share
from critics.controls import CONTROLS, control_feedback
from critics.labels import MonteCarloRule, first_error
from critics.sneaky import ERROR_TYPES, SneakyPrompt
from critics.steps import split_steps
from verifiers.types import Problem


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60), st.integers(0, 5))
def test_balanced(items: list[tuple[bool, int]], seed: int) -> None:
    labels = [label for label, _ in items]
    if items and len(set(labels)) < 2:
        with pytest.raises(ValueError, match="nothing can be balanced"):
            balanced(items, lambda i: i[0], seed=seed)
        return
    kept = balanced(items, lambda i: i[0], seed=seed)
    assert sum(label for label, _ in kept) * 2 == len(kept) == 2 * min(sum(labels), len(labels) - sum(labels))
    assert balanced(items, lambda i: i[0], seed=seed) == kept


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=60))
def test_balanced_within_each_problem(items: list[tuple[bool, int]]) -> None:
    sides = {g: [label for label, group in items if group == g] for g in range(4)}
    expected = {g: min(labels.count(True), labels.count(False)) for g, labels in sides.items()}
    if not any(expected.values()):
        with pytest.raises(ValueError, match="no problem has both"):
            balanced(items, lambda i: i[0], group=lambda i: i[1])
        return
    kept = balanced(items, lambda i: i[0], group=lambda i: i[1])
    for g, size in expected.items():
        assert (
            [label for label, group in kept if group == g].count(True)
            == [label for label, group in kept if group == g].count(False)
            == size
        )


def test_correct_share() -> None:
    assert correct_share([True, False, False, False]) == 0.25
    with pytest.raises(ValueError, match="no labels"):
        correct_share([])


@pytest.mark.parametrize(
    ("text", "style", "steps"),
    [
        ("a\nb\n\nc", "auto", ("a\nb", "c")),
        ("a\nb", "auto", ("a", "b")),
        ("First. Then this. So 3.5 it is.", "auto", ("First.", "Then this.", "So 3.5 it is.")),
        ("one", "auto", ("one",)),
        (" a \n\n\n b ", "paragraphs", ("a", "b")),
        ("We use e.g. Euler. Done.", "sentences", ("We use e.g. Euler.", "Done.")),
    ],
)
def test_split_steps(text: str, style: str, steps: tuple[str, ...]) -> None:
    assert split_steps(text, style) == steps  # type: ignore[arg-type]


@given(st.text(min_size=1, max_size=200))
def test_splitting_loses_no_word(text: str) -> None:
    if not text.strip():
        with pytest.raises(ValueError, match="no steps"):
            split_steps(text)
        return
    assert " ".join(" ".join(split_steps(text)).split()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("rates", "correct", "start", "label"),
    [
        ([1.0, 0.9, 0.0, 0.0], False, 1.0, 2),
        ([0.0, 0.0], False, 0.9, 0),
        ([0.0, 0.0], False, 0.1, None),
        ([1.0, 0.25, 0.0], False, 1.0, None),
        ([1.0, 0.0, 0.5], False, 1.0, None),
        ([1.0, 0.5], False, 1.0, None),
        ([1.0, 0.8, 1.0], True, 1.0, -1),
        ([1.0, 0.0, 1.0], True, 1.0, None),
        ([1.0, 0.8, 0.0], True, None, -1),
    ],
)
def test_monte_carlo_labels(rates: list[float], correct: bool, start: float | None, label: int | None) -> None:
    assert first_error(rates, correct, start=start) == label


def test_monte_carlo_refuses() -> None:
    for rates in ([], [1.2]):
        with pytest.raises(ValueError, match="success rates"):
            first_error(rates, True)
    with pytest.raises(ValueError, match="lost_up_to < sound_from"):
        MonteCarloRule(0.5, 0.5)


def test_controls_refuse() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(CONTROLS)}"):
        control_feedback("none", [], [], seed=0)
    with pytest.raises(ValueError, match="at least two critiques"):
        control_feedback("shuffled", ["a"], ["correct"], seed=0)


def test_the_sneaky_prompt_names_the_error() -> None:
    problem = Problem("p", "1 + 1", "math", {"answer": "2"})
    text = SneakyPrompt().render(problem, ["1 = 1"], "1 + 1 = 2", ERROR_TYPES[1])[0]["content"]
    assert "contains a calculation error" in text and text.index("1 = 1") < text.index("1 + 1 = 2")
    assert "There are none" in SneakyPrompt().render(problem, [], "1 + 1 = 2", ERROR_TYPES[0])[0]["content"]
