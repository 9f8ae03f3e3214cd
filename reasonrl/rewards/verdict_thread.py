"""Judges episodes while other episodes are still running."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Sequence
from types import TracebackType

from reasonrl.environments.base import Episode
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.rewards.scoring import verify_episodes
from verifiers.types import is_thread_safe

NOTICE_S = 300.0
"""Seconds without a verdict after which a run that waits for one says so, and says so again."""


class VerdictThread:
    """Judges episodes in a thread of its own as they end, by the verifiers that are `thread_safe`.

        with VerdictThread(parts) as verdicts:
            episodes = roll_out(..., on_end=verdicts.add)
        score_episodes(episodes, parts)        # the other parts, and whatever is not judged yet

    Leaving the block waits for the verdicts, and raises what a verifier raised. A call that hangs cannot be ended from
    outside, so the run only names the part that it waits for. A verdict depends on its own response alone, so it does
    not matter which episodes are judged together. One thread: a verifier is never called twice at a time.
    """

    def __init__(self, parts: Sequence[RewardPart]) -> None:
        self._parts = [part for part in parts if part.verifier is not None and is_thread_safe(part.verifier)]
        # `call_user_code` names the user's own, with the line at which they stand.
        self._guarded = [part.name for part in self._parts if type(part.verifier) is GuardedVerifier]
        self._episodes: queue.SimpleQueue[Episode | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="verdicts", daemon=True)
        self._error: BaseException | None = None
        self._judging, self._calls = "", 0

    def add(self, episode: Episode) -> None:
        """An episode has ended."""
        self._episodes.put(episode)

    def __enter__(self) -> VerdictThread:
        if self._parts:
            self._thread.start()
        return self

    def __exit__(
        self, error_class: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._parts:
            return
        self._episodes.put(None)
        if error is not None:  # the episodes failed, so the verdicts are not needed
            return
        self._wait()
        if self._error is not None:
            raise self._error

    def _wait(self) -> None:
        """Join the thread, and name what it is at where that takes long."""
        while self._thread.is_alive():
            before = self._calls
            self._thread.join(NOTICE_S)
            if self._thread.is_alive() and self._calls == before and self._judging not in self._guarded:
                print(
                    f"reward.{self._judging}: no verdict for {NOTICE_S:g} s; its verifier is slow or hangs. Ctrl-C ends"
                    " the run. A verifiers.WorkerPool gives each response a deadline",
                    file=sys.stderr,
                    flush=True,
                )

    def _run(self) -> None:
        """Judge finished episodes, those that are waiting as one batch, until None arrives."""
        more = True
        while more:
            batch = [self._episodes.get()]
            while not self._episodes.empty():
                batch.append(self._episodes.get())
            episodes = [episode for episode in batch if episode is not None]
            more = len(episodes) == len(batch)
            try:
                for part in self._parts:
                    self._judging, self._calls = part.name, self._calls + 1
                    verify_episodes(part, episodes)
            except BaseException as error:  # raised where the block is left
                self._error = error
                return
