"""GSM8K against lm-eval's own task: its filters strict-match and flexible-extract, its metric exact_match."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.peers import lm_eval_tasks
from tests.peers.cases import Case, frozen_cases, labelled_cases
from tests.peers.comparison import compare
from tests.peers.generated import gsm8k_cases
from tests.peers.known import check_list
from tests.peers.lm_eval_tasks import PeerVerdict
from tests.peers.reasons import gsm8k_reason
from tests.peers.verdicts import math_verdicts
from verifiers.types import Verdict

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Judged:
    cases: list[Case]
    verdicts: list[Verdict]
    peers: dict[str, list[PeerVerdict]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("gsm8k")
    cases = [*frozen_cases("gsm8k"), *gsm8k_cases(), *labelled_cases(gsm8k=True)]
    return Judged(cases, math_verdicts("gsm8k", cases, folder), lm_eval_tasks.gsm8k(cases, folder))


@pytest.mark.parametrize("name", ["strict-match", "flexible-extract"])
def test_every_disagreement_has_a_class(judged: Judged, name: str) -> None:
    comparison = compare(name, f"gsm8k {name}", judged.cases, judged.verdicts, judged.peers[name], gsm8k_reason)
    assert 0 < comparison.agreements < comparison.cases


def test_what_looks_wrong_is_listed(judged: Judged) -> None:
    rows = zip(judged.cases, judged.verdicts, strict=True)
    wrong = {case.id for case, verdict in rows if case.correct not in (None, verdict.correct)}
    check_list(wrong, {case.id for case in judged.cases})


def test_the_task_is_the_one_of_lm_eval(tmp_path_factory: pytest.TempPathFactory) -> None:
    cases = [Case("1", "q", "1,200", text, None, "") for text in ("#### 1200", "It is $1,200.", "#### 1200.0")]
    peers = lm_eval_tasks.gsm8k(cases, tmp_path_factory.mktemp("task"))
    assert [peer.correct for peer in peers["strict-match"]] == [True, False, False]
    assert [peer.correct for peer in peers["flexible-extract"]] == [True, True, False]
    assert [peer.read for peer in peers["strict-match"]] == ["1200", "[invalid]", "1200.0"]
