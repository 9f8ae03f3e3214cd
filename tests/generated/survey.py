"""Tries generated cases without stopping at the first that fails, and prints what came of them.

python -m tests.generated.survey            # 500 cases, others each time
python -m tests.generated.survey 2000       # more of them
"""

from __future__ import annotations

import collections
import sys
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.generated.case import Case, Outcome, complaints
from tests.generated.mixture import GROUPS, cases, examples


def survey(group: str, total: int) -> tuple[collections.Counter[str], dict[str, tuple[Case, Outcome]]]:
    """Exit codes with their counts, and one case for each complaint."""
    codes: collections.Counter[str] = collections.Counter()
    failures: dict[str, tuple[Case, Outcome]] = {}

    @settings(
        max_examples=examples(group, total),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def every_case(data: st.DataObject) -> None:
        case = data.draw(cases(group))
        wrong, outcome = complaints(case)
        codes["wrong" if wrong else f"exit {outcome.code}"] += 1
        if wrong:
            failures.setdefault(f"{case.about}: {'; '.join(wrong)}", (case, outcome))

    every_case()
    return codes, failures


def main() -> None:
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    failed = 0
    for group in GROUPS:
        started = time.perf_counter()
        codes, failures = survey(group, total)
        for about, (case, outcome) in failures.items():
            print(f"\n### {about}\n{case!r}\n{(outcome.escaped or outcome.err or outcome.out)[-1500:]}")
        failed += len(failures)
        seconds = time.perf_counter() - started
        print(f"{group}: {sum(codes.values())} cases in {seconds:.0f} s: {dict(codes)}", file=sys.stderr)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
