"""`python -m tests.golden.reference`: write the expected values of every file anew."""

from __future__ import annotations

from tests.golden.files import golden_files, read_cases, text_of
from tests.golden.reference import expected

for path in golden_files():
    cases = read_cases(path)
    for case in cases:
        case["expected"] = expected(case["method"], case["input"])
    path.write_text(text_of(cases), encoding="utf-8")
    print(f"{path.name}: {len(cases)} cases")
