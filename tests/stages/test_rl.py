"""The ten steps of an update with answers that the test chooses, so that every filter can be seen at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.algorithms.losses import objective
from reasonrl.engines.base import Generation, Request
from reasonrl.errors import CheckpointError, TrainingError
from reasonrl.models.logprobs import response_logprobs
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages import rl
from reasonrl.stages.context import StageContext
from reasonrl.stages.rl import RLStage
from reasonrl.stages.rl import token_rows as trained_rows
from reasonrl.trainer.policy_update import score_rows, score_rows_with_entropy
from reasonrl.trainer.timer import Timer
from reasonrl.update.rollouts import StepRollouts
from tests.tiny_runs import context, rows, tiny

Answer = Callable[[str, int], tuple[str, str]]
"""(question, how often it was asked before) -> (text, finish reason)"""


class Scripted:
    """Writes what it is told, with the log-probs that the model gives to it."""

    def __init__(self, made_for: StageContext, answer: Answer) -> None:
        self._lm, self._answer = made_for.language_model, answer
        self.asked: dict[str, int] = {}
        self.calls = 0

    def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
        self.calls += 1
        out = []
        for request in requests:
            question = self._lm.tokenizer.decode(list(request.token_ids)).removesuffix(" =")
            seen = self.asked.get(question, 0)
            self.asked[question] = seen + 1
            text, finish = self._answer(question, seen)
            tokens = self._lm.tokenizer(text)["input_ids"]
            out.append(Generation(tokens, [-1.0] * len(tokens), finish))  # type: ignore[arg-type]
        return out


def stage(folder: Path, answer: Answer, **changes: Any) -> tuple[RLStage, Scripted]:
    made = context(folder, tiny(**changes))
    engine = Scripted(made, answer)
    made.engine = engine
    return RLStage(made), engine


def gold(question: str) -> str:
    return f" {eval(question)}\n"


def half_right(question: str, seen: int) -> tuple[str, str]:
    return (gold(question) if seen % 2 else " 99\n"), "stop"


def weights(made: RLStage) -> list[torch.Tensor]:
    return [p.detach().clone() for p in made.context.model.parameters()]


def unchanged(made: RLStage, before: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(before, made.context.model.parameters(), strict=True))


def test_one_step_in_numbers(tmp_path: Path) -> None:
    made, engine = stage(tmp_path, half_right)
    before = weights(made)
    row = made.run_step(1)
    assert not unchanged(made, before)
    assert engine.calls == 1
    assert (row["groups/total"], row["groups/mixed"], row["rollouts/total"], row["rollouts/trained"]) == (4, 4, 16, 16)
    assert row["accuracy/train"] == row["reward/mean"] == row["reward/correctness"] == 0.5
    assert row["policy/surprise"] == pytest.approx(1.0), "the scripted engine says -1 of each token"
    assert row["optim/updates"] == 1
    samples = rows(made.context.folder.path / "samples.jsonl")
    assert len(samples) == 16
    for sample in samples:
        assert sample["reward"] == float(sample["verdicts"]["correctness"]["correct"])
        assert sample["advantage"] == pytest.approx(0.866 if sample["reward"] else -0.866, abs=1e-3)
        assert sample["prompt"].endswith(" =")
    assert len({(s["problem_id"], s["rollout"]) for s in samples}) == 16


def test_a_step_without_signal_moves_nothing(tmp_path: Path) -> None:
    for skip in (True, False):
        made, _ = stage(tmp_path / str(skip), lambda q, seen: (" 99\n", "stop"), train={"skip_silent_groups": skip})
        before = weights(made)
        row = made.run_step(1)
        assert unchanged(made, before)
        assert (row["groups/all_wrong"], row["optim/updates"], row["optim/grad_norm"]) == (4, 0, 0.0)


def test_refill_draws_until_enough_groups_are_mixed(tmp_path: Path) -> None:
    """Sums below 8 are always solved; the others half the time."""

    def answer(question: str, seen: int) -> tuple[str, str]:
        return half_right(question, seen) if eval(question) >= 8 else (gold(question), "stop")

    made, engine = stage(tmp_path, answer, train={"refill": {"enabled": True, "max_rounds": 20}})
    row = made.run_step(1)
    assert row["groups/mixed"] == 4
    assert row["groups/total"] == 4 + row["groups/all_correct"] > 4
    assert row["rollouts/trained"] == 16
    assert engine.calls > 1
    # As many prompts as were drawn are behind us: the next step does not see them again.
    assert made.pipeline.prompts.curriculum.state_dict()["drawn"] == row["groups/total"]


def test_refill_gives_up_after_its_rounds_and_health_counts_all_of_them(tmp_path: Path) -> None:
    made, engine = stage(
        tmp_path, lambda q, seen: (" 99\n", "stop"), train={"refill": {"enabled": True, "max_rounds": 2}},
        health={"stop_after_steps_without_signal": 2},
    )  # fmt: skip
    row = made.run_step(1)
    assert engine.calls == 3  # the first round and two more
    assert row["groups/total"] == 12
    assert row["rollouts/total"] == 48
    with pytest.raises(
        TrainingError, match=r"step 2: stopped\. no signal for 2 steps: every rollout of every group is wrong"
    ):
        made.run_step(2)


def test_silent_groups_weigh_in_the_mean_unless_refilled(tmp_path: Path) -> None:
    """As in DAPO: with refill, a group without signal is no part of the denominators."""
    hard: set[str] = set()

    def answer(question: str, seen: int) -> tuple[str, str]:
        if len(hard) < 1:
            hard.add(question)
        return half_right(question, seen) if question in hard else (gold(question), "stop")

    norms = []
    for refill in (False, True):
        hard.clear()
        spec = {"refill": {"enabled": refill, "max_rounds": 1}}
        made, _ = stage(tmp_path / str(refill), answer, train=spec, optim={"max_grad_norm": None})
        norms.append(made.run_step(1)["optim/grad_norm"])
    assert norms[1] > 2 * norms[0] > 0


def test_responses_that_were_cut_off_can_be_left_out(tmp_path: Path) -> None:
    """The fourth answer of each group is right but cut off."""

    def answer(question: str, seen: int) -> tuple[str, str]:
        return (gold(question), "length") if seen == 3 else (" 99\n" if seen else gold(question), "stop")

    made, _ = stage(tmp_path, answer, train={"mask_truncated": True})
    row = made.run_step(1)
    assert (row["rollouts/truncated"], row["rollouts/trained"]) == (4, 12)
    cut = [s for s in rows(made.context.folder.path / "samples.jsonl") if s["finish_reason"] == "length"]
    assert [s["advantage"] for s in cut] == [0.0] * 4
    assert {s["reward"] for s in cut} == {1.0}


def test_groups_that_differ_by_cut_off_responses_alone_are_silent(tmp_path: Path) -> None:
    def answer(question: str, seen: int) -> tuple[str, str]:
        return (gold(question), "length") if seen % 4 == 3 else (" 99\n", "stop")

    made, engine = stage(tmp_path, answer, train={"mask_truncated": True, "refill": {"enabled": True, "max_rounds": 1}})
    row = made.run_step(1)
    assert (row["groups/mixed"], row["groups/all_wrong"], row["rollouts/trained"]) == (0, 8, 0)
    assert engine.calls == 2


def test_kl_in_the_reward_is_taken_off_each_row(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"kl": {"coefficient": 0.5, "estimator": "k1", "where": "reward"}})
    rollouts = StepRollouts()
    made.add_round(1, rollouts, 4, Timer())
    prepared = made.pipeline.prepare(rollouts, step=1, **made.scores(rollouts))
    batch, token_rows = prepared.batch, trained_rows(rollouts.episodes)
    reference = response_logprobs(made.context.model, token_rows).logprobs.detach()  # the model has not moved yet
    expected = batch.rewards - 0.5 * ((batch.rollout_logprobs - reference) * batch.loss_mask).sum(1)
    torch.testing.assert_close(prepared.shaped_rewards, expected, atol=1e-5, rtol=0)
    assert torch.equal(batch.rewards, torch.tensor([0.0, 1.0] * 8))  # what was observed stays raw


def test_entropy_is_that_of_the_distributions_of_trained_tokens(tmp_path: Path) -> None:
    def answer(question: str, seen: int) -> tuple[str, str]:
        return half_right(question, seen) if question[0] in "01234" else (gold(question), "stop")

    row = stage(tmp_path / "a", answer)[0].run_step(1)
    twin, _ = stage(tmp_path / "b", answer)
    rollouts = StepRollouts()
    twin.add_round(1, rollouts, 4, Timer())
    prepared = twin.pipeline.prepare(rollouts, step=1)
    mask = prepared.updated_tokens(moves_all_tokens=False)
    assert 0 < int(mask.any(1).sum()) == row["rollouts/trained"] < 16, "silent groups cost nothing"
    entropy = score_rows_with_entropy(twin.context.model, trained_rows(rollouts.episodes), twin.forward)[1]
    assert row["policy/entropy"] == pytest.approx(float((entropy * mask).sum() / mask.sum()), rel=1e-5)


def test_the_reference_of_a_kl_term_does_not_move(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"kl": {"coefficient": 0.1}})
    first = made.run_step(1)
    assert first["policy/kl_ref"] == pytest.approx(0, abs=1e-6)
    reference = [p.clone() for p in made.context.reference.parameters()]
    assert made.run_step(2)["policy/kl_ref"] > 1e-6
    assert all(torch.equal(a, b) for a, b in zip(reference, made.context.reference.parameters(), strict=True))


def test_several_updates_use_the_log_probs_from_before_the_first(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right, train={"updates_per_step": 2, "epochs_per_step": 3}, optim={"lr": 0.03})
    row = made.run_step(1)
    assert row["optim/updates"] == 6
    assert row["policy/clip_fraction"] > 0


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize(("updates", "epochs"), [(1, 3), (2, 2)])
def test_old_log_probs_cost_no_pass_that_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int, epochs: int, dropout: float
) -> None:
    """Those of the first update's own pass, or of the rows that can move something, do as well as those of all rows."""
    scored: list[int] = []

    def counted(model: Any, rows: Any, forward: Any) -> Any:
        scored.append(len(rows))
        return score_rows(model, rows, forward)

    monkeypatch.setattr(rl, "score_rows", counted)
    train = {"updates_per_step": updates, "epochs_per_step": epochs}
    made, twin = (stage(tmp_path / name, half_right, train=train, optim={"lr": 0.03})[0] for name in "ab")
    made.context.model.config.attention_dropout = dropout  # is asked for, and the tiny model has none
    monkeypatch.setattr(
        twin, "old_logprobs", lambda prepared, rows: (score_rows(twin.context.model, rows, twin.forward), None)
    )
    row, expected = made.run_step(1), twin.run_step(1)
    assert row["optim/updates"] == updates * epochs
    assert scored == ([] if updates == 1 and not dropout else [row["rollouts/trained"]])
    once = stage(tmp_path / "once", half_right)[0].run_step(1)
    for name in ("policy/rollout_gap", "policy/rollout_gap_max"):  # of the weights that drew the rollouts
        assert row[name] == pytest.approx(once[name], rel=1e-4)
    if not dropout:
        for a, b in zip(made.context.model.parameters(), twin.context.model.parameters(), strict=True):
            assert torch.allclose(a, b, atol=1e-5)
        assert row["policy/clip_fraction"] == pytest.approx(expected["policy/clip_fraction"])


def test_k1_as_a_loss_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"train\.kl.*: estimator k1 in the loss has no gradient"):
        parse_recipe("name: x\ntrain: {kl: {estimator: k1, coefficient: 0.1}}\ndata: {train: {source: a.jsonl}}\n", "r")


def test_a_loss_that_is_no_number_leaves_the_run_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = stage(tmp_path, half_right)
    made.run_step(1)
    before, optimizer = weights(made), {k: v.clone() for k, v in made.context.optimizer.tensors().items()}
    token_loss = objective.token_loss

    def not_a_number(*arguments: Any, **settings: Any) -> Any:
        loss, clipped = token_loss(*arguments, **settings)
        return loss * float("nan"), clipped

    monkeypatch.setattr(objective, "token_loss", not_a_number)
    with pytest.raises(TrainingError, match="the loss is nan"):
        made.run_step(2)
    assert unchanged(made, before)
    assert all(torch.equal(v, optimizer[k]) for k, v in made.context.optimizer.tensors().items())
    assert {s["step"] for s in rows(made.context.folder.path / "samples.jsonl")} == {1}


def test_a_problem_that_comes_twice_in_a_step_is_answered_anew(tmp_path: Path) -> None:
    """Thirty problems, 32 prompts: the second pass begins within the step."""
    made = RLStage(context(tmp_path, tiny(train={"prompts_per_step": 32})))
    rollouts = StepRollouts()
    made.add_round(1, rollouts, 32, Timer())
    seen: dict[tuple[str, int], int] = {}
    for episode in rollouts.episodes:
        assert seen.setdefault((episode.problem.id, episode.rollout), episode.seed) == episode.seed
    assert len(seen) == len(rollouts.episodes) == 128
    assert len({episode.seed for episode in rollouts.episodes}) == 128
    assert len(set(rollouts.groups)) == 32


def test_the_state_of_a_stage_goes_on_where_it_stood(tmp_path: Path) -> None:
    first, _ = stage(tmp_path / "a", half_right)
    first.run_step(1)
    second, _ = stage(tmp_path / "b", half_right)
    second.load_state_dict(first.state_dict())
    assert [p.id for p in second.pipeline.prompts.choose(8)] == [p.id for p in first.pipeline.prompts.choose(8)]
    assert second.pipeline.prompts.curriculum.epoch == first.pipeline.prompts.curriculum.epoch


def test_a_checkpoint_of_an_older_version_is_refused_in_words(tmp_path: Path) -> None:
    made, _ = stage(tmp_path, half_right)
    with pytest.raises(CheckpointError, match="older reasonrl"):
        made.load_state_dict({"curriculum": {"drawn": 4}, "health": {}})
