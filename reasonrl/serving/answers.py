"""Reads the final answers of drafts, so that they can vote."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from verifiers.types import Verifier

COMPARING_S = 20.0
"""Drafts whose answers take longer to compare than that, all together, vote for what they have written."""


class VerifierReader:
    """Answers as a verifier reads them; two are one answer where it says so. For verifiers with `verify_answers`."""

    def __init__(self, verifier: Verifier, options: Mapping[str, Any] | None = None) -> None:
        self._verifier = verifier
        self.options = dict(options or {})
        """Of the verifier, for traces."""

    def read(self, texts: Sequence[str], known: Sequence[str]) -> list[str | None]:
        """See `reasonrl.serving.play.Reader`."""
        verdicts = self._verifier.verify(list(texts), [{"answer": "0"}] * len(texts)) if texts else []
        groups, end = list(known), time.monotonic() + COMPARING_S
        return [None if v.extracted is None else self._group(v.extracted, groups, end) for v in verdicts]

    def _group(self, answer: str, groups: list[str], end: float) -> str:
        if answer in groups:
            return answer
        judge = getattr(self._verifier, "verify_answers", None)
        if judge is not None and groups and time.monotonic() < end:
            verdicts = judge([answer] * len(groups), [{"answer": group} for group in groups])
            for group, verdict in zip(groups, verdicts, strict=True):
                if verdict.correct is True:
                    return group
        groups.append(answer)
        return answer
