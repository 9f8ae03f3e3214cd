"""`python -m tests.verifiers.metamorphic.survey N [--seed S] [--file F]` prints the cases with the wrong verdict, the
shortest first, by transformation.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.verifiers.metamorphic.adversary import adversaries
from tests.verifiers.metamorphic.case import Case
from tests.verifiers.metamorphic.generate import around_rows, generated, rows_of
from verifiers.math import MathVerifier
from verifiers.types import Verdict

MOST_REFUSED = 0.005


@dataclass(frozen=True, slots=True)
class Failure:
    case: Case
    verdict: Verdict

    def __str__(self) -> str:
        case, verdict = self.case, self.verdict
        expected = "equal" if case.equal else "not equal"
        return (
            f"{' > '.join(case.trail)}\n    gold {case.gold!r}  {case.mode} {case.answer!r}\n    must be {expected}, is"
            f" {verdict.summary} by {verdict.method}; read {verdict.extracted!r}: {verdict.reason}"
        )


def judged(cases: Sequence[Case]) -> list[Verdict]:
    """The verdicts, in the order of the cases; one call for each mode."""
    verdicts: dict[int, Verdict] = {}
    for mode in ("bare", "lenient", "strict"):
        places = [place for place, case in enumerate(cases) if case.mode == mode]
        verifier = MathVerifier(mode="strict" if mode == "strict" else "lenient")
        judge = verifier.verify_answers if mode == "bare" else verifier.verify
        answers = [cases[place].answer for place in places]
        verdicts |= zip(places, judge(answers, [{"answer": cases[place].gold} for place in places]), strict=True)
        verifier.close()
    return [verdicts[place] for place in range(len(cases))]


def failures(cases: Sequence[Case]) -> list[Failure]:
    """The cases whose verdict is wrong, the shortest first. A row that is not judged counts as wrong."""
    wrong = [
        Failure(case, verdict)
        for case, verdict in zip(cases, judged(cases), strict=True)
        if verdict.correct is not case.equal
    ]
    return sorted(wrong, key=lambda failure: failure.case.length)


def blamed(wrong: Sequence[Failure]) -> dict[str, list[Failure]]:
    """Failures by the transformation that the shortest of them needs: a longer trail that holds it is its fault."""
    groups: dict[str, list[Failure]] = {}
    for failure in wrong:
        steps = failure.case.trail
        known = next((step for step in steps if step in groups), None)
        groups.setdefault(known or steps[-1], []).append(failure)
    return groups


def report(cases: Sequence[Case], shown: int = 2) -> str:
    wrong = failures(cases)
    lines: list[str] = []
    for equal, kind in ((False, "verdict-changing: accepted though wrong"), (True, "verdict-keeping: refused")):
        of_kind = [failure for failure in wrong if failure.case.equal is equal]
        total = sum(case.equal is equal for case in cases)
        lines.append(f"=== {kind}: {len(of_kind)} of {total}")
        groups = blamed(of_kind)
        for step in sorted(groups, key=lambda step: -len(groups[step])):
            lines.append(f"--- {step}: {len(groups[step])}")
            lines += [str(failure) for failure in groups[step][:shown]]
    return "\n".join(lines)


def cases_of_rows(path: Path, count: int, seed: int) -> list[Case]:
    """Cases around the rows of a file whose verdict is right as they stand."""
    rows = rows_of(path)
    right = [row for row, verdict in zip(rows, judged(rows), strict=True) if verdict.correct is row.equal]
    return around_rows(right, count, seed)


def check(cases: Sequence[Case], known: Mapping[str, str] | None = None) -> None:
    """Fails with the shortest cases unless no wrong answer is accepted, and at most 0.5% of the right ones are refused,
    each by a transformation in `known`, which gives the reason.
    """
    known = known or {}
    wrong = failures(cases)
    accepted = [failure for failure in wrong if not failure.case.equal]
    refused = [failure for failure in wrong if failure.case.equal]
    unexplained = [failure for failure in refused if not any(step in known for step in failure.case.trail)]
    shown = "\n".join(map(str, [*accepted[:5], *unexplained[:5]]))
    assert not accepted and not unexplained, f"{len(accepted)} accepted, {len(unexplained)} refused\n{shown}"
    most = MOST_REFUSED * sum(case.equal for case in cases)
    assert len(refused) <= most, f"{len(refused)} refused, at most {most:.0f}\n{refused[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, help="JSONL with gold, pred, equivalent in place of generated answers")
    parser.add_argument("--adversary", action="store_true", help="responses written for credit, in strict mode")
    parser.add_argument("--shown", type=int, default=2, help="failures that are printed for each transformation")
    options = parser.parse_args()
    if options.adversary:
        cases = adversaries(options.count, options.seed)
    elif options.file:
        cases = cases_of_rows(options.file, options.count, options.seed)
    else:
        cases = generated(options.count, options.seed)
    print(report(cases, options.shown))
    used = collections.Counter(step for case in cases for step in case.trail)
    print(f"{len(cases)} cases, {len(used)} transformations")


if __name__ == "__main__":
    main()
