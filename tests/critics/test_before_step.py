"""What stands before a step of a solution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from critics.steps import before_step, split_steps


@given(st.lists(st.text(alphabet="abc. 1", min_size=1).filter(str.strip), min_size=1, max_size=6))
def test_what_stands_before_a_step(lines: list[str]) -> None:
    text = "\n\n".join(lines)
    steps = split_steps(text, "lines")
    for index in range(len(steps)):
        before = before_step(text, steps, index)
        assert split_steps(before, "lines") == steps[:index] if before.strip() else index == 0
        assert text.startswith(before)


def test_a_step_that_the_text_does_not_hold() -> None:
    with pytest.raises(ValueError, match="does not hold its step 1"):
        before_step("one", ("one", "two"), 1)
    with pytest.raises(ValueError, match="there is no step 2"):
        before_step("one two", ("one", "two"), 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Use Fig", "See Eq", "Then x", "So we get 5", "By Dr", "i.e", "a"]),
            st.sampled_from([". ", ".  ", ".\t", ".\u00a0", ". \u2003", "! ", "? "]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_stands_before_a_sentence(sentences: list[tuple[str, str]]) -> None:
    """With abbreviations, and any blanks between sentences."""
    text = "".join(sentence + blank for sentence, blank in sentences) + "Then we get 5."
    steps = split_steps(text, "sentences")
    assert "".join("".join(steps).split()) == "".join(text.split())
    for index in range(len(steps)):
        assert text.startswith(before_step(text, steps, index))
