"""Values that would be converted or ignored without a word are mistakes: true as a number, blanks, paths as names."""

from __future__ import annotations

import pytest

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import load_recipe, parse_recipe
from reasonrl.recipe.schema import Recipe

RECIPE = "name: mine\ndata:\n  train: {source: arithmetic}\n"
STAGED = RECIPE + "sft: {steps: 5}\nstages:\n  - {name: one, kind: sft}\n  - {name: two, kind: rl}\n"


def only(*overrides: str, text: str = RECIPE) -> str:
    """The one mistake."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r", overrides)
    (head, line) = str(caught.value).split("\n")
    assert head == "r: 1 mistake"
    return line.removeprefix("  - ")


def accepted(*overrides: str, text: str = RECIPE) -> Recipe:
    return parse_recipe(text, "r", overrides).stages[0]


@pytest.mark.parametrize("truth", ["true", "false", "yes"])
@pytest.mark.parametrize(
    "key",
    [
        "seed",
        "threads",
        "optim.lr",
        "train.steps",
        "evaluation.temperature",
        "data.train.seed",
        "train.overlong.factor",
    ],
)
def test_a_truth_value_is_not_a_number(key: str, truth: str) -> None:
    section = ["train.overlong={buffer_tokens: 4}"] if "overlong" in key else []
    expected = f"{key}: expected a number, got {'false' if truth == 'false' else 'true'}"
    assert only(*section, f"{key}={truth}") == expected


def test_a_truth_value_is_not_a_number_in_a_list_nor_a_weight() -> None:
    assert only("optim.betas=[true, 0.9]").startswith("optim.betas: expected a number, got true")
    assert only("reward.correctness=true").startswith("reward.correctness: expected a weight or a section, got true")


@pytest.mark.parametrize("key", ["evaluation.greedy", "checkpoint.keep_best", "model.gradient_checkpointing"])
def test_a_switch_takes_truth_values(key: str) -> None:
    section, name = key.split(".")
    assert getattr(getattr(accepted(f"{key}=true"), section), name) is True
    assert getattr(getattr(accepted(f"{key}=false"), section), name) is False


@pytest.mark.parametrize("key", ["threads", "train.steps", "rollout.max_new_tokens", "data.train.limit"])
def test_a_count_has_a_largest_value(key: str) -> None:
    assert only(f"{key}={2**31}") == f"{key}: {2**31} is out of range; write a number up to {2**31 - 1}"
    assert only(f"{key}={10**30}").startswith(f"{key}: {10**30} is out of range")


def test_a_seed_has_63_bits() -> None:
    assert accepted(f"seed={2**63 - 1}").seed == 2**63 - 1
    assert accepted("seed=-3").seed == -3
    assert only(f"seed={2**63}").startswith(f"seed: {2**63} is out of range")
    assert only(f"data.train.seed=-{2**63}").startswith("data.train.seed: ")


@pytest.mark.parametrize("blank", ['""', '" "', '"\\n"'])
@pytest.mark.parametrize(
    "key",
    ["model.path", "data.train.source", "init_from", "rollout.engine", "rollout.environment", "verifier", "device"],
)
def test_a_blank_text_is_not_a_value(key: str, blank: str) -> None:
    assert only(f"{key}={blank}").startswith(f"{key}: is blank; write a value")


def test_a_description_and_a_system_message_may_be_empty() -> None:
    assert accepted('description=""').description == ""
    prompt = accepted('data.prompt.system=""').data.prompt
    assert prompt is not None
    assert prompt.system == ""


@pytest.mark.parametrize("name", ["../x", "..", ".", "a/b", "/tmp/x", "a\\b"])
def test_a_path_is_not_a_name(name: str) -> None:
    assert only(f"name='{name}'").startswith(f"name: {name!r} is a path; write a plain name for a run")
    assert f"{name!r} is a path; write a plain name for a held-out set" in only(
        f"data.heldout={{'{name}': {{source: arithmetic}}}}"
    )
    assert f"{name!r} is a path; write a plain name for a part of the reward" in only(
        f"reward={{correctness: 1, '{name}': {{function: 'a:b'}}}}"
    )


@pytest.mark.parametrize("name", ["a\tb", "a\x00b", "a\u202eb", "\ud835"])
def test_a_name_can_be_printed(name: str) -> None:
    text = RECIPE.replace("mine", '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"')
    assert "has characters that cannot be printed" in only(text=text)


def test_a_name_fits_a_file_system() -> None:
    assert only(f"name={'a' * 201}").startswith("name: the name of a run has 201 bytes")
    assert accepted(f"name={'a' * 200}").name == "a" * 200
    assert accepted("name='täst 1.5'").name == "täst 1.5"


def test_the_second_moment_decays() -> None:
    assert only("optim.betas=[0.9, 1.0]") == "optim.betas.1: expected less than 1, got 1.0"


@pytest.mark.parametrize(
    ("override", "section", "kind"),
    [
        ("sft.steps=7", "sft", "sft"),
        ("collect.samples_per_problem=9", "collect", "collect"),
        ("game.solutions=9", "game", "game"),
        ("offline.steps=9", "offline", "offline"),
    ],
)
def test_the_section_of_another_kind_is_not_ignored(override: str, section: str, kind: str) -> None:
    message = f"kind: rl does not read this section; leave it out, or write kind: {kind}"
    assert only(override) == f"{section}: {message}"
    assert only(f"stages.1.{override}", text=STAGED) == f"stages.1.{section}: {message}"


def test_the_common_part_holds_sections_for_all_stages() -> None:
    assert [stage.kind for stage in parse_recipe(STAGED, "r").stages] == ["sft", "rl"]


def test_a_saved_recipe_of_an_earlier_version_is_not_held_to_this() -> None:
    assert parse_recipe(RECIPE + "sft: {steps: 7}\n", "r", saved=True).stages[0].sft.steps == 7


def test_shipped_recipes_pass() -> None:
    assert load_recipe("quickstart").stages
