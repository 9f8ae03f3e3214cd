"""MATH against lm-eval's own tasks: minerva_math500 with both metrics, and hendrycks_math500."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.peers import lm_eval_tasks
from tests.peers.cases import Case, frozen_cases, labelled_cases
from tests.peers.comparison import compare
from tests.peers.generated import MATH_LAYOUTS, math_cases
from tests.peers.known import check_list
from tests.peers.lm_eval_tasks import PeerVerdict
from tests.peers.reasons import math_reason
from tests.peers.verdicts import math_verdicts
from verifiers.types import Verdict

pytestmark = [pytest.mark.peers, pytest.mark.timeout(1800)]
WRAP = next(layout.text for layout in MATH_LAYOUTS if layout.name == "minerva, box")
"""Read by every metric but that of hendrycks_math."""


@dataclass(frozen=True)
class Judged:
    cases: list[Case]
    verdicts: list[Verdict]
    peers: dict[str, list[PeerVerdict]]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("math")
    cases = [*frozen_cases("math"), *math_cases(), *labelled_cases(gsm8k=False, wrap=WRAP)]
    return Judged(cases, math_verdicts("math500", cases, folder), lm_eval_tasks.math(cases, folder))


@pytest.mark.parametrize("name", ["minerva", "minerva math_verify", "hendrycks"])
def test_every_disagreement_has_a_class(judged: Judged, name: str) -> None:
    comparison = compare(name, f"math {name}", judged.cases, judged.verdicts, judged.peers[name], math_reason)
    assert 0 < comparison.agreements < comparison.cases


def test_what_looks_wrong_is_listed(judged: Judged) -> None:
    """Of the labelled rows those where another harness agrees with the label."""
    wrong = set()
    for number, (case, verdict) in enumerate(zip(judged.cases, judged.verdicts, strict=True)):
        others = [peers[number].correct for peers in judged.peers.values()]
        if case.correct not in (None, verdict.correct) and (
            case.origin in ("generated", "frozen") or case.correct in others
        ):
            wrong.add(case.id)
    check_list(wrong, {case.id for case in judged.cases})


def test_the_functions_are_those_of_lm_eval(tmp_path_factory: pytest.TempPathFactory) -> None:
    texts = ("Final Answer: The final answer is $0.5$. I hope it is correct.", "so $\\frac12$", "It is \\boxed{1/2}")
    cases = [Case("1", "q", "\\frac{1}{2}", text, None, "") for text in texts]
    peers = lm_eval_tasks.math(cases, tmp_path_factory.mktemp("task"))
    assert [peer.correct for peer in peers["minerva"]] == [True, False, False]
    assert [peer.correct for peer in peers["minerva math_verify"]] == [True, True, True]
    assert [peer.correct for peer in peers["hendrycks"]] == [True, True, False]
