"""Methods together: every combination runs, they do what they say in the trainer, and a run of them survives being
killed.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.metrics import check_names
from reasonrl.stages.rl import RLStage
from reasonrl.trainer.timer import Timer
from reasonrl.update.rollouts import StepRollouts
from tests.stages.test_kill import count_rows, kill_at, without_clock
from tests.stages.test_rl import Scripted, gold, half_right, stage
from tests.tiny_runs import (
    context,
    rows,
    run,
    tiny,
    write_recipe,
)
from verifiers.types import Status, Verdict

SWITCHES: dict[str, dict[str, Any]] = {
    "tempo": {"train": {"credit": "tempo"}},
    "knapsack": {"budget": {"name": "knapsack", "low": 2, "high": 12}, "success_rates": {"min_count": 2}},
    "pcl": {"curriculum": "pcl"},
    "unlikeliness": {"train": {"unlikeliness": {"beta": 0.25}, "drop_silent_groups": True}},
}
COMBINATIONS = [
    (advantage, [name for name, on in zip(SWITCHES, switched, strict=True) if on])
    for switched in itertools.product([False, True], repeat=4)
    for advantage in ("grpo", "dr_grpo")
]


def recipe_of(advantage: str, names: list[str], **more: Any) -> dict[str, Any]:
    made = tiny(train={"advantage": advantage}, **more)
    for name in names:
        for section, value in SWITCHES[name].items():
            old = made.get(section)
            made[section] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return made


def mixed_answers(question: str, seen: int) -> tuple[str, str]:
    """Small sums are solved, large ones never, the others now and then; answers share beginnings."""
    value = eval(question)
    right = value < 4 or (value < 14 and seen % 3 == 0)
    return (gold(question) if right else f" {value % 10}{seen % 2}\n"), "stop"


@pytest.mark.parametrize(("advantage", "names"), COMBINATIONS, ids=["+".join([a, *n]) for a, n in COMBINATIONS])
def test_every_combination_runs(advantage: str, names: list[str], tmp_path: Path) -> None:
    """All 32: three updates, finite metrics that are all explained, and weights that have moved."""
    changes = recipe_of(advantage, names)
    made, _ = stage(
        tmp_path,
        mixed_answers,
        **{key: changes[key] for key in changes if key not in ("model", "data", "verifier", "rollout")},
    )
    before = [p.detach().clone() for p in made.context.model.parameters()]
    for step in (1, 2, 3):
        row = made.run_step(step)
        check_names(row)
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, int | float))
        assert row["rollouts/total"] + row.get("budget/unspent", 0) == 16
    assert any(not torch.equal(a, b) for a, b in zip(before, made.context.model.parameters(), strict=True))
    assert ("credit/moved_share" in row) == ("tempo" in names)
    assert ("budget/rollouts_max" in row) == ("knapsack" in names)
    assert ("value/predicted_prompts" in row) == ("pcl" in names)
    assert ("shaping/likelihood_correlation" in row) == ("unlikeliness" in names)


@pytest.mark.parametrize("advantage", sorted(ADVANTAGES))
def test_every_advantage_trains(advantage: str, tmp_path: Path) -> None:
    made, _ = stage(
        tmp_path, lambda q, seen: (gold(q) if seen % 4 == 0 else " 99\n", "stop"), train={"advantage": advantage}
    )
    row = [made.run_step(step) for step in (1, 2)][-1]
    assert math.isfinite(row["loss/policy"]) and row["optim/updates"] == 1


LOSSES = [
    "ppo_clip",
    "gspo",
    "cispo",
    "geometric_mean",
    "reinforce",
    "mirror_descent",
    "dcpo_clip",
    "disco",
    "drpo",
    "trpa",
]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_on_and_off_policy(loss: str, tmp_path: Path) -> None:
    for epochs in (1, 2):
        made, _ = stage(tmp_path / str(epochs), mixed_answers, train={"loss": loss, "epochs_per_step": epochs})
        row = [made.run_step(step) for step in (1, 2)][-1]
        assert math.isfinite(row["loss/policy"]) and row["optim/grad_norm"] > 0


@pytest.mark.parametrize(
    "train",
    [
        {"d3s": {"row_share": [0.5, 0.5], "token_share": [0.5, 0.5]}},
        {"clip_advantages": 0.1},
        {"overlong": {"buffer_tokens": 3}},
        {"mismatch": {"name": "tis", "cap": 0.05}},
        {"mismatch": {"name": "icepop", "reject_above": 5.0}},
    ],
    ids=["d3s", "clip", "overlong", "tis", "icepop"],
)
def test_what_goes_beside_an_advantage(train: dict[str, Any], tmp_path: Path) -> None:
    made, _ = stage(tmp_path, mixed_answers, train=train)
    row = made.run_step(1)
    assert math.isfinite(row["loss/policy"])
    if "d3s" in train:
        assert row["rollouts/trained"] <= 8
    if "clip_advantages" in train:
        assert abs(row["loss/policy"]) <= 0.1
    if "mismatch" in train:
        assert 0 < row["policy/corrected"] <= 1  # the scripted engine says -1 of every token


def test_dump_moves_towards_the_source_that_teaches(tmp_path: Path) -> None:
    """Also when a filter drops the groups of the other source: they count as seen, and as teaching nothing."""

    def answer(question: str, seen: int) -> tuple[str, str]:
        return half_right(question, seen) if eval(question) >= 9 else (gold(question), "stop")

    recipe = tiny(curriculum="dump", train={"drop_silent_groups": True, "prompts_per_step": 8})
    made = context(tmp_path, recipe)
    train = [
        dataclasses.replace(p, source="hard" if eval(p.id.split("/")[-1]) >= 9 else "easy") for p in made.data.train
    ]
    made.data = dataclasses.replace(made.data, train=train)
    made.engine = Scripted(made, answer)
    subject = RLStage(made)
    for step in range(1, 6):
        subject.run_step(step)
    weights = subject.pipeline.prompts.curriculum.weights()  # type: ignore[union-attr]
    assert weights["hard"] > 0.9, weights


def test_the_shrinkage_baseline_gets_its_predictions_whatever_the_curriculum(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, mixed_answers, train={"advantage": "shrinkage", "prompts_per_step": 16})
    rows_ = [made.run_step(step) for step in (1, 2)]
    assert rows_[0]["value/predicted_prompts"] == 0 and rows_[1]["value/predicted_prompts"] == 16


def test_refill_with_pcl_takes_no_problem_twice_and_keeps_the_first_prediction(tmp_path: Path) -> None:
    made, _ = stage(
        tmp_path,
        mixed_answers,
        curriculum="pcl",
        train={"prompts_per_step": 6, "refill": {"enabled": True, "max_rounds": 3}},
    )
    for step in (1, 2, 3):
        made.run_step(step)
        taken = {s["problem_id"] for s in rows(made.context.folder.path / "samples.jsonl") if s["step"] == step}
        groups = {s["group"] for s in rows(made.context.folder.path / "samples.jsonl") if s["step"] == step}
        assert len(taken) == len(groups)


def test_a_time_out_that_counts_as_wrong_is_wrong_everywhere(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"on_timeout": "wrong"})
    late = Verdict(None, None, Status.TIMEOUT, None, "test", "killed", 2.0)
    original = made.context.parts[0].verifier

    class Slow:
        def verify(self, responses: Any, references: Any) -> list[Verdict]:
            return [late if v.correct is False else v for v in original.verify(responses, references)]  # type: ignore[union-attr]

    made.context.parts[0] = dataclasses.replace(made.context.parts[0], verifier=Slow())  # type: ignore[arg-type]
    row = made.run_step(1)
    assert (row["rollouts/timeout"], row["rollouts/unjudged_share"], row["accuracy/train"], row["reward/mean"]) == (
        8,
        0.0,
        0.5,
        0.5,
    )


def test_remax_does_not_take_a_broken_greedy_answer_for_a_zero(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"advantage": "remax"})
    rollouts = StepRollouts()
    made.add_round(1, rollouts, 4, Timer())
    rollouts.greedy[0] = math.nan
    prepared = made.pipeline.prepare(rollouts, step=1)
    groups = prepared.batch.group
    assert not bool(prepared.eligible[groups == 0].any()) and bool(prepared.eligible[groups == 1].all())


def test_knapsack_gives_more_to_what_is_seldom_solved(tmp_path: Path) -> None:
    """Everything has been seen once: solved sums get the least, those that are solved now and then more."""
    changes = recipe_of("grpo", ["knapsack"])
    made, _ = stage(
        tmp_path,
        mixed_answers,
        budget=changes["budget"],
        success_rates=changes["success_rates"],
        train={"prompts_per_step": 15},
    )
    for step in (1, 2, 3):
        row = made.run_step(step)
    assert row["budget/rollouts_min"] == 2 and row["budget/rollouts_max"] > 4
    given: dict[str, list[int]] = {}
    for sample in rows(made.context.folder.path / "samples.jsonl"):
        if sample["step"] == 3:
            value = eval(sample["prompt"].removesuffix(" ="))
            given.setdefault("solved" if value < 4 else "between" if value < 14 else "never", []).append(
                sample["group"]
            )
    per_prompt = {kind: len(groups) / len(set(groups)) for kind, groups in given.items()}
    assert per_prompt["between"] > per_prompt.get("solved", 2)


def test_unlikeliness_does_not_touch_solved_groups(tmp_path: Path) -> None:
    """All right: the ranks alone would make advantages; dropped by raw reward, nothing moves."""
    made, _ = stage(
        tmp_path, lambda q, seen: (gold(q), "stop"), train={"unlikeliness": {"beta": 0.25}, "drop_silent_groups": True}
    )
    before = [p.detach().clone() for p in made.context.model.parameters()]
    row = made.run_step(1)
    assert row["optim/updates"] == 0 and all(
        torch.equal(a, b) for a, b in zip(before, made.context.model.parameters(), strict=True)
    )


def test_tempo_credits_the_token_at_which_answers_part(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"credit": "tempo"})
    made.run_step(1)
    samples = rows(made.context.folder.path / "samples.jsonl")
    assert all(len(s["token_advantages"]) == len(s["response_ids"]) for s in samples)
    assert any(max(map(abs, s["token_advantages"])) > abs(s["advantage"]) + 0.1 for s in samples)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": {"credit": "tempo", "loss": "geometric_mean"}}, "geometric_mean averages over a response"),
        ({"train": {"credit": "tempo", "advantage": "gdpo"}}, "tempo needs a group baseline"),
        ({"budget": {"name": "knapsack", "low": 9, "high": 4}}, "low must not exceed high"),
        ({"budget": {"name": "knapsack", "low": 8, "high": 64}}, "must be between budget.low"),
        ({"budget": {"name": "knapsack", "low": 1}}, "budget.low"),
        ({"budget": "knapsak"}, "expected 'uniform' or 'knapsack', got 'knapsak'"),
        ({"curriculum": "plc"}, "expected 'uniform', 'pcl' or 'dump', got 'plc'"),
        ({"train": {"credit": "temp"}}, "train.credit"),
        ({"train": {"advantage": "shrinkage"}, "success_rates": {"source": "history"}}, "success_rates.source"),
        ({"train": {"unlikeliness": {"beta": 2}}}, "train.unlikeliness.beta"),
        ({"train": {"overlong": {"buffer_tokens": 99}}}, "train.overlong.buffer_tokens"),
        ({"train": {"loss": "disco", "d3s": {}}}, "train.d3s"),
        ({"train": {"loss": "disco", "clip_advantages": 1.0}}, "train.clip_advantages"),
        ({"train": {"loss": "drpo", "loss_aggregation": "token_mean"}}, "train.loss_aggregation"),
        ({"train": {"loss": "trpa", "unlikeliness": {}}}, "shapes the reward, which loss: trpa ignores"),
        (
            {"train": {"advantage": "gdpo", "overlong": {"buffer_tokens": 2}}},
            "shapes the reward as a whole, but advantage: gdpo normalises",
        ),
        (
            {"train": {"advantage": "remax", "kl": {"coefficient": 0.1, "estimator": "k1", "where": "reward"}}},
            "a penalty in the reward shapes it as a whole, but advantage: remax compares",
        ),
        ({"train": {"loss": "dcpo_clip", "clip_low": 0.1}}, "loss: dcpo_clip has no clip_low; leave it out"),
        ({"train": {"loss": "gspo", "dual_clip": 3.0}}, "train.dual_clip"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_key(changes: dict[str, Any], words: str) -> None:
    import yaml

    with pytest.raises(RecipeError, match=words.replace(".", r"\.")):
        parse_recipe(yaml.safe_dump(tiny(**changes)), "test")


def test_unlikeliness_without_a_filter_warns() -> None:
    import yaml

    (made,) = parse_recipe(yaml.safe_dump(tiny(train={"unlikeliness": {"beta": 0.25}})), "test").stages
    assert any("drop_silent_groups" in warning for warning in made.warnings())


def test_a_reward_that_is_no_number_is_never_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = stage(tmp_path, half_right)
    monkeypatch.setattr(made.pipeline.steps, "shape", lambda batch, *more: batch.rewards * float("nan"))
    with pytest.raises(TrainingError, match="shaped reward of row 0"):
        made.run_step(1)


def test_the_value_model_reads_the_policys_own_states(tmp_path: Path) -> None:
    made = RLStage(context(tmp_path, tiny(curriculum="pcl")))
    problems = made.context.data.train[:5]
    states = made.context.prompt_features(problems)
    assert states.shape == (5, made.context.model.config.hidden_size) and bool(torch.isfinite(states).all())
    alone = torch.cat([made.context.prompt_features([problem]) for problem in problems])
    torch.testing.assert_close(states, alone, atol=1e-5, rtol=1e-5)


PAIRS = [  # every pair of switches, each on and off, occurs in one of these six
    ("dr_grpo", []),
    ("dr_grpo", ["knapsack", "pcl"]),
    ("dr_grpo", ["tempo", "knapsack", "unlikeliness"]),
    ("grpo", ["unlikeliness"]),
    ("grpo", ["tempo", "pcl"]),
    ("grpo", ["tempo", "knapsack", "pcl", "unlikeliness"]),
]


def test_the_pairs_cover_every_pair() -> None:
    columns = [[advantage == "grpo", *(name in names for name in SWITCHES)] for advantage, names in PAIRS]
    for i, j in itertools.combinations(range(5), 2):
        assert {(row[i], row[j]) for row in columns} == set(itertools.product([False, True], repeat=2)), (i, j)


@pytest.mark.slow
def test_methods_survive_being_killed(tmp_path: Path) -> None:
    """One stage for each covering combination, killed in four of them at different moments, against a run that was left
    alone.
    """
    stages: list[dict[str, Any]] = [
        {
            "name": "warm-up",
            "kind": "sft",
            "sft": {"steps": 60, "rows_per_step": 16, "response": " {gold}\n"},
            "optim": {"lr": 3e-3},
        }
    ]
    for k, (advantage, names) in enumerate(PAIRS):
        made = recipe_of(advantage, names)
        keys = ("train", "budget", "curriculum", "success_rates")
        stages.append(
            {
                "name": f"s{k}",
                "kind": "rl",
                "checkpoint": {"every_steps": 2},
                **{key: made[key] for key in keys if key in made},
            }
        )
        stages[-1]["train"]["steps"] = 4
    recipe = write_recipe(tmp_path, tiny(stages=stages, evaluation={"before": False, "samples_per_problem": 0}))
    done = run(tmp_path, "train", recipe, "run_dir=whole")
    assert done.returncode == 0, done.stderr
    folders = sorted(p.name for p in (tmp_path / "whole" / "stages").iterdir())
    moments = [
        (lambda f, s=folders[k], n=n: count_rows(f / "stages" / s / "metrics.jsonl", "train") >= n)
        for k, n in ((2, 1), (3, 3), (5, 2), (6, 3))
    ]
    kill_at(recipe, "killed", moments)
    for name in folders:
        ours, theirs = tmp_path / "killed" / "stages" / name, tmp_path / "whole" / "stages" / name
        for file in ("metrics.jsonl", "samples.jsonl"):
            assert without_clock(rows(ours / file)) == without_clock(rows(theirs / file)), f"{name}/{file}"
        last = sorted(p.name for p in (theirs / "checkpoints").iterdir())[-1]
        for file in ("model.safetensors", "trainer/tensors.safetensors", "trainer/state.json"):
            assert (ours / "checkpoints" / last / file).read_bytes() == (
                theirs / "checkpoints" / last / file
            ).read_bytes(), f"{name}/{file}"


def test_the_plan_names_what_is_switched_on() -> None:
    import yaml

    from reasonrl.stages.methods_text import methods_in_words

    (made,) = parse_recipe(yaml.safe_dump(recipe_of("dr_grpo", list(SWITCHES))), "test").stages
    assert methods_in_words(made) == [
        "advantage dr_grpo",
        "loss ppo_clip, sequence_sum",
        "curriculum pcl: 16 candidates a step, used: those nearest to 0.5",
        "budget knapsack: 2 to 12 rollouts a prompt, rates from blend",
        "credit tempo",
        "unlikeliness 0.25",
        "silent groups are dropped",
    ]
