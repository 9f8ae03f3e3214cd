"""Benchmarks read rows of the shape that their publishers have, and copies in our columns."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import DataError, UsageError
from reasonrl.evaluation.benchmarks import BENCHMARKS, find_benchmark, golds
from reasonrl.evaluation.benchmarks.base import KnownError, question_key
from reasonrl.evaluation.benchmarks.loading import KnownErrors, load_benchmark
from reasonrl.evaluation.benchmarks.prompts import EXAMPLES
from reasonrl.setup.benchmarks import choose_prompt
from verifiers.loading import load_verifier

CHECK = "def check(candidate):\n    assert candidate(2) == 4\n"
MBPP = {"task_id": 11, "text": "Double it.", "code": "def f(x): return 2 * x", "test_list": ["assert f(1) == 2"]}
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": "def double(x):\n    '''Twice x.'''\n",
    "canonical_solution": "    return 2 * x\n",
    "test": CHECK,
    "entry_point": "double",
}
UNITTEST = """import unittest
from unittest.mock import patch

class TestCases(unittest.TestCase):
    def test_keys(self):
        self.assertEqual(task_func('{"b": 1, "a": 2}'), ["a", "b"])
    @patch("json.loads", return_value={"c": 3})
    def test_that_it_reads_json(self, loads):
        self.assertEqual(task_func("{}"), ["c"])
        loads.assert_called_once_with("{}")
"""
THEOREM = {
    "name": "swap",
    "split": "test",
    "informal_prefix": "/-- Both, in the other order. -/\n",
    "formal_statement": "theorem swap (p q : Prop) (h : And p q) : And q p := by\n",
    "goal": "p q : Prop\nh : And p q\n⊢ And q p",
    "header": "import Mathlib\n\nopen Nat\n\n",
}
STDIN = {"input": ["2\n"], "output": ["4\n"]}
PUBLISHED: dict[str, tuple[dict[str, Any], str | None]] = {
    "gsm8k": ({"question": "How many?", "answer": "3 * 400 = <<3*400=1200>>1200\n#### 1,200"}, "1200"),
    "gsm8k_platinum": ({"question": "How many?", "answer": "#### 7", "cleaning_status": "consensus"}, "7"),
    "gsm_hard": ({"input": "How many?", "code": "def solution(): ...", "target": 1234567.5}, "1234567.5"),
    "math500": (
        {
            "problem": "Find $x$.",
            "solution": "\\boxed{\\frac12}",
            "answer": "\\frac12",
            "subject": "Algebra",
            "level": 5,
            "unique_id": "test/algebra/1.json",
        },
        "\\frac12",
    ),
    "math_level5": (
        {"problem": "Find.", "solution": "So $x$ is \\boxed{17}.", "level": "Level 5", "type": "Algebra"},
        "17",
    ),
    "aime24": ({"ID": "2024-I-1", "Problem": "Find $n$.", "Solution": "...", "Answer": "025"}, "25"),
    "aime25": ({"problem": "Find $n$.", "answer": "070", "id": "3"}, "70"),
    "aime26": ({"problem_idx": 1, "problem": "Find $n$.", "answer": 277, "problem_type": ["Algebra"]}, "277"),
    "hmmt_feb25": (
        {"problem_idx": 1, "problem": "Find it.", "answer": "\\sqrt{2}", "problem_type": ["A"]},
        "\\sqrt{2}",
    ),
    "amc23": ({"id": 0, "question": "Find it.", "answer": 27.0, "url": "u"}, "27"),
    "minerva": (
        {"problem": "How far?", "solution": "Thus \\boxed{4.5e33} erg/s.", "type": "Astronomy", "idx": 0},
        "4.5e33",
    ),
    "olympiadbench": (
        {
            "id": 1606,
            "question": "Find all $n$.",
            "context": None,
            "solution": ["..."],
            "final_answer": ["2", "$-3$"],
            "is_multiple_answer": True,
            "unit": None,
            "answer_type": "Numerical",
            "error": None,
        },
        "2, -3",
    ),
    "humaneval": (HUMANEVAL, None),
    "humaneval_plus": (HUMANEVAL, None),
    "mbpp": (MBPP | {"test_setup_code": "", "challenge_test_list": []}, None),
    "mbpp_plus": (MBPP | {"prompt": "Double it.", "test_imports": [], "test": "assert f(3) == 6"}, None),
    "livecodebench": (
        {
            "question_content": "Double it.",
            "question_id": "1873_A",
            "contest_date": "2024-10-05T00:00:00",
            "starter_code": "",
            "public_test_cases": json.dumps([{"input": "2\n", "output": "4\n", "testtype": "stdin"}]),
            "private_test_cases": "[]",
            "metadata": "{}",
        },
        None,
    ),
    "code_contests": (
        {
            "name": "1_A",
            "description": "Double it.",
            "public_tests": STDIN,
            "private_tests": STDIN,
            "generated_tests": STDIN,
        },
        None,
    ),
    "bigcodebench_hard": (
        {
            "task_id": "BigCodeBench/13",
            "complete_prompt": "import json\n\ndef task_func(text):\n    '''The keys of a JSON object.'''\n",
            "instruct_prompt": "Write a function that returns the keys.",
            "canonical_solution": "    return sorted(json.loads(text))\n",
            "code_prompt": "import json\ndef task_func(text):\n",
            "test": UNITTEST,
            "entry_point": "task_func",
            "libs": "['json']",
        },
        None,
    ),
    "minif2f": (THEOREM, None),
    "minif2f_valid": (THEOREM | {"split": "valid"}, None),
    "proofnet": (THEOREM, None),
    "putnambench": (
        {"name": "putnam_1962_a1", "code": "import Mathlib\n\ntheorem putnam_1962_a1 : 1 = 1 := sorry"},
        None,
    ),
}
"""Name -> a made row with the columns of the hub, and the gold that it must give."""


def write(folder: Path, *rows: dict[str, Any], name: str = "copy.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_every_benchmark_has_a_row_here() -> None:
    assert set(PUBLISHED) == set(BENCHMARKS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_row_of_the_hub_becomes_a_problem_that_its_verifier_reads(name: str, tmp_path: Path) -> None:
    benchmark, (row, gold) = find_benchmark(name), PUBLISHED[name]
    assert benchmark.name == name and benchmark.licence and benchmark.prompts
    assert {prompt.style for prompt in benchmark.prompts.values()} == {"chat", "text"}, "for both kinds of models"
    (problem,) = load_benchmark(benchmark, path=write(tmp_path, row)).problems
    assert problem.kind == benchmark.kind and problem.id
    if gold is not None:
        assert problem.reference["answer"] == gold
        verifier = load_verifier(benchmark.verifier["name"], mode=benchmark.verifier["mode"])
        assert verifier.verify([f"It is \\boxed{{{gold}}}."], [problem.reference])[0].correct is True
    else:
        assert any(problem.reference.get(key) for key in ("tests", "public_test_cases", "public_tests", "statement"))


@pytest.mark.parametrize("name", [name for name, (_, gold) in PUBLISHED.items() if gold is not None])
def test_a_copy_in_our_columns_is_read(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "mine/1", "problem": "What?", "answer": "7"})
    (problem,) = load_benchmark(find_benchmark(name), path=path).problems
    assert (problem.prompt, problem.reference["answer"]) == ("What?", "7")


@pytest.mark.parametrize("name", [name for name, (_, gold) in PUBLISHED.items() if gold is not None])
def test_other_columns_are_refused_with_the_set_that_it_was_written_for(name: str, tmp_path: Path) -> None:
    benchmark = find_benchmark(name)
    with pytest.raises(DataError) as caught:
        load_benchmark(benchmark, path=write(tmp_path, {"text": "What?", "label": "7"}))
    assert benchmark.hub is not None
    assert "line 1: no column" in str(caught.value) and benchmark.hub.hub_id in str(caught.value)


def test_rows_of_several_sets_are_told_apart(tmp_path: Path) -> None:
    rows = [
        {"source": source, "problem": f"{n}?", "answer": str(n)} for n, source in enumerate(["gsm8k_test", "math500"])
    ]
    path = write(tmp_path, *rows)
    loaded = load_benchmark(find_benchmark("math500"), path=path)
    assert [problem.prompt for problem in loaded.problems] == ["1?"]
    assert "1 of the 2 rows of copy.jsonl are of math500" in loaded.notes[0] and "MATH-500 has 500" in loaded.notes[1]
    with pytest.raises(UsageError, match="they are of gsm8k, and none of minerva"):
        load_benchmark(find_benchmark("minerva"), path=path)


def test_level_five_alone(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}?", "solution": f"\\boxed{{{n}}}", "level": f"Level {n}"} for n in range(1, 6)]
    loaded = load_benchmark(find_benchmark("math_level5"), path=write(tmp_path, *rows))
    assert [problem.reference["answer"] for problem in loaded.problems] == ["5"]


def test_contests_outside_of_the_window_are_left_out(tmp_path: Path) -> None:
    row, _ = PUBLISHED["livecodebench"]
    rows = [
        row | {"question_id": str(n), "contest_date": f"{date}T00:00:00"}
        for n, date in enumerate(["2024-07-31", "2025-01-01"])
    ]
    loaded = load_benchmark(find_benchmark("livecodebench"), path=write(tmp_path, *rows))
    assert [problem.id for problem in loaded.problems] == ["1"]


def test_the_hash_is_of_the_problems(tmp_path: Path) -> None:
    one = {"id": "1", "problem": "What?", "answer": "7"}
    hashes = {
        load_benchmark(find_benchmark("gsm8k"), path=write(tmp_path, *rows, name=f"{n}.jsonl")).data_hash
        for n, rows in enumerate(
            [[one], [one | {"source": "gsm8k"}], [one | {"answer": "8"}], [one | {"problem": "Who?"}]]
        )
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("clean", "value", "gold"),
    [
        (golds.integer, "073", "73"),
        (golds.integer, "\\boxed{204}", "204"),
        (golds.integer, 27.0, "27"),
        (golds.integer, "0", "0"),
        (golds.integer, "000", "0"),
        (golds.integer, "-5", "-5"),
        (golds.integer, "204", "204"),
        (golds.integer, "104", "104"),
        (golds.marked, "so\n#### -1,234", "-1234"),
        (golds.marked, "18", "18"),
        (golds.several, "['1', '2']", "1, 2"),
        (golds.several, ["$(1, 2)$"], "(1, 2)"),
        (golds.several, "[1, 2)", "[1, 2)"),
        (golds.several, "3", "3"),
        (golds.plain, 4.5, "4.5"),
    ],
)
def test_golds(clean: Any, value: Any, gold: str) -> None:
    assert clean(value) == gold


@pytest.mark.parametrize(
    ("clean", "value"),
    [
        (golds.integer, "1/2"),
        (golds.integer, "27.5"),
        (golds.plain, ""),
        (golds.plain, True),
        (golds.several, []),
        (golds.plain, None),
    ],
)
def test_golds_that_cannot_be_read(clean: Any, value: Any) -> None:
    with pytest.raises(ValueError, match="answer"):
        clean(value)


def test_an_unknown_benchmark() -> None:
    with pytest.raises(UsageError, match=r"no benchmark 'gsm8'.*gsm8k"):
        find_benchmark("gsm8")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_variant_of_the_prompt_fits_the_model(name: str) -> None:
    benchmark = find_benchmark(name)
    for chats, style in ((True, "chat"), (False, "text")):
        chosen, prompt = choose_prompt(benchmark, None, chats=chats)
        assert prompt.style == style and choose_prompt(benchmark, chosen, chats=True) == (chosen, prompt)
        assert "{question}" in prompt.template
    chat = next(name for name, prompt in benchmark.prompts.items() if prompt.style == "chat")
    with pytest.raises(UsageError, match="the model has no chat template"):
        choose_prompt(benchmark, chat, chats=False)


def test_examples_of_the_few_shot_prompt_are_right() -> None:
    verifier = load_verifier("math", mode="strict")
    for (_, answer), gold in zip(EXAMPLES, ("12", "150", "12", "6.5"), strict=True):
        assert verifier.verify([answer], [{"answer": gold}])[0].correct is True


@pytest.mark.parametrize(
    ("treatment", "golds_read", "said"),
    [
        (
            "count",
            ["1", "2", "3"],
            "2 problems are known to be judged wrongly: b (it is wrong), c (it is wrong); counted",
        ),
        ("exclude", ["1"], "; left out"),
        ("mend", ["1", "20"], "right answers are put in for 1, and 1 are left out"),
    ],
)
def test_known_errors(treatment: KnownErrors, golds_read: list[str], said: str, tmp_path: Path) -> None:
    rows = [{"id": c, "question": f"{c}{c}, $ {c}!", "answer": f"#### {n}"} for n, c in enumerate("abc", start=1)]
    errors = tuple(
        KnownError(question_key(question), "it is wrong", "a thread", gold)
        for question, gold in {"BB b?": "20", "cc  c": None}.items()
    )
    benchmark = replace(find_benchmark("gsm8k"), known_errors=errors)
    loaded = load_benchmark(benchmark, path=write(tmp_path, *rows), limit=3, known_errors=treatment)
    assert [problem.reference["answer"] for problem in loaded.problems] == golds_read
    assert list(loaded.known_errors) == ["b", "c"] and any(said in note for note in loaded.notes)


def test_a_row_is_known_by_the_end_of_its_id(tmp_path: Path) -> None:
    rows = [HUMANEVAL | {"task_id": name} for name in ("HumanEval/7", "HumanEval/47")]
    loaded = load_benchmark(find_benchmark("humaneval"), path=write(tmp_path, *rows), known_errors="exclude")
    assert [problem.id for problem in loaded.problems] == ["HumanEval/7"]


def test_no_known_error_is_named_twice() -> None:
    for name in BENCHMARKS:
        rows = [error.row for error in find_benchmark(name).known_errors]
        assert len(rows) == len(set(rows)), name


def test_a_reference_of_bigcodebench_is_right_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    row, _ = PUBLISHED["bigcodebench_hard"]
    (problem,) = load_benchmark(find_benchmark("bigcodebench_hard"), path=write(tmp_path, row)).problems
    with closing(load_verifier("code")) as verifier:
        right = verifier.gold_response(problem.reference)
        wrong = right.replace("sorted(json.loads(text))", "sorted(eval(text))")
        assert wrong != right
        verdicts = verifier.verify([right, wrong], [problem.reference] * 2)
    assert [verdict.correct for verdict in verdicts] == [True, False], verdicts


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("humaneval", "    return 2 * x\n", "    return x\n"),
        ("mbpp", "def f(x):\n    return 2 * x\n", "def f(x):\n    return 1\n    return 2 * x\n"),
        ("code_contests", "print(2 * int(input()))\n", "print(2)\n"),
    ],
)
def test_what_a_base_model_goes_on_with_is_judged(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    benchmark, (row, _) = find_benchmark(name), PUBLISHED[name]
    row = row if name != "mbpp" else row | {"test_list": ["assert f(1) == 2", "assert f(3) == 6"]}
    (problem,) = load_benchmark(benchmark, path=write(tmp_path, row)).problems
    _, prompt = choose_prompt(benchmark, None, chats=False)
    options = {**benchmark.verifier, **prompt.verifier}
    with closing(load_verifier(options.pop("name"), **options)) as verifier:
        blocks = [f"```python\n{program}\n```" for program in (right, wrong)]
        verdicts = verifier.verify([right, wrong, "", *blocks], [problem.reference] * 5)
        if "solution" in problem.reference:
            verdicts += verifier.verify([verifier.gold_response(problem.reference)], [problem.reference])
    assert [verdict.correct for verdict in verdicts[:5]] == [True, False, False, True, False], verdicts
    assert all(verdict.correct for verdict in verdicts[5:]), "the gold answers are checked in the same form"
