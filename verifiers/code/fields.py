"""Names of the fields of a problem's row, as `verifiers.code.formats` and `verifiers.code.source` read them."""

from __future__ import annotations

TEST_FIELDS = (
    "tests",
    "test",
    "test_list",
    "test_cases",
    "input_output",
    "ground_truth",
    "inputs",
    "public_test_cases",
    "private_test_cases",
    "public_tests",
    "private_tests",
    "generated_tests",
    "base_input",
    "plus_input",
)
"""What holds tests, in one form or another. A problem needs one of them."""
SOLUTION_FIELDS = ("reference", "solution", "canonical_solution")
"""What may hold a right program."""
_BESIDE = (
    *("prompt", "entry_point", "fn_name", "test_setup_code", "test_imports", "format", "suite", "language"),
    *("starter_code", "outputs", "metadata", "expected_output", "atol", "input_file", "output_file", "time_limit"),
    *("visible", "compare", "float_tolerance", "checker", "checker_options"),
)
ROW_FIELDS = (*TEST_FIELDS, *_BESIDE, *SOLUTION_FIELDS)
"""All that may stand in a row of its own; the first is the one that messages name."""
