"""Numbers that 32-bit floats do not hold, and those that a run would take and learn nothing from, are mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.standalone import at_temperature

RECIPE = "name: n\ndata:\n  train: {source: arithmetic}\n"
NEEDED = {
    "critic": "kind: rl\ncritic: {}\n",
    "collect": "kind: collect\n",
    "game": "kind: game\n",
    "offline": "kind: offline\n",
    "sft": "kind: sft\n",
}
"""Sections that only some stages read."""


def float_keys(section: type[BaseModel] = Recipe, path: tuple[str, ...] = ()) -> Iterator[tuple[str, bool]]:
    """Keys that take a number with a fraction, and whether they take a pair of them."""
    for name, field in section.model_fields.items():
        inner = next(sections(field.annotation), None)
        if inner is not None:
            name_of_part = ("mine",) if "dict" in str(field.annotation) else ()
            yield from float_keys(inner, (*path, name, *name_of_part))
        elif {int, float} & scalars(field.annotation) == {float}:
            yield ".".join((*path, name)), "tuple" in str(field.annotation)


def scalars(annotation: Any) -> set[Any]:
    return {annotation}.union(*map(scalars, get_args(annotation))) if get_origin(annotation) is not Literal else set()


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections(argument)


def message(*overrides: str, text: str = RECIPE) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r", overrides)
    return str(caught.value)


KEYS = list(float_keys())


def test_all_keys_are_seen() -> None:
    names = {name for name, _ in KEYS}
    assert {"optim.lr", "train.kl.coefficient", "reward.mine.weight", "game.solver.temperature", "optim.betas"} <= names
    assert len(names) > 50


@pytest.mark.parametrize("value", ["5.0e-324", "-1.0e-320", "1.0e-45", "1.0e+39", "-1.0e+308"])
def test_no_key_takes_a_number_that_32_bit_floats_do_not_hold(value: str) -> None:
    words = "is too small for 32-bit floats" if "e-" in value else "is too large for 32-bit floats"
    for key, is_pair in KEYS:
        text = RECIPE + NEEDED.get(key.partition(".")[0], "")
        said = message(f"{key}={f'[{value}, {value}]' if is_pair else value}", text=text)
        assert f"  - {key}: {float(value)} {words}" in said, key


def test_threads_are_no_more_than_a_machine_has() -> None:
    assert "threads: expected less than or equal to 1024, got 2147483647" in message(f"threads={2**31 - 1}")


@pytest.mark.parametrize("value", ["0.0", "-0.0"])
def test_zero_has_no_size(value: str) -> None:
    assert parse_recipe(RECIPE, "r", [f"optim.weight_decay={value}"]).stages[0].optim.weight_decay == 0


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rollout.temperature=1.0e-7", "rollout.temperature: expected greater than or equal to 0.000001, got 1e-07"),
        ("rollout.temperature=101", "rollout.temperature: expected less than or equal to 100, got 101"),
        ("evaluation.temperature=1.0e+9", "evaluation.temperature: expected less than or equal to 100, got 1"),
        ("optim.eps=2", "optim.eps: expected less than or equal to 1, got 2"),
        ("reward.correctness=1.0e-9", "reward.correctness: 1e-09 is too small to teach anything; write 0, or a"),
        ("reward.correctness=-1.0e+9", "reward.correctness: expected greater than or equal to -1000000"),
        ("train.overlong={buffer_tokens: 4, factor: 1.0e+9}", "train.overlong.factor: expected less than or equal to"),
        ("model.lora={dropout: 1.0}", "model.lora.dropout: expected less than 1, got 1"),
        ("train.mismatch={name: icepop, low: 2, high: 2}", "so every token is left out; write a low below high"),
        ("optim={lr: 0.01, weight_decay: 100}", "optim.weight_decay: 100 times lr (0.01) is 1 or more, so each step"),
        ("verl.judge_timeout_s=1.0e+10", "verl.judge_timeout_s: expected less than or equal to 1000000000, got"),
    ],
)
def test_a_number_that_teaches_nothing(override: str, words: str) -> None:
    assert words in message(override)


def test_a_role_is_greedy_or_sampled() -> None:
    text = RECIPE + NEEDED["game"]
    said = message("game.solver.temperature=1.0e-9", text=text)
    assert "game.solver.temperature: 1e-09 is too small to sample at; write 0 for greedy, or 1e-06 or more" in said
    assert parse_recipe(text, "r", ["game.solver.temperature=0"]).stages[0].game.solver.temperature == 0


@pytest.mark.parametrize("place", ["rollout.engine=vllm", "backend=verl"])
def test_vllm_would_sample_at_another_temperature(place: str) -> None:
    said = message(place, "rollout.temperature=0.001")
    assert "rollout.temperature: vLLM would sample at 0.01 instead of 0.001; write 0.01 or more" in said
    assert parse_recipe(RECIPE, "r", ["rollout.temperature=0.001"]).stages[0].rollout.temperature == 0.001
    assert parse_recipe(RECIPE, "r", [place, "rollout.temperature=0.01"]).stages[0].rollout.temperature == 0.01


def test_a_learning_rate_of_whole_weights_is_warned_of() -> None:
    (warning,) = parse_recipe(RECIPE, "r", ["optim.lr=1"]).stages[0].warnings()
    assert "optim.lr: AdamW moves each weight by about 1 in each step" in warning
    assert parse_recipe(RECIPE, "r", ["optim.lr=0.1"]).stages[0].warnings() == []


@pytest.mark.parametrize("temperature", [1e-9, 1e-320, 101.0, 1e308])
def test_an_evaluation_is_sampled_within_the_same_bounds(temperature: float) -> None:
    recipe = parse_recipe(RECIPE, "r").stages[0]
    with pytest.raises(UsageError, match=r"cannot be sampled at\. Write a number from 1e-06 to 100; greedy answers"):
        at_temperature(recipe, temperature)
    assert at_temperature(recipe, 100.0).evaluation.temperature == 100


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("rollout.rollouts_per_prompt", 65_536),
        ("evaluation.samples_per_problem", 65_536),
        ("train.prompts_per_step", 1_000_000),
        ("curriculum.candidates_per_prompt", 65_536),
    ],
)
def test_what_is_in_memory_at_once_has_a_largest_number(key: str, most: int) -> None:
    assert f"{key}: expected less than or equal to {most}, got {2**31 - 1}" in message(f"{key}={2**31 - 1}")
    parse_recipe(RECIPE, "r", [f"{key}={most}"])


def test_vllm_evaluates_at_the_temperature_that_is_asked_for() -> None:
    recipe = parse_recipe(RECIPE, "r", ["rollout.engine=vllm"]).stages[0]
    with pytest.raises(UsageError, match=r"temperature: vLLM would sample at 0\.01 instead of 0\.001"):
        at_temperature(recipe, 0.001)
    assert at_temperature(recipe, 0.01).evaluation.temperature == 0.01
