"""Kills an evaluation at random moments; it must go on as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tiny_runs import command, environment

PROBLEMS, ANSWERS = 400, 3
_FILES = ("results.json", "samples.jsonl", "settings.json")
_TORN = '{"kind": "eval", "set": "gs'
"""What a kill in the middle of a write leaves."""


class KilledEvaluation:
    """An evaluation of 1,200 answers in `folder`/killed, beside one that ran through in `folder`/whole."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        rows = [
            {"source": "gsm8k_test", "id": f"g/{n}", "problem": f"What is {n} + 1?", "answer": str(n + 1)}
            for n in range(PROBLEMS)
        ]
        (folder / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        words = ["eval", model, "--benchmarks", "gsm8k=copy.jsonl", "--n", str(ANSWERS), "--temperature", "1"]
        self._words = [*words, "--max-new-tokens", "8", "--offline", "--output"]
        started = time.monotonic()
        self._finish("whole")
        self.seconds = time.monotonic() - started

    def kill(self, rng: random.Random, *, after_first_chunk: bool) -> bool:
        """Whether it was killed before its end.

        Args:
            after_first_chunk: wait until answers stand in the file, so that something can be lost.
        """
        process = subprocess.Popen(
            command(*self._words, "killed"),
            cwd=self._folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        if after_first_chunk:
            for line in process.stderr:
                if f" of {PROBLEMS * ANSWERS:,} answers" in line and int(line.split()[1].replace(",", "")) > 0:
                    break
            time.sleep(rng.uniform(0.0, 1.0))
        else:
            time.sleep(rng.uniform(0.0, self.seconds))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        return not (self._folder / "killed" / "results.json").exists()

    def tear_last_line(self) -> None:
        with (self._folder / "killed" / "samples.jsonl").open("a", encoding="utf-8") as file:
            file.write(_TORN)

    def finish(self) -> int:
        """Starts it once more, and says how many answers it found there. Everything must be the same, bit for bit."""
        text = "" if (self._folder / "killed" / "results.json").exists() else self._finish("killed")
        self._compare()
        shutil.rmtree(self._folder / "killed")
        counts = [int(line.split()[1].replace(",", "")) for line in text.splitlines() if " answers" in line]
        return counts[0] if counts else PROBLEMS * ANSWERS

    def _compare(self, files: Sequence[str] = _FILES) -> None:
        for name in files:
            assert (self._folder / "killed" / name).read_bytes() == (self._folder / "whole" / name).read_bytes(), name

    def _finish(self, output: str) -> str:
        result = subprocess.run(
            command(*self._words, output), cwd=self._folder, env=environment(), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        return result.stderr
