"""docs/extending.md, "When your code fails": the local columns of the table are what a step really does."""

from __future__ import annotations

import ast
import math
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import TrainingError
from reasonrl.stages.rl import RLStage
from reasonrl.trainer.timer import Timer
from reasonrl.update.rollouts import StepRollouts
from tests.docs.test_extending import SECTIONS
from tests.tiny_runs import context, tiny
from verifiers.types import Problem, Status, Verdict

ROOT = Path(__file__).parents[2]
HANGING = threading.Event()
"""Set where what hangs may end."""


def not_judged(responses: Sequence[str], problems: Sequence[Problem]) -> list[float | None]:
    return [None if number % 2 else 1.0 for number in range(len(responses))]


def raises(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    raise LookupError("in the reward function")


def hangs(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    HANGING.wait(timeout=60)
    return [0.0] * len(responses)


def nan(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    return [math.nan] * len(responses)


def too_few(responses: Sequence[str], problems: Sequence[Problem]) -> list[float]:
    return [0.0]


class Judge:
    """Sound while the data are checked, `how` afterwards."""

    how = ""

    def gold_response(self, reference: dict[str, Any]) -> str:
        return str(reference["answer"])

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        if self.how == "raises":
            raise LookupError("in the verifier")
        if self.how == "hangs":
            HANGING.wait(timeout=60)
        score = math.nan if self.how == "nan" else 0.0
        verdicts = [
            Verdict(True, 1.0, Status.JUDGED, None, "judge", "", 0.0)
            if text == reference["answer"]
            else Verdict(False, score, Status.JUDGED, None, "judge", "", 0.0)
            for text, reference in zip(responses, references, strict=True)
        ]
        if self.how == "not_judged":
            verdicts[::2] = [Verdict(None, None, Status.ERROR, None, "judge", "broke", 0.0)] * len(verdicts[::2])
        return verdicts[:1] if self.how == "too_few" else verdicts


def rollouts_with(part: str, how: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> StepRollouts:
    """Steps 1 to 5 of a tiny run whose reward function, or whose verifier, does `how`."""
    module = "tests.docs.test_extending_failures"
    recipe = tiny()
    if part == "reward function":
        recipe["reward"] = {"correctness": 1.0, "mine": {"weight": 1.0, "function": f"{module}:{how}"}}
    else:
        recipe["verifier"] = {"name": f"{module}:Judge"}
    stage = RLStage(context(folder, recipe))
    monkeypatch.setattr(Judge, "how", how)
    return stage.gather_rollouts(1, Timer())


def cells() -> dict[str, list[str]]:
    """The rows of the table: the first cell, then reward function local and verl, verifier local and verl."""
    lines = [line for line in SECTIONS["When your code fails"].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0][1:] == ["reward function, local", "reward function, verl", "verifier, local", "verifier, verl"]
    return {row[0].partition(" (")[0]: row[1:] for row in rows[2:]}


TABLE = cells()
CASES = {
    "returns None": "not_judged",
    "returns a verdict `TIMEOUT` or `ERROR`": "not_judged",
    "raises an exception": "raises",
    "hangs": "hangs",
    "returns NaN or infinity": "nan",
    "returns too few or too many values": "too_few",
}

NOT_FOR = {"reward function": "returns a verdict `TIMEOUT` or `ERROR`", "verifier": "returns None"}
"""The row that says nothing about this part."""
CELLS = [
    (part, column, row)
    for part, column in (("reward function", 0), ("verifier", 2))
    for row in CASES
    if row != NOT_FOR[part]
]


def test_every_row_of_the_table_is_tested() -> None:
    """The last row is tested in test_extending.py."""
    assert all(
        TABLE[row][column : column + 2] == ["", ""]
        for column, row in ((0, NOT_FOR["reward function"]), (2, NOT_FOR["verifier"]))
    )
    assert list(TABLE) == [*CASES, "hangs or crashes in a `WorkerPool`"]


@pytest.mark.parametrize(("part", "column", "row"), CELLS)
def test_a_local_cell(part: str, column: int, row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = TABLE[row][column]
    if cell == "the run hangs":
        HANGING.clear()
        errors: list[BaseException] = []

        def step() -> None:
            try:
                rollouts_with(part, CASES[row], tmp_path, monkeypatch)
            except BaseException as error:  # shown by the assertion below
                errors.append(error)

        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        time.sleep(4)
        waiting = thread.is_alive()
        HANGING.set()
        thread.join(timeout=30)
        assert waiting and not thread.is_alive() and not errors
    elif cell == "the run stops":
        with pytest.raises((LookupError, TrainingError, ValueError)):
            rollouts_with(part, CASES[row], tmp_path, monkeypatch)
    else:
        rollouts = rollouts_with(part, CASES[row], tmp_path, monkeypatch)
        assert cell.startswith("masked")
        masked = [reward is None for reward in rollouts.rewards]
        assert masked == [number % 2 == (part == "reward function") for number in range(len(masked))]


def test_the_exceptions_that_mask_a_rollout_on_verl() -> None:
    """As the page names them. verl is not installed here, so its file is read."""
    source = (ROOT / "reasonrl" / "verl_backend" / "agent_loop.py").read_text(encoding="utf-8")
    (names,) = [
        [ast.unparse(element) for element in node.value.elts]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TRANSIENT_ERRORS"
        if isinstance(node.value, ast.Tuple)
    ]
    assert names == ["ModelError", "ServedFailure", "TimeoutError", "OSError", "RayError"]
    text = SECTIONS["When your code fails"]
    assert re.search(r"An `OSError`, a `TimeoutError` or an error of Ray", text)
