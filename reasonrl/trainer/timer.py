"""Where the time of a step goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Timer:
    """Sums the seconds of named phases: `with timer("rollout"): ...`. A phase may be entered several times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started

    def metrics(self) -> dict[str, float]:
        """`time/PHASE_s` of each phase."""
        return {f"time/{phase}_s": seconds for phase, seconds in self.seconds.items()}
