"""What does not fit together: each rule with its key and what to write instead; advice; mistakes as data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from reasonrl.algorithms.catalogue import ADVANTAGES, LOSSES
from reasonrl.errors import RecipeError
from reasonrl.recipe.mistakes import Mistake, MistakesError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.rules import RULES, alternatives
from reasonrl.recipe.schema import Recipe

BASE: dict[str, Any] = {"name": "n", "data": {"train": {"source": "train.jsonl"}}}
CRITIC: dict[str, Any] = {"critic": {}, "reward": {"correctness": 2.0}}
REFINED: dict[str, Any] = {"critique_grpo": {}}


def mistakes(changes: dict[str, Any]) -> list[Mistake]:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({**BASE, **changes})
    (details,) = caught.value.errors()
    error = details["ctx"]["error"]
    assert isinstance(error, MistakesError)
    return list(error.mistakes)


def lines(changes: dict[str, Any]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(yaml.safe_dump({**BASE, **changes}), "r.yaml")
    return [line.removeprefix("  - ") for line in str(caught.value).split("\n")[1:]]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"data": {}}, "data.train", "missing"),
        ({"reward": {"correctness": 1, "f": 1}}, "reward.f", "has none"),
        (
            {"reward": {"correctness": {"verifier": "math"}}},
            "reward.correctness.verifier",
            "give this part another name",
        ),
        ({"reward": {}}, "reward.correctness", "missing"),
        ({"reward": {"correctness": 0}}, "reward", "every part has the weight 0"),
        (CRITIC, "reward.correctness", "the section critic sets"),
        ({"rollout": {"rollouts_per_prompt": 1}}, "rollout.rollouts_per_prompt", "write 2 or more"),
        (
            {"rollout": {"rollouts_per_prompt": 1}, "train": {"advantage": "remax", "credit": "tempo"}},
            "rollout.rollouts_per_prompt",
            "write 2 or more",
        ),
        (
            {"train": {"updates_per_step": 17}},
            "train.updates_per_step",
            "16 prompts_per_step cannot be split into 17 updates; write at most 16",
        ),
        ({"train": {"credit": "tempo", "loss": "disco"}}, "train.loss", "write ppo_clip, gspo, cispo"),
        (
            {"train": {"credit": "tempo", "advantage": "gpg"}},
            "train.credit",
            "write advantage: grpo, dr_grpo, rloo, remax",
        ),
        ({"budget": {"name": "knapsack", "low": 9}}, "budget", r"rollouts_per_prompt \(8\)"),
        (
            {"train": {"advantage": "shrinkage"}, "success_rates": {"source": "history"}},
            "success_rates.source",
            "advantage: shrinkage needs a prediction",
        ),
        ({"train": {"overlong": {"buffer_tokens": 257}}}, "train.overlong.buffer_tokens", "even an empty response"),
        ({"train": {"loss": "drpo", "overlong": {"buffer_tokens": 9}}}, "train.overlong", "which loss: drpo ignores"),
        ({"train": {"advantage": "remax", "unlikeliness": {}}}, "train.unlikeliness", "is not shaped"),
        ({"train": {"loss": "trpa", "d3s": {}}}, "train.d3s", "changes advantages, which loss: trpa ignores"),
        ({"train": {"loss": "disco", "loss_aggregation": "token_mean"}}, "train.loss_aggregation", "sequence_mean"),
        ({"train": {"loss": "reinforce", "clip_high": 0.3}}, "train.clip_high", "write loss: ppo_clip, gspo, cispo or"),
        ({"train": {"loss": "gspo", "dual_clip": 3.0}}, "train.dual_clip", "write loss: ppo_clip$"),
        ({"train": {"mirror_beta": 0.2}}, "train.mirror_beta", "write loss: mirror_descent$"),
        ({"rollout": {"vllm": {"kv_cache_gib": 1}}}, "rollout.vllm", "the engine is hf"),
        ({**REFINED, "rollout": {"environment": "a:B"}}, "rollout.environment", "not episodes of a:B"),
        ({"kind": "collect", "rollout": {"environment": "a:B"}}, "rollout.environment", "write single_turn$"),
        ({**REFINED, "critic": {}}, "critique_grpo", "leave one of them out"),
        (
            {"critique_grpo": {"with_answer": True, "critic": {"model": "same"}}},
            "critique_grpo.with_answer",
            "write with_answer: false",
        ),
        ({**REFINED, "train": {"credit": "tempo"}}, "critique_grpo", "credit: none"),
        ({**REFINED, "train": {"advantage": "passk"}}, "critique_grpo", "write grpo, dr_grpo"),
        ({**REFINED, "train": {"d3s": {}}}, "critique_grpo", "Leave them out"),
        (
            {**REFINED, "train": {"kl": {"coefficient": 0.1, "where": "reward"}}},
            "critique_grpo",
            "Write train.kl.where: loss",
        ),
    ],
)
def test_each_rule_names_the_key_and_what_to_write(changes: dict[str, Any], key: str, words: str) -> None:
    (mistake,) = mistakes(changes)
    assert ".".join(map(str, mistake.place)) == key
    assert re.search(words, mistake.text), mistake.text


def test_a_mistake_across_keys_has_its_line() -> None:
    assert lines({"train": {"credit": "tempo", "advantage": "gpg"}})[0].startswith("train.credit (line 7): tempo needs")


def test_a_good_recipe_passes_every_rule() -> None:
    recipe = Recipe.model_validate(BASE)
    assert [mistake for rule in RULES for mistake in rule(recipe)] == []


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("advantage", ADVANTAGES)
def test_every_loss_goes_with_every_advantage(advantage: str, loss: str) -> None:
    Recipe.model_validate({**BASE, "train": {"advantage": advantage, "loss": loss}})


def test_what_follows_from_a_wrong_value_is_not_reported() -> None:
    wrong = {"rollout": {"rollouts_per_prompt": "x"}, "budget": {"name": "knapsack", "low": 9}}
    assert len(lines(wrong)) == 1  # the default of 8 rollouts would not fit the budget
    assert len(lines({"train": {"loss": "miror_descent", "mirror_beta": 0.3}})) == 1


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"advantage": "gpro"},
            "train.advantage (line 6): 'gpro' is not known; did you mean 'grpo'? choose one of grpo,",
        ),
        ({"loss": "zzz"}, "train.loss (line 6): 'zzz' is not known; choose one of ppo_clip, gspo,"),
    ],
)
def test_methods_that_there_are_not(train: dict[str, Any], message: str) -> None:
    assert lines({"train": train})[0].startswith(message)


def test_methods_of_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe reads what a user's module says of itself, and the rules hold for it too."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "methods_of_a_user.py").write_text(
        "from reasonrl.algorithms.catalogue import Advantage\n"
        "def plain(rewards, group, judged): return rewards\n"
        "def guided(rewards, group, judged, predictions): return rewards\n"
        "def wrong(rewards, groups, judged): return rewards\n"
        "declared = Advantage(plain, 'group', tree_term=True)\n"
        "def loss(logprobs, advantages, clip_high=0.2): return logprobs\n"
    )
    module = "methods_of_a_user"
    Recipe.model_validate({**BASE, "train": {"advantage": f"{module}:plain", "loss": f"{module}:loss"}})
    Recipe.model_validate({**BASE, "train": {"advantage": f"{module}:declared", "credit": "tempo"}})
    assert Recipe.model_validate({**BASE, "train": {"advantage": f"{module}:guided"}}).rate_source == "blend"
    for train, message in (
        ({"advantage": f"{module}:plain", "credit": "tempo"}, "train.credit (line 7): tempo needs a group baseline"),
        ({"loss": f"{module}:loss", "clip_low": 0.1}, f"train.clip_low (line 6): loss: {module}:loss has no clip_low"),
        (
            {"loss": f"{module}:lost"},
            f"train.loss (line 6): {module}:lost: {module} has no 'lost'; did you mean 'loss'",
        ),
        ({"advantage": "mine:x"}, "train.advantage (line 6): mine:x: there is no module 'mine'"),
        (
            {"advantage": f"{module}:wrong"},
            f"train.advantage (line 6): {module}:wrong has an argument 'groups', which is not known; did you mean 'gro",
        ),
    ):
        assert lines({"train": train})[0].startswith(message), lines({"train": train})


def test_a_key_of_an_earlier_version_says_what_it_is_called_now() -> None:
    assert lines({"critic": {"stage": 2}}) == ["critic.stage (line 2): is called phase now; write critic.phase"]


def test_sections_written_as_one_word() -> None:
    assert lines({"budget": "knapsak"}) == ["budget (line 1): expected 'uniform' or 'knapsack', got 'knapsak'"]


def test_the_members_of_a_union_are_no_places() -> None:
    assert lines({"game": {"prompt": {"instruction": 3}}}) == [
        "game.prompt.instruction (line 6): expected a valid string or a valid list, got 3"
    ]
    assert lines({"data": {"train": [{"source": "a", "zzz": 1}]}}) == [
        "data.train.0.zzz (line 4): unknown key; valid keys here: source, split, name, kind, columns,"
        " limit, seed, options"
    ]


def test_advice() -> None:
    def warnings(**changes: Any) -> list[str]:
        return Recipe.model_validate({**BASE, **changes}).warnings()

    assert warnings() == []
    (warning,) = warnings(train={"advantage": "dcpo", "refill": {"enabled": True}})
    assert warning.startswith("train.advantage: dcpo learns from groups whose rewards are all equal")
    (warning,) = warnings(train={"loss": "disco", "advantage": "rloo"})
    assert warning.startswith("train.advantage: has no effect with loss: disco")
    assert "train.unlikeliness" in warnings(train={"unlikeliness": {}})[0]
    vllm = {"rollout": {"engine": "vllm"}, "model": {"dtype": "bfloat16"}}
    assert "train.mismatch" in warnings(**vllm)[0]
    assert warnings(**vllm, train={"mismatch": "tis"}) == []


def test_alternatives() -> None:
    assert alternatives(["a"]) == "a"
    assert alternatives(["a", "b", "c"]) == "a, b or c"


@pytest.mark.parametrize("advantage", ["reinforce_pp", "remax", "shrinkage", "dcpo"])
def test_one_rollout_for_each_prompt_is_enough_where_no_group_is_compared(advantage: str) -> None:
    curriculum = {"curriculum": "pcl"} if advantage == "shrinkage" else {}
    recipe = Recipe.model_validate(
        {**BASE, **curriculum, "train": {"advantage": advantage}, "rollout": {"rollouts_per_prompt": 1}}
    )
    assert recipe.rollout.rollouts_per_prompt == 1
