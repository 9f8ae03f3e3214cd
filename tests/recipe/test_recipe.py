"""Recipes: every mistake at once, with its place and what to write instead; overrides; stages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import (
    LoadedRecipe,
    find_recipe,
    load_recipe,
    parse_recipe,
    shipped_recipes,
)

PLAIN = """\
name: plain
data:
  train: {source: train.jsonl}
  heldout:
    test: {source: test.jsonl}
optim:
  lr: 1e-5
"""
STAGED = """\
name: staged
seed: 3
data:
  train: {source: train.jsonl}
rollout:
  max_new_tokens: 9
  stop: ["\\n"]
stages:
  - name: warm-up
    kind: sft
    sft: {steps: 5}
  - name: grpo
    kind: rl
    rollout:
      temperature: 0.8
    train:
      steps: 7
"""


def mistakes(text: str, *overrides: str) -> list[str]:
    """The lines of the message, without the first."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml", overrides)
    first, *lines = str(caught.value).split("\n")
    count = len(lines)
    assert first == f"r.yaml: {'1 mistake' if count == 1 else f'{count} mistakes'}"
    return [line.removeprefix("  - ") for line in lines]


def only(text: str, *overrides: str) -> str:
    (line,) = mistakes(text, *overrides)
    return line


def parsed(text: str, *overrides: str) -> LoadedRecipe:
    return parse_recipe(text, "r.yaml", overrides)


def test_a_small_recipe_and_its_defaults() -> None:
    loaded = parsed(PLAIN)
    (stage,) = loaded.stages
    assert (loaded.name, loaded.staged, stage.kind, stage.total_steps) == ("plain", False, "rl", 100)
    assert stage.optim.lr == 1e-5  # which YAML 1.1 reads as a text
    assert stage.loss_aggregation == "token_mean"
    assert stage.on_policy
    assert parsed(PLAIN, "train.advantage=dr_grpo").stages[0].loss_aggregation == "sequence_sum"
    assert not parsed(PLAIN, "train.epochs_per_step=2").stages[0].on_policy


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = """\
name: wrong
kind: grpo
data:
  train: {source: train.jsonl, limmit: 5}
train:
  steps: -1
  prompts_per_step: many
  loss_agregation: token_mean
  kl: {estimator: k1}
optim:
  betas: [0.9, 2]
rollout:
  stop: "\\n"
"""
    messages = mistakes(text)
    assert messages == [
        "kind (line 2): expected 'rl', 'sft', 'offline', 'collect' or 'game', got 'grpo'",
        "data.train.limmit (line 4): unknown key; did you mean 'limit'?",
        "rollout.stop (line 13): expected a valid list, got '\\n'",
        "train.steps (line 6): expected greater than or equal to 1, got -1",
        "train.prompts_per_step (line 7): expected a valid integer, unable to parse string as an integer, got 'many'",
        (
            "train.kl (line 9): estimator k1 in the loss has no gradient on policy. Write where: reward, or"
            " estimator: k2 or k3"
        ),
        "train.loss_agregation (line 8): unknown key; did you mean 'loss_aggregation'?",
        "optim.betas.1 (line 11): expected less than 1, got 2",
    ]


def test_checks_across_fields_are_told_beside_wrong_fields() -> None:
    text = """\
name: wrong
data: {heldout: {}}
reward:
  format: 0.5
  correctness: {weight: 1, verifier: math}
rollout: {rollouts_per_prompt: 1, max_new_tokens: x}
train: {updates_per_step: 9, prompts_per_step: 4, step: 3}
"""
    messages = mistakes(text)
    fields = [line.partition(":")[0].partition(" ")[0] for line in messages]
    assert fields == [
        "rollout.max_new_tokens",
        "train.step",
        "data.train",
        "reward.format",
        "reward.correctness.verifier",
        "rollout.rollouts_per_prompt",
        "train.updates_per_step",
    ]


def test_what_follows_from_a_wrong_value_is_not_told() -> None:
    assert only("name: x\ndata: {train: {limit: 3}}\n") == "data.train.source: missing"
    assert only("name: x\ndata: {train: 7}\n").startswith(
        "data.train (line 2): expected a mapping of keys to values, got 7"
    )
    assert only(PLAIN + "reward: {correctness: abc}\n").startswith(
        "reward.correctness (line 8): expected a mapping of keys to values"
    )
    assert only("data: {train: {source: a.jsonl}}\n") == "name: missing"
    assert only(PLAIN + "reward: {correctness: 1, fmt: {verifier: {mode: x}}}\n").startswith(
        "reward.fmt.verifier.name: missing"
    )


def test_a_choice_between_types_makes_one_line() -> None:
    assert (
        only(PLAIN + "model: {lora: {target_modules: 5}}\n")
        == "model.lora.target_modules (line 8): expected a valid list or 'all-linear', got 5"
    )


def test_names_of_the_users_own_are_kept_whole() -> None:
    messages = mistakes(PLAIN.replace("test: {source", "'a[0]-function-before': {sorce"))
    assert messages[0] == "data.heldout.a[0]-function-before.source: missing"
    assert messages[1].startswith(
        "data.heldout.a[0]-function-before.sorce (line 5): unknown key; did you mean 'source'?"
    )


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("trian: {steps: 3}", "trian (line 8): unknown key; did you mean 'train'?"),
        ("train: {kl: {coeficient: 3}}", "train.kl.coeficient (line 8): unknown key; did you mean 'coefficient'?"),
        (
            "evaluation: {zzz: 1}",
            "evaluation.zzz (line 8): unknown key; valid keys here: every_steps, before, greedy, samples_per_problem",
        ),
        ("model: {lora: {rnk: 2}}", "model.lora.rnk (line 8): unknown key; did you mean 'rank'?"),
    ],
)
def test_nearest_valid_names(key: str, hint: str) -> None:
    assert only(PLAIN + key + "\n").startswith(hint)


def test_overrides() -> None:
    recipe = parsed(
        PLAIN,
        "optim.lr=2e-6",
        "train.steps=20",
        "verifier.mode=lenient",
        "rollout.stop=[a, b]",
        "data.heldout=",
        "data.heldout={}",
        "train.kl.coefficient=.5",
        "reward.correctness=2",
        "evaluation.before=false",
        "name=other",
    ).stages[0]
    assert recipe.optim.lr == 2e-6
    assert recipe.train.steps == 20
    assert (recipe.verifier.name, recipe.verifier.options) == ("math", {"mode": "lenient"})
    assert recipe.rollout.stop == ["a", "b"]
    assert recipe.data.heldout == {}
    assert recipe.train.kl.coefficient == 0.5
    assert recipe.reward["correctness"].weight == 2
    assert not recipe.evaluation.before
    assert recipe.name == "other"


def test_an_override_into_a_short_form_keeps_its_name() -> None:
    recipe = parsed(PLAIN + "verifier: math\n", "verifier.mode=lenient").stages[0]
    assert (recipe.verifier.name, recipe.verifier.options) == ("math", {"mode": "lenient"})
    assert parsed(PLAIN, "verifier=format").stages[0].verifier.name == "format"
    assert parsed(PLAIN, "verifier.mode=lenient").stages[0].verifier.name == "math"


def test_wrong_overrides_are_told_together_and_without_a_line_of_the_file() -> None:
    messages = mistakes(
        PLAIN, "train.steps", "=3", "optim.lr=x", "name.0.x=1", "data.heldout.test.limit=0", "a: [=1", "train.kl={a: ]"
    )
    assert messages[0] == "override 'train.steps': expected key=value, e.g. train.steps=20"
    assert messages[1] == "override '=3': expected key=value, e.g. train.steps=20"
    assert any(line.startswith("optim.lr: expected a valid number") and line.endswith("got 'x'") for line in messages)
    assert any(
        line.startswith("data.heldout.test.limit: expected greater than or equal to 1, got 0") for line in messages
    )
    assert any("the value is not valid YAML; quote it" in line for line in messages)
    assert any(line.startswith("a: [: unknown key") for line in messages)


def test_stages_are_the_common_part_under_their_own_keys() -> None:
    loaded = parsed(STAGED)
    first, second = loaded.stages
    assert (loaded.name, loaded.staged) == ("staged", True)
    assert (first.name, first.kind, first.total_steps) == ("warm-up", "sft", 5)
    assert (second.name, second.kind, second.total_steps) == ("grpo", "rl", 7)
    assert first.seed == second.seed == 3
    assert (first.rollout.temperature, second.rollout.temperature) == (1.0, 0.8)
    assert second.rollout.max_new_tokens == 9
    assert second.rollout.stop == ["\n"]


def test_overrides_of_stages() -> None:
    loaded = parsed(STAGED, "stages.1.train.steps=2", "stages.0.sft.steps=1", "seed=5", "rollout.max_new_tokens=4")
    assert [stage.total_steps for stage in loaded.stages] == [1, 2]
    assert [stage.seed for stage in loaded.stages] == [5, 5]
    assert [stage.rollout.max_new_tokens for stage in loaded.stages] == [4, 4]
    assert only(STAGED, "stages.2.name=x") == "override 'stages.2.name=x': '2' does not exist in the recipe"
    assert only(STAGED, "stages.7=x") == "override 'stages.7=x': '7' is not an index of the list; write 0 to 1"


def test_an_override_that_stages_would_hide_is_refused() -> None:
    messages = only(STAGED, "train.steps=2")
    assert (
        messages == "override 'train.steps=2': would have no effect, since a stage sets this key itself; write"
        " stages.1.train.steps=2"
    )


def test_mistakes_in_stages() -> None:
    assert mistakes(STAGED.replace("steps: 7", "steps: 0").replace("temperature", "temprature")) == [
        "rollout.temprature (line 15): unknown key; did you mean 'temperature'?",
        "train.steps (line 17): expected greater than or equal to 1, got 0",
    ]
    # of both, told once
    assert only(STAGED.replace("max_new_tokens", "max_tokens")).startswith("rollout.max_tokens (line 6): unknown key")
    assert "stages: expected a list of stages" in only("name: x\nstages: {}\n")
    assert (
        only(STAGED.replace("name: grpo", "name: warm-up")) == "stages.1.name: 'warm-up' is taken by an earlier stage"
    )
    assert only(STAGED.replace("name: grpo", "name: a/b")).startswith("stages.1.name: expected a word of letters")


@pytest.mark.parametrize(
    ("text", "words"), [("a: [", "not valid YAML"), ("- a", "a recipe is a mapping"), ("", "a recipe is a mapping")]
)
def test_what_is_no_recipe(text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        parse_recipe(text, "r.yaml")


@pytest.mark.parametrize("text", [PLAIN, STAGED])
def test_what_the_run_folder_keeps_loads_as_the_same_recipe(text: str) -> None:
    loaded = parsed(text, "seed=11", "optim.lr=3e-7")
    saved = yaml.safe_dump(loaded.raw, sort_keys=False, allow_unicode=True)
    again = parse_recipe(saved, "saved")
    assert again.stages == loaded.stages
    assert yaml.safe_dump(again.raw, sort_keys=False, allow_unicode=True) == saved
    for stage in loaded.stages:  # each stage's folder keeps the stage alone, with all its defaults
        assert parse_recipe(yaml.safe_dump(stage.model_dump(mode="json")), "stage").stages == [stage]


def test_finding_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.yaml").write_text(PLAIN)
    assert (
        find_recipe(str(tmp_path / "mine"))
        == tmp_path / "mine" / "recipe.yaml"
        == find_recipe(str(tmp_path / "mine" / "recipe.yaml"))
    )
    monkeypatch.chdir(tmp_path)
    assert find_recipe("smoke") == shipped_recipes() / "smoke" / "recipe.yaml"
    with pytest.raises(RecipeError, match=r"no recipe 'smok': did you mean 'smoke'\?"):
        find_recipe("smok")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="cannot be read as UTF-8 text"):
        load_recipe("binary.yaml")


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml")))
def test_shipped_recipes_are_right(folder: str) -> None:
    loaded = load_recipe(folder)
    assert loaded.name == folder
    assert all(stage.description for stage in loaded.stages)
    assert len((shipped_recipes() / folder / "recipe.yaml").read_text().splitlines()) <= 150


@pytest.mark.parametrize(
    "file", sorted(p for p in shipped_recipes().glob("*/*.yaml") if p.name != "recipe.yaml"), ids=str
)
def test_controls_beside_recipes_are_right(file: Path) -> None:
    assert load_recipe(str(file)).name == f"{file.parent.name}_{file.stem}"
