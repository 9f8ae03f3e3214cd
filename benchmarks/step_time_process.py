"""The driver's end of one side of `step_time.py`: a worker process that makes one update each time it is told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

Update = dict[str, Any]
"""What a side tells of one update: see step_time_worker.Driver."""
_ENVIRONMENT = dict(os.environ)
"""Before `import reasonrl`, which makes threads wait patiently by a variable: a child that inherited it would take it
for the user's word, and neither side would compute as its users' processes do.
"""


class Side:
    """Use it as a context manager; the process ends with the block."""

    def __init__(self, name: str, script: str, setting: dict[str, Any]) -> None:
        self.name = name
        self.warm = False
        self._script = Path(__file__).parent / script
        self._setting = setting

    def __enter__(self) -> Side:
        quiet = {
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(self._setting["threads"]),
        }
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, str(self._script), json.dumps(self._setting)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**_ENVIRONMENT, **quiet},
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=60)  # closes its standard input, which asks it to end
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._log.close()

    def update(self) -> Update:
        """Have one more update made. Raises SystemExit with the end of what the worker wrote when it has died."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write("update\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            self._log.seek(0)
            raise SystemExit(f"{self.name} ended with exit code {code}:\n" + "".join(self._log.readlines()[-30:]))
        self.warm = True
        made: Update = json.loads(line)
        return made
