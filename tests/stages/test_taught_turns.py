"""Demonstrations of several turns: the tokens of a rollout, of which those of tools are not learned."""

from __future__ import annotations

from typing import Any

import pytest

from reasonrl.errors import DataError
from reasonrl.stages.taught_turns import taught_turns, turns_of
from tests.environments.templates import CHATML, tokenizer_of
from tests.environments.tools.scripted_policy import TOKENIZER, play, problem
from verifiers.types import Problem

TURNS: Any = [
    {"role": "assistant", "content": "Call: 48213*5072\n"},
    {"role": "tool", "content": "Result: 244536336\n"},
    {"role": "assistant", "content": "244536336\n"},
]


def test_a_demonstration_is_the_episode_that_it_shows_token_for_token() -> None:
    row = taught_turns(TOKENIZER, problem(), TURNS, ["\n"])
    episode, _ = play([TURNS[0]["content"], TURNS[2]["content"]])
    trajectory = episode.trained_trajectory
    assert (row.prompt, row.response, row.taught) == (
        trajectory.prompt_ids,
        trajectory.response_ids,
        trajectory.loss_mask,
    )


def test_a_last_turn_without_a_stop_string_ends_with_the_end_token() -> None:
    row = taught_turns(TOKENIZER, problem(), [*TURNS[:2], {"role": "assistant", "content": "244536336"}], [])
    assert row.response[-1] == TOKENIZER.eos_token_id and row.taught[-1]
    assert row.response.count(TOKENIZER.eos_token_id) == 1


def test_turns_of_a_chat_go_through_its_template() -> None:
    tokenizer = tokenizer_of(CHATML)
    tokenizer.eos_token = "<|im_end|>"
    asked = Problem("p", [{"role": "user", "content": "12 + 3?"}], "math", {"answer": "15"})
    turns: Any = [
        {"role": "assistant", "content": "10"},
        {"role": "user", "content": "Again."},
        {"role": "assistant", "content": "15"},
    ]
    row = taught_turns(tokenizer, asked, turns, [])
    text = tokenizer.apply_chat_template([*asked.prompt, *turns], tokenize=False)
    assert tokenizer.decode([*row.prompt, *row.response]) == text.removesuffix("\n")
    taught = tokenizer.decode([t for t, mask in zip(row.response, row.taught, strict=True) if mask])
    assert taught == "10<|im_end|>15<|im_end|>"


@pytest.mark.parametrize(
    ("turns", "template", "message"),
    [
        ([], "{demonstration}", "the first and the last turn must be of the role assistant"),
        ([{"role": "tool", "content": "x"}], "{demonstration}", "the first and the last turn"),
        ([{"role": "assistant"}], "{demonstration}", "turn 1: expected {role, content}, two texts"),
        ([{"role": "assistant", "content": 5}], "{demonstration}", "turn 1: expected"),
        (["text"], "{demonstration}", "turn 1: expected"),
        (TURNS, "Answer: {demonstration}", "write sft.response: '{demonstration}' alone"),
    ],
)
def test_wrong_demonstrations(turns: Any, template: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        turns_of(template, Problem("p7", "x", "math", {"answer": "1", "demonstration": turns}))
    assert message in str(caught.value) and "problem p7" in str(caught.value)


def test_a_text_is_no_list() -> None:
    assert turns_of("{demonstration}", Problem("p", "x", "math", {"demonstration": "5"})) is None
    assert turns_of("{gold}", Problem("p", "x", "math", {"demonstration": TURNS})) is None
