"""docs/code.md: its rows are judged as it says, and its words are those of the program."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

from tests.e2e.commands import reasonrl_in
from verifiers.adapters import compute_score
from verifiers.code.comparison.output import OUTPUT_MODES
from verifiers.code.types import Trust
from verifiers.code.verifier import CodeVerifier
from verifiers.response import Mode
from verifiers.types import Verdict

PAGE = (Path(__file__).parents[2] / "docs" / "code.md").read_text(encoding="utf-8")
ROWS = [
    json.loads(line) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S) for line in block.splitlines()
]


def judged(*rows: dict[str, Any], **options: Any) -> list[Verdict]:
    verifier = CodeVerifier(mode="lenient", **options)
    references = [{name: value for name, value in row.items() if name in CodeVerifier.row_fields} for row in rows]
    verdicts = verifier.verify_answers([row["code"] for row in rows], references)
    verifier.close()
    return verdicts


def cells(title: str) -> list[str]:
    """The first cells of the tables of a section, without their backquotes."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `?(\w+)`?[^|]*\|", section, re.M)


def test_each_row_of_the_page_is_correct() -> None:
    assert len(ROWS) == 7
    assert [(row["id"], v.reason) for row, v in zip(ROWS, judged(*ROWS), strict=True) if v.correct is not True] == []


def test_a_wrong_program_fails_the_same_tests() -> None:
    wrong = [
        {**row, "code": row["code"].replace("2 * ", "3 * ").replace("sum", "max").replace("+", "-")} for row in ROWS
    ]
    assert [
        (row["id"], v.correct) for row, v in zip(wrong, judged(*wrong), strict=True) if v.correct is not False
    ] == []


def test_a_row_that_the_command_writes_is_shown_as_it_is(tmp_path: Path) -> None:
    (shown,) = [json.loads(text) for text in re.findall(r"^```jsonl\n(.*?)^```", PAGE, re.M | re.S)]
    (tmp_path / "rows.jsonl").write_text(json.dumps({**ROWS[0], "code": shown["extracted"]}))
    done = reasonrl_in(tmp_path, "verify", "code", "--input", "rows.jsonl", "--output", "verdicts.jsonl")
    assert done.code == 0, done.err
    row = json.loads((tmp_path / "verdicts.jsonl").read_text())
    varies = ("seconds", "isolation")
    assert {k: v for k, v in row.items() if k not in varies} == {k: v for k, v in shown.items() if k not in varies}
    assert list(row) == list(shown)


def test_the_words_of_the_tables() -> None:
    assert [name for name in cells("Tests") if name != "trust"] == [trust.value for trust in Trust]
    assert [name for name in cells("Where the program is") if name != "verifier"] == list(get_args(Mode))
    assert f"`compare` ({', '.join(OUTPUT_MODES[:-1])} or {OUTPUT_MODES[-1]})" in PAGE
    names = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]+) \|", PAGE.partition("## Verdicts")[2], re.M)))
    assert set(names) == set(CodeVerifier.detail_fields)


def test_what_the_page_says_of_equality() -> None:
    tests: list[tuple[str, Any, bool]] = [
        ("def f(): return 1", ["assert f() == True"], True),
        ("def f(): return True", ["assert f() == 1"], False),
        ("def f(): return [1]", ["assert f() == (1,)"], False),
        ("def f(): return 2.0", ["assert f() == 2"], True),
        ("def f(): return 0.1 + 0.2", ["assert f() == 0.3"], False),
        ("def f(): return 0.1 + 0.2", ["assert abs(f() - 0.3) < 1e-6"], True),
        ("def f(): return (1, 0.1 + 0.2)", {"fn_name": "f", "inputs": [""], "outputs": ["[1, 0.3]"]}, True),
        ("print('x  1.50')", {"inputs": [""], "outputs": ["x 1.5"]}, True),
        ("print('x\\n1.5')", {"inputs": [""], "outputs": ["x 1.5"]}, False),
        ("print('x\\n1.5000001')", {"public_tests": {"input": [""], "output": ["x 1.5"]}}, True),
    ]
    rows = [
        {"code": program, **(form if isinstance(form, dict) and "public_tests" in form else {"tests": form})}
        for program, form, _ in tests
    ]
    assert [v.correct for v in judged(*rows)] == [expected for *_, expected in tests]


def test_pass_rate_runs_all_tests() -> None:
    row = {"code": "def f(x): return 4", "tests": [f"assert f({x}) == {2 * x}" for x in (1, 2, 3)]}
    (stopped,), (rated,) = judged(row), judged(row, reward="pass_rate")
    assert (stopped.score, stopped.details["per_test"][1:]) == (0.0, ["not_run", "not_run"])
    assert (rated.score, rated.details["per_test"].count("passed"), rated.correct) == (1 / 3, 1, False)


def test_verls_reward_function_by_the_keys_of_the_page() -> None:
    assert "pkg://verifiers.adapters" in PAGE and "reward_kwargs.verifier=code" in PAGE
    assert compute_score("s", "```python\nf = lambda: 1\n```", ["assert f() == 1"], verifier="code")["score"] == 1.0
