"""Evaluating sets of problems with answers and verdicts that the test chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from reasonrl import stats
from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import TrainingError
from reasonrl.evaluation.evaluate import Evaluation, Evaluator, selection_accuracy
from reasonrl.rewards.base import RewardPart
from reasonrl.runs.metrics import check_names
from verifiers.types import Problem, Status, Verdict

VERDICTS = {
    "right": Verdict(True, 1.0, Status.JUDGED, "1", "m", "", 0.0),
    "wrong": Verdict(False, 0.0, Status.JUDGED, "2", "m", "", 0.0),
    "unread": Verdict(False, 0.0, Status.UNPARSED, None, "m", "nothing to read", 0.0),
    "stuck": Verdict(None, None, Status.TIMEOUT, None, "m", "no verdict in 1 s", 0.0),
    "broken": Verdict(None, None, Status.ERROR, None, "m", "the worker died", 0.0),
}
PROBLEMS = [Problem(f"p{i}", f"{i}?", "math", {"answer": "1"}, "test", {}) for i in range(4)]


class ByText:
    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        return [VERDICTS[response] for response in responses]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return "right"


@dataclass
class Answers:
    """An environment that asks no engine: `answer(problem number, rollout, temperature)` is the response."""

    answer: Callable[[int, int, float], str]
    sampling: Sampling

    async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
        text = self.answer(int(problem.id[1:]), rollout, self.sampling.temperature)
        return Episode(problem, rollout, seed, [Trajectory("policy", [1], [2], [True], [0.0], text, "stop")])


class NoEngine:
    def generate_batch(self, requests: Sequence[Any]) -> list[Any]:
        raise AssertionError("nothing is generated here")


def evaluator(answer: Callable[[int, int, float], str], samples: int = 2, greedy: bool = True) -> Evaluator:
    return Evaluator(
        engine=NoEngine(),
        environment_for=lambda sampling: Answers(answer, sampling),
        parts=[RewardPart("correctness", 1.0, ByText())],
        sampling=Sampling(8, temperature=0.7),
        greedy=greedy,
        samples_per_problem=samples,
        seed=(0, "eval"),
        render=lambda problem: f"<{problem.prompt}>",
    )


def test_unjudged_answers_are_left_out_counted_and_bounded() -> None:
    greedy = ["right", "wrong", "stuck", "right"]
    sampled = [["right", "broken"], ["wrong", "unread"], ["stuck", "broken"], ["wrong", "right"]]

    def answer(number: int, rollout: int, temperature: float) -> str:
        return greedy[number] if temperature == 0 else sampled[number][rollout]

    result = evaluator(answer).evaluate("s", PROBLEMS, step=3)
    metrics = result.metrics
    assert result.accuracies["greedy"].interval == stats.wilson(2, 3)
    assert (metrics["eval/s/greedy"], metrics["eval/s/greedy_n"], metrics["eval/s/greedy_unjudged"]) == (2 / 3, 3, 1)
    assert metrics["eval/s/greedy_if_unjudged_wrong"] == 0.5
    assert result.accuracy == stats.clustered_mean([[1.0], [0.0, 0.0], [0.0, 1.0]])
    assert (metrics["eval/s/sampled"], metrics["eval/s/sampled_n"], metrics["eval/s/sampled_unjudged"]) == (0.4, 3, 3)
    assert metrics["eval/s/sampled_if_unjudged_wrong"] == 0.25
    assert metrics["eval/s/any_of_n"] == 2 / 3 and metrics["eval/s/any_of_n_low"] == stats.wilson(2, 3).low
    shares = {name: metrics[f"eval/s/{name}"] for name in ("timeout", "error", "unparsed", "truncated")}
    assert shares == {"timeout": 2 / 12, "error": 2 / 12, "unparsed": 1 / 12, "truncated": 0}
    assert [row["mode"] for row in result.samples] == ["greedy"] * 4 + ["sampled"] * 8
    assert {(row["step"], row["set"], row["kind"]) for row in result.samples} == {(3, "s", "eval")}
    assert result.samples[1]["prompt"] == "<1?>"
    check_names(metrics, "local")
    read = Evaluation.from_row("s", {"kind": "eval", "step": 3, **metrics})
    assert read.accuracies == result.accuracies and read.accuracy == result.accuracy


def test_the_numbers_of_an_evaluation_in_which_everything_was_judged() -> None:
    """As they always were: unread answers are wrong ones."""
    result = evaluator(lambda number, rollout, temperature: ["right", "unread", "wrong", "right"][number - rollout])
    metrics = result.evaluate("s", PROBLEMS).metrics
    wilson, clustered = stats.wilson(2, 4), stats.clustered_mean([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    for key, interval in (("eval/s/greedy", wilson), ("eval/s/sampled", clustered)):
        assert (metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"]) == interval[:3]
        assert metrics[f"{key}_if_unjudged_wrong"] == interval.estimate and metrics[f"{key}_unjudged"] == 0
    assert metrics["eval/s/any_of_n"] == 0.75


def test_nothing_judged_is_no_number_and_picks_no_checkpoint() -> None:
    stuck = evaluator(lambda *_: "stuck").evaluate("s", PROBLEMS)
    assert not {"eval/s/greedy", "eval/s/greedy_low", "eval/s/sampled", "eval/s/any_of_n"} & set(stuck.metrics)
    assert stuck.metrics["eval/s/greedy_unjudged"] == 4 and stuck.metrics["eval/s/sampled_unjudged"] == 8
    assert all(math.isfinite(value) for value in stuck.metrics.values())
    assert stuck.accuracy is None and selection_accuracy([stuck]) is None


def test_which_accuracy_picks_the_best_checkpoint() -> None:
    def answer(number: int, rollout: int, temperature: float) -> str:
        return "right" if temperature == 0 or number == 0 else "wrong"

    sampled = evaluator(answer).evaluate("a", PROBLEMS)
    greedy = evaluator(answer, samples=0).evaluate("b", PROBLEMS)
    assert selection_accuracy([sampled]) == 0.25 and selection_accuracy([greedy]) == 1.0
    assert selection_accuracy([sampled, greedy]) == 0.625
    stuck = evaluator(lambda *_: "stuck").evaluate("c", PROBLEMS)
    assert selection_accuracy([sampled, stuck]) is None, "a mean over fewer sets does not compare with other steps"
    nothing = evaluator(answer, samples=0, greedy=False).evaluate("d", PROBLEMS)
    assert selection_accuracy([]) is None and selection_accuracy([nothing]) is None


def test_a_set_without_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="the evaluation set s has no problems"):
        evaluator(lambda *_: "right").evaluate("s", [])


def with_fields(fields: dict[str, Any]) -> Evaluator:
    @dataclass
    class Adds(Answers):
        async def episode(self, problem: Problem, rollout: int, seed: int, engine: Any) -> Episode:
            episode = await super().episode(problem, rollout, seed, engine)
            episode.sample_fields = fields
            return episode

    return replace(evaluator(lambda *_: "right"), environment_for=lambda sampling: Adds(lambda *_: "right", sampling))


def test_the_columns_of_an_environment_are_in_the_rows() -> None:
    assert with_fields({"episode": 2}).evaluate("s", PROBLEMS).samples[0]["episode"] == 2


@pytest.mark.parametrize("name", ["reward", "kind", "response"])
def test_a_column_of_an_environment_does_not_replace_one_of_a_row(name: str) -> None:
    with pytest.raises(TrainingError, match=f"sample_fields has the key '{name}', a column of samples.jsonl; rename"):
        with_fields({name: 1}).evaluate("s", PROBLEMS)
