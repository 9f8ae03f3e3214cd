"""A saved run under other settings: its own settings give back its own numbers; others give those of a run that had
them.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import RecipeError, UsageError
from reasonrl.recipe.reading import load_recipe
from reasonrl.runs.rejudge import new_verifiers, part_weights
from reasonrl.runs.replay import replay
from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import rows, run, tiny, write_recipe

WARM = {
    "name": "warm-up",
    "kind": "sft",
    "sft": {"steps": 60, "rows_per_step": 16, "response": " {gold}\n"},
    "optim": {"lr": 3e-3},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay")
    recipe = tiny(
        stages=[WARM, {"name": "rl", "kind": "rl", "train": {"steps": 4, "prompts_per_step": 15}}],
        evaluation={"before": False, "samples_per_problem": 0}, optim={"lr": 1e-6},
    )  # fmt: skip
    done = reasonrl_in(folder, "train", write_recipe(folder, recipe), "run_dir=run")
    assert done.code == 0, done.err
    return folder / "run" / "stages" / "02-rl"


def samples(folder: Path) -> list[dict[str, Any]]:
    return [row for row in rows(folder / "samples.jsonl") if row["kind"] == "train"]


def test_its_own_settings_give_back_its_own_numbers(trained: Path) -> None:
    made = replay(trained, [])
    saved = samples(trained)
    assert [row["reward"] for row in made.rows] == [row["reward"] for row in saved]
    assert [row["advantage"] for row in made.rows] == pytest.approx([row["advantage"] for row in saved], abs=1e-6)
    metrics = [row for row in rows(trained / "metrics.jsonl") if row["kind"] == "train"]
    for step, row in zip(made.steps, metrics, strict=True):
        assert (step.mixed, step.replayed_mixed, step.groups) == (
            row["groups/mixed"],
            row["groups/mixed"],
            row["groups/total"],
        )
        assert step.effective_share == pytest.approx(row["rollouts/effective_share"])
        assert step.budgets == step.replayed_budgets == [4] * 15
        assert step.verdicts_changed == 0
        assert step.replayed_reward == pytest.approx(step.reward) and step.replayed_advantage == pytest.approx(
            step.advantage, abs=1e-6
        )
    assert sum(step.mixed for step in made.steps) > 0, "a run without signal tests nothing"


def test_other_methods_and_other_weights(trained: Path) -> None:
    dr_grpo = replay(trained, ["train.advantage=dr_grpo"])
    for row, saved in zip(dr_grpo.rows, samples(trained), strict=True):
        assert (row["advantage"] == 0) == (saved["advantage"] == 0) and abs(row["advantage"]) <= 1
    doubled = replay(trained, ["reward.correctness.weight=2"])
    assert doubled.steps[0].replayed_reward == pytest.approx(2 * doubled.steps[0].reward)
    tempo = replay(trained, ["train.credit=tempo"])
    assert any(len(set(row["token_advantages"])) > 1 for row in tempo.rows)
    knapsack = replay(trained, ["budget={name: knapsack, high: 16}", "success_rates.min_count=2"])
    assert all(sum(step.replayed_budgets) == 60 for step in knapsack.steps)
    assert knapsack.steps[-1].replayed_budgets != [4] * 15


def test_another_verifier_judges_again(trained: Path) -> None:
    made = replay(trained, ["verifier.mode=strict"])
    assert sum(step.verdicts_changed for step in made.steps) > 0
    assert all(step.replayed_reward == 0 for step in made.steps)  # nothing is boxed


def test_a_verifier_of_another_kind_judges_again(trained: Path) -> None:
    made = replay(trained, ["verifier={name: format, pattern: integer}"])
    assert [row["verdicts"]["correctness"]["method"] for row in made.rows] == ["format.integer"] * 240
    assert sum(step.verdicts_changed for step in made.steps) > 0
    with pytest.raises(RecipeError, match="verifier: there is no verifier 'formt'"):
        replay(trained, ["verifier={name: formt}"])


def test_a_part_that_the_run_did_not_have_is_judged_by_its_verifier(trained: Path) -> None:
    made = replay(trained, ["reward.form={weight: 0.5, verifier: {name: format, pattern: integer}}"])
    for row, saved in zip(made.rows, samples(trained), strict=True):
        is_integer = float(row["response"].strip().isdigit())
        assert row["reward"] == pytest.approx(saved["reward"] + 0.5 * is_integer)
        assert row["verdicts"]["correctness"] == saved["verdicts"]["correctness"]
    assert len({row["reward_parts"]["form"] for row in made.rows}) == 2
    with pytest.raises(RecipeError, match=r"reward.form.function: a new reward function cannot be replayed"):
        replay(trained, ["reward.form={weight: 0.5, function: my_rewards:form}"])


MINE = """
from verifiers import Status, Verdict

class SmallEnough:
    def __init__(self, slack=0):
        self.slack = slack
    def verify(self, responses, references):
        return [self.judge(response.strip(), ref["at_most"]) for response, ref in zip(responses, references)]
    def judge(self, text, at_most):
        if not text.isdigit():
            return Verdict(False, 0.0, Status.UNPARSED, None, "small", "no digits", 0.0)
        correct = int(text) <= at_most + self.slack
        return Verdict(correct, float(correct), Status.JUDGED, text, "small", "compared", 0.0)
    def gold_response(self, reference):
        return str(reference["at_most"])
"""


@pytest.fixture(scope="module")
def judged_by_the_user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose problems and verifier are not math."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "my_small_verifier.py").write_text(MINE)
    problems = [
        {"id": f"p{i}", "prompt": f"{i} + {i} =", "kind": "small", "reference": {"at_most": i}} for i in range(10)
    ]
    (folder / "small.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    recipe = tiny(
        train={"steps": 2, "prompts_per_step": 8},
        evaluation={"before": False, "samples_per_problem": 0},
    )
    recipe["verifier"] = {"name": "my_small_verifier:SmallEnough"}
    recipe["data"] = {"train": {"source": "small.jsonl"}, "prompt": {"style": "text", "template": "{question}"}}
    done = run(folder, "train", write_recipe(folder, recipe), "run_dir=run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.mark.slow
def test_a_run_of_a_users_verifier_is_replayed(judged_by_the_user: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(judged_by_the_user.parent)
    made, saved = replay(judged_by_the_user, []), samples(judged_by_the_user)
    assert [row["reward"] for row in made.rows] == [row["reward"] for row in saved]
    assert [row["advantage"] for row in made.rows] == pytest.approx([row["advantage"] for row in saved], abs=1e-6)
    slack = replay(judged_by_the_user, ["verifier.slack=1000000"])
    digits = [row["response"].strip().isdigit() for row in saved]
    assert [row["reward"] for row in slack.rows] == [float(is_digits) for is_digits in digits]
    assert sum(digits) > 0, "answers without digits show nothing"


def test_the_kind_of_a_problem_comes_from_the_samples(judged_by_the_user: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(judged_by_the_user, copy)
    saved = rows(judged_by_the_user / "samples.jsonl")
    for kind, noted in (("small", False), (None, True)):
        changed = [{k: v for k, v in row.items() if k != "problem_kind"} for row in saved]
        if kind is not None:
            changed = [{**row, "problem_kind": kind} for row in changed]
        (copy / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
        made = replay(copy, [])
        assert any("without the kind of each problem" in note for note in made.notes) is noted
        assert len(made.steps) == 2


def test_tokens_that_the_policy_did_not_write_have_no_weight(judged_by_the_user: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(judged_by_the_user, copy)
    saved = rows(judged_by_the_user / "samples.jsonl")
    for row in saved:
        if row["kind"] == "train":
            row["loss_mask"] = [0] * (len(row["response_ids"]) - 1) + [1]
    (copy / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in saved))
    overlong = "train.overlong={buffer_tokens: 3, factor: 1.0}"
    whole, masked = (replay(folder, [overlong]).rows for folder in (judged_by_the_user, copy))
    assert any(row["shaped_reward"] != row["reward"] for row in whole)
    assert all(row["shaped_reward"] == row["reward"] for row in masked), "one token of the policy is not overlong"


def test_what_cannot_be_replayed_says_so(trained: Path) -> None:
    with pytest.raises(RecipeError, match="remax needs greedy"):
        replay(trained, ["train.advantage=remax"])
    with pytest.raises(RecipeError, match="KL penalty in the reward"):
        replay(trained, ["train.kl={coefficient: 0.1, estimator: k1, where: reward}"])
    with pytest.raises(RecipeError, match="d3s: needs the entropy"):
        replay(trained, ["train.d3s={}"])
    with pytest.raises(RecipeError, match="'grop' is not known"):
        replay(trained, ["train.advantage=grop"])
    with pytest.raises(UsageError, match="kind sft, which has no rewards"):
        replay(trained.parent / "01-warm-up", [])
    with pytest.raises(RecipeError, match="did you mean"):
        replay(trained, ["train.advantge=grpo"])
    assert replay(trained, ["curriculum=pcl"]).notes


def test_the_command(trained: Path, tmp_path: Path) -> None:
    done = reasonrl_in(
        tmp_path, "replay", trained.parents[1], "train.advantage=rloo", "--output", "new.jsonl", "--json"
    )
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["steps"]) == 4
    assert len(rows(tmp_path / "new.jsonl")) == 240
    shown = reasonrl_in(tmp_path, "replay", trained, "train.credit=tempo")
    assert shown.code == 0 and "mixed groups" in shown.out
    assert reasonrl_in(tmp_path, "replay", tmp_path).code == 2


def test_a_critic_is_replayed_with_the_weights_of_its_own_parts() -> None:
    (stage,) = [s for s in load_recipe("critique_rl").stages if s.kind == "rl"][-1:]
    weights = part_weights(stage)
    assert (weights["correctness"], weights["critic"]) == (0.0, 1.0)
    assert part_weights(load_recipe("quickstart").stages[0])["correctness"] == 1.0
    with pytest.raises(RecipeError, match="a critic's run can only be replayed with its own rewards"):
        new_verifiers(stage, stage, ["verifier.mode=strict"])
