"""A run whose reward function or verifier fails ends with one message and the right exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny_runs import run, tiny, write_recipe

FUNCTION: dict[str, Any] = {"reward": {"correctness": 1.0, "mine": {"weight": 1.0, "function": "my_code:f"}}}
VERIFIER: dict[str, Any] = {"verifier": "my_code:Mine"}


@pytest.mark.parametrize(
    ("code", "changes", "exit_code", "message"),
    [
        (
            "def f(responses, problems):\n    exit(0)\n",
            FUNCTION,
            1,
            "error: reward.mine.function: sys.exit(0) was called (my_code.py, line 2)\n",
        ),
        (
            "async def f(responses, problems):\n    return {i: 1.0 for i, _ in enumerate(responses)}\n",
            FUNCTION,
            1,
            "error: reward.mine.function: returned a value of type dict for ",
        ),
        (
            "class Mine:\n    def __init__(self): {}['key']\n",
            VERIFIER,
            2,
            "error: verifier: my_code:Mine cannot be loaded: KeyError: 'key' (my_code.py, line 2)\n",
        ),
    ],
)
def test_the_command_says_what_failed(
    tmp_path: Path, code: str, changes: dict[str, Any], exit_code: int, message: str
) -> None:
    (tmp_path / "my_code.py").write_text(code)
    recipe = tiny(train={"steps": 1}, evaluation={"before": False, "samples_per_problem": 1}) | changes
    done = run(tmp_path, "train", write_recipe(tmp_path, recipe), "--quiet")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == exit_code


@pytest.mark.slow
def test_an_async_function_trains(tmp_path: Path) -> None:
    (tmp_path / "my_code.py").write_text("async def f(responses, problems):\n    return [1.0 for _ in responses]\n")
    done = run(tmp_path, "train", write_recipe(tmp_path, tiny(train={"steps": 1}) | FUNCTION), "--quiet")
    assert done.returncode == 0, done.stderr
