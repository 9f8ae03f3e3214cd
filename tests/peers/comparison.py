"""Our verdicts beside those of another harness: agreements, and the disagreements by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.peers.cases import MADE_UP, Case
from tests.peers.known import looks_wrong
from tests.peers.lm_eval_tasks import PeerVerdict
from verifiers.types import Verdict

Reason = Callable[[str, Case, Verdict, PeerVerdict], str | None]
LISTED = "ours looks wrong: tests/peers/known.py"
MOST_SHOWN = 20


@dataclass
class Comparison:
    """The figures of one metric of another harness over some cases."""

    name: str
    cases: int
    agreements: int
    accepted: tuple[int, int] = (0, 0)
    """Responses that count as right: ours, the other harness."""
    reasons: dict[tuple[str, str], int] = field(default_factory=dict)
    """(who accepts, class) -> disagreements."""
    saved: tuple[int, int] = (0, 0)
    """Of the responses that nobody here made up, agreements and all."""
    right: tuple[int, int, int] = (0, 0, 0)
    """Of the disagreements with a label: ours is right, the other is right, all."""

    def text(self) -> str:
        """A block of lines for a person."""
        right_here, right_there, labelled = self.right
        lines = [
            f"{self.name}: {self.agreements:,} of {self.cases:,} cases agree, of saved responses {self.saved[0]:,} of"
            f" {self.saved[1]:,}; ours accepts {self.accepted[0]:,}, the other {self.accepted[1]:,}; of {labelled:,}"
            f" disagreements with a label ours is right in {right_here:,}, the other in {right_there:,}"
        ]
        lines += [f"  {count:6,}  {who:<13} {reason}" for (who, reason), count in sorted(self.reasons.items())]
        return "\n".join(lines)


COMPARISONS: list[str] = []
"""What the tests of this session measured, for the summary at its end."""


def compare(
    name: str,
    title: str,
    cases: Sequence[Case],
    verdicts: Sequence[Verdict],
    peers: Sequence[PeerVerdict],
    reason_of: Reason,
) -> Comparison:
    """Raises AssertionError for a case that was not judged here, and for a disagreement without a class."""
    reasons: Counter[tuple[str, str]] = Counter()
    unexplained = []
    right = [0, 0, 0]
    for case, verdict, peer in zip(cases, verdicts, peers, strict=True):
        assert verdict.correct is not None, f"{case.id}: {verdict.status}, {verdict.reason}"
        if verdict.correct == peer.correct:
            continue
        is_wrong = case.correct not in (None, verdict.correct) and looks_wrong(case.id)
        reason = LISTED if is_wrong else reason_of(name, case, verdict, peer)
        if reason is None:
            read = f"ours reads {verdict.extracted!r:.60} ({verdict.method}), the other {peer.read!r:.60}"
            unexplained.append(f"{case.id}: gold {case.gold!r:.40}, ours {verdict.correct}: {read}")
        else:
            reasons["ours accepts" if verdict.correct else "other accepts", reason] += 1
        if case.correct is not None:
            right[0] += verdict.correct is case.correct
            right[1] += peer.correct is case.correct
            right[2] += 1
    shown = "\n".join(unexplained[:MOST_SHOWN])
    assert not unexplained, f"{name}: {len(unexplained)} disagreements without a class:\n{shown}"
    agreed = [verdict.correct == peer.correct for verdict, peer in zip(verdicts, peers, strict=True)]
    saved = [agrees for case, agrees in zip(cases, agreed, strict=True) if case.origin not in MADE_UP]
    comparison = Comparison(
        title,
        len(cases),
        sum(agreed),
        (sum(verdict.correct is True for verdict in verdicts), sum(peer.correct for peer in peers)),
        dict(reasons),
        (sum(saved), len(saved)),
        (right[0], right[1], right[2]),
    )
    COMPARISONS.append(comparison.text())
    return comparison
