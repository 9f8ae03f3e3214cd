"""verl's replay buffer with two hooks: one checks the workers while it waits, one asks for more prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import ray
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

from reasonrl.errors import TrainingError

POLL_INTERVAL_S = 0.05
"""verl looks every 2 s: longer than a whole step of a small model."""
LOOK_EVERY_S = 1.0


class SampleFromVerl(Protocol):
    """verl's own `sample`: waits for the rollouts of `batch_size` prompts."""

    def __call__(self, *, global_steps: int, partition_id: str, batch_size: int) -> tuple[Any, dict[str, Any]]: ...


class WatchedReplayBuffer(ReplayBuffer):  # type: ignore[misc]
    """A replay buffer of verl that notices dead workers.

    Args:
        buffer: verl's, as its configuration makes it; its state is taken over.
        gather: called instead of `sample`, with verl's own `sample` and its arguments.
        watch: called about once a second while rollouts are awaited; may raise.
    """

    def __init__(self, buffer: ReplayBuffer, gather: Callable[..., Any], watch: Callable[[], None]) -> None:
        if type(buffer) is not ReplayBuffer:
            raise TrainingError(
                f"verl.settings: a custom replay buffer ({type(buffer).__name__}) is not supported; leave"
                " trainer.v1.sampler.custom_sampler out"
            )
        self.__dict__.update(buffer.__dict__)
        self.poll_interval = POLL_INTERVAL_S
        self._gather, self._watch = gather, watch
        self._looked = 0.0

    def sample(self, global_steps: int, partition_id: str, batch_size: int) -> tuple[Any, dict[str, Any]]:
        return self._gather(  # type: ignore[no-any-return]
            super().sample, global_steps=global_steps, partition_id=partition_id, batch_size=batch_size
        )

    def _wait_for_next_poll(self, partition_id: str, last_debug_time: float) -> float:
        if time.monotonic() - self._looked >= LOOK_EVERY_S:
            self._looked = time.monotonic()
            self._watch()
        return float(super()._wait_for_next_poll(partition_id, last_debug_time))


class WorkerWatch:
    """Pings actors of Ray. verl waits for rollouts without end, and an agent worker that dies takes its own with it."""

    def __init__(self) -> None:
        self._pings: dict[int, Any] = {}

    def look(self, workers: Sequence[Any]) -> None:
        """Raises RayActorError for a worker that has died. Does not wait for the others."""
        for place, worker in enumerate(workers):
            ping = self._pings.pop(place, None) or worker.__ray_ready__.remote()
            if ray.wait([ping], timeout=0)[0]:
                ray.get(ping)
            else:
                self._pings[place] = ping
