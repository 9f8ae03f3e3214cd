"""`reasonrl eval MODEL --benchmarks NAME=FILE` as a user sees it, with a tiny random model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from reasonrl import UsageError, evaluate_benchmarks
from tests.e2e.commands import reasonrl_in
from tests.evaluation.benchmarks.kills import KilledEvaluation

MODEL = "tiny-critic"


def copy_of_gsm8k(folder: Path, count: int) -> None:
    rows = [
        {"source": "gsm8k_test", "id": f"g/{n}", "problem": f"What is {n} + 1?", "answer": str(n + 1)}
        for n in range(count)
    ]
    (folder / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def evaluate(folder: Path, *more: str, n: int = 2) -> Any:
    words = ("--benchmarks", "gsm8k=copy.jsonl", "--n", str(n), "--temperature", "1", "--max-new-tokens", "8")
    return reasonrl_in(folder, "eval", MODEL, *words, "--offline", *more)


def test_scores_with_intervals_and_everything_that_they_depend_on(tmp_path: Path) -> None:
    copy_of_gsm8k(tmp_path, 6)
    result = evaluate(tmp_path, "--output", "out", "--json")
    assert result.code == 0, result.err
    value = json.loads(result.out)
    assert value == json.loads((tmp_path / "out" / "results.json").read_text())
    figures, facts = value["results"]["gsm8k"], value["benchmarks"]["gsm8k"]
    assert (figures["problems"], figures["samples_per_problem"], figures["answers"]) == (6, 2, 12)
    assert list(figures["pass_at"]) == ["1", "2"] and figures["truncated"] + figures["unparsed"] > 0
    assert {"estimate", "low", "high", "n"} == set(figures["accuracy"]) == set(figures["majority"])
    assert facts["sampling"] == {
        "samples_per_problem": 2,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "max_new_tokens": 8,
        "stop": [],
    }
    assert len(facts["data_hash"]) == len(facts["prompt_hash"]) == 32 and facts["prompt"] == "boxed"
    samples = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 12 and "\\boxed{}" in samples[0]["prompt"]
    table = evaluate(tmp_path).out
    assert "gsm8k" in table and "6 x 2" in table and "maj@n" in table and "95%" in table
    compared = reasonrl_in(tmp_path, "compare", "out", "out")
    assert compared.code == 0 and "No measurable difference" in compared.out


def test_other_settings_are_another_evaluation(tmp_path: Path) -> None:
    copy_of_gsm8k(tmp_path, 3)
    assert evaluate(tmp_path, "--output", "a").code == 0
    (tmp_path / "a" / "results.json").unlink()
    refused = evaluate(tmp_path, "--output", "a", "--seed", "5").refusal()
    assert "holds answers of another evaluation: seed was 0 and is 5" in refused


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--benchmarks", "gsm8"), "there is no benchmark 'gsm8'"),
        (("--benchmarks", "gsm8k=copy.jsonl,gsm8k=copy.jsonl"), "gsm8k is named twice"),
        (("--benchmarks", "gsm8k="), "write a file behind the ="),
        (("--benchmarks", ","), "write names such as gsm8k,math500"),
        (("--benchmarks", "gsm8k=none.jsonl"), "none.jsonl"),
        (("--data", "copy.jsonl"), "--data cannot stand beside --benchmarks"),
        (("--prompt", "9shot"), "gsm8k has no such variant; it has boxed, 4shot"),
        (("--temperature", "0"), "greedy answers are all the same; write --temperature 0.6"),
        (("--n", "0"), "write the number of answers to each problem, 1 or more"),
        (("--temperature", "-1"), "write 0 for greedy answers, or a number from"),
        (("--temperature", "nan"), "write 0 for greedy answers, or a number from"),
        (("--top-p", "0"), "write a number above 0, up to 1"),
        (("--set", "train.steps=3"), "only keys of model, rollout and verifier can be set"),
        (("--set", "rollout.enginee=hf"), "rollout.enginee"),
        (("--set", "verifier.modus=strict"), "modus"),
        (("--known-errors", "drop"), "--known-errors drop: write count, exclude or mend"),
    ],
)
def test_bad_requests_are_one_sentence(tmp_path: Path, more: tuple[str, str], message: str) -> None:
    copy_of_gsm8k(tmp_path, 2)
    assert message in evaluate(tmp_path, *more).refusal()
    assert {path.name for path in tmp_path.iterdir()} == {"copy.jsonl"}


def test_a_gold_that_its_own_verifier_refuses_is_left_out_and_named(tmp_path: Path) -> None:
    rows = [{"id": f"g/{n}", "problem": f"{n}?", "answer": str(n)} for n in range(40)]
    rows[7]["answer"] = "\\frac{"
    (tmp_path / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = evaluate(tmp_path, "--json")
    value = json.loads(result.out)
    assert value["benchmarks"]["gsm8k"]["left_out"] == ["g/7"] and "does not accept" in result.err
    assert value["results"]["gsm8k"]["problems"] == 39
    rows[8]["answer"] = rows[9]["answer"] = "\\frac{"
    (tmp_path / "copy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert "golds must score 1 by the benchmark's own verifier" in evaluate(tmp_path).err, "more than 5%"


def test_problems_that_are_known_to_be_wrong_are_counted_and_excluded_when_asked(tmp_path: Path) -> None:
    function = {"prompt": "def f(x):\n", "canonical_solution": "    return x\n", "entry_point": "f"}
    row = function | {"test": "def check(candidate):\n    assert candidate(1) == 1\n"}
    names = ("HumanEval/1", "HumanEval/47")
    (tmp_path / "copy.jsonl").write_text("".join(json.dumps(row | {"task_id": n}) + "\n" for n in names))
    words = ("eval", MODEL, "--benchmarks", "humaneval=copy.jsonl", "--max-new-tokens", "4", "--offline", "--json")
    for treatment, problems in (("count", 2), ("exclude", 1)):
        result = reasonrl_in(tmp_path, *words, "--known-errors", treatment)
        assert result.code == 0, result.err
        value = json.loads(result.out)
        facts = value["benchmarks"]["humaneval"]["known_errors"]
        assert facts["treatment"] == treatment and list(facts["problems"]) == ["HumanEval/47"]
        assert value["results"]["humaneval"]["problems"] == problems
        assert "1 problem is known to be judged wrongly: HumanEval/47 (an example in the prompt" in result.err


def test_libraries_that_are_missing_are_one_sentence(tmp_path: Path) -> None:
    row = {"task_id": "BigCodeBench/1", "complete_prompt": "def task_func():\n", "canonical_solution": "    return 1\n"}
    row |= {"test": "import unittest", "entry_point": "task_func", "libs": "['json', 'no_such_library', 'nor_this']"}
    (tmp_path / "copy.jsonl").write_text(json.dumps(row) + "\n")
    words = ("eval", MODEL, "--benchmarks", "bigcodebench_hard=copy.jsonl", "--offline")
    message = reasonrl_in(tmp_path, *words).refusal()
    assert "its programs import no_such_library, nor_this, which their Python does not have" in message
    assert "--set verifier.python=" in message


def test_killed_at_any_moment_and_started_again_is_the_same_evaluation(tmp_path: Path) -> None:
    rng = random.Random(3)
    evaluation = KilledEvaluation(tmp_path, MODEL)
    for _ in range(3):
        assert evaluation.kill(rng, after_first_chunk=True)
    evaluation.tear_last_line()
    assert evaluation.finish() > 0, "what was drawn is not drawn again"


def test_scores_of_two_prompts_are_not_compared(tmp_path: Path) -> None:
    copy_of_gsm8k(tmp_path, 4)
    for name in ("a", "b", "c"):
        assert evaluate(tmp_path, "--output", name, "--seed", str(ord(name))).code == 0
    several = reasonrl_in(tmp_path, "compare", "a", "b", "c")
    assert several.code == 0 and "p-values are Holm's" in several.out and "Sign-flip p" in several.out
    value = json.loads(reasonrl_in(tmp_path, "compare", "a", "b", "c", "--json").out)
    assert len(value["comparisons"]) == 2 and len(value["holm"]) == 2
    results = json.loads((tmp_path / "b" / "results.json").read_text())
    results["benchmarks"]["gsm8k"]["prompt_template_hash"] = "0" * 32
    (tmp_path / "b" / "results.json").write_text(json.dumps(results))
    assert "name one prompt, but its text is not the same" in reasonrl_in(tmp_path, "compare", "a", "b").refusal()
    results["benchmarks"]["gsm8k"]["prompt"] = "4shot"
    (tmp_path / "b" / "results.json").write_text(json.dumps(results))
    refused = reasonrl_in(tmp_path, "compare", "a", "b").refusal()
    assert "gsm8k: a has the prompt 'boxed', but b has '4shot'" in refused


def test_from_python(tmp_path: Path) -> None:
    copy_of_gsm8k(tmp_path, 5)
    result = evaluate_benchmarks(
        MODEL, {"gsm8k": tmp_path / "copy.jsonl"}, n=2, temperature=1.0, max_new_tokens=8, output=tmp_path / "out"
    )
    figures = result.results["gsm8k"]
    assert figures.pass_at[2].estimate >= figures.pass_at[1].estimate == figures.accuracy.if_unjudged_wrong
    assert "gsm8k" in str(result) and result.overlaps == "not known: the model is not a run"
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == json.loads(json.dumps(result.to_json()))
    with pytest.raises(UsageError, match="a list of names, or a dictionary"):
        evaluate_benchmarks(MODEL, "gsm8k")
