"""Reading run folders: whole, growing, torn, damaged, and folders that are no runs."""

from __future__ import annotations

import json
import threading

import pytest

from reasonrl.errors import UsageError
from reasonrl.runs.reading import Run, series
from reasonrl.runs.samples import SampleFilter, SampleIndex, main_verdict, outcome
from tests.runs.fake_run import fake_header, fake_run, fake_sample, fake_verdict, write_rows


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run.open(fake_run(tmp_path_factory.mktemp("fake") / "run", steps=6, problems=5, samples=2))


def test_open(run):
    assert run.model == "smollm2-135m" and run.name == "fake-quickstart"
    assert run.command == "reasonrl train 'a fake'" and run.session["versions"]["reasonrl"] == "0.0.0"
    assert [(checkpoint.step, checkpoint.complete) for checkpoint in run.checkpoints()] == [(6, True), (7, False)]
    assert run.eval_sets() == ["held_out"]
    assert [row["step"] for row in run.metrics("train")] == [1, 2, 3, 4, 5, 6]
    assert [step for step, _ in run.series("eval/held_out/greedy")] == [0, 6]
    assert [row["step"] for row in run.metrics("eval")] == [0, 6]


@pytest.mark.parametrize("case", ["missing", "file", "empty", "above", "below", "staged"])
def test_not_a_run(tmp_path, case):
    fake_header(tmp_path / "outer" / "run")
    (tmp_path / "outer" / "run" / "checkpoints").mkdir()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "a_file").write_text("x")
    fake_header(tmp_path / "staged")
    fake_header(tmp_path / "staged" / "stages" / "01-warm")
    path, says = {
        "missing": (tmp_path / "absent", "no such folder"),
        "file": (tmp_path / "a_file", "is a file"),
        "empty": (tmp_path / "nothing", "is not a run: it holds no recipe.yaml. Give the run_dir"),
        "above": (tmp_path / "outer", "Did you mean .*outer/run"),
        "staged": (tmp_path / "staged", "a run in stages. Give one of them: .*staged/stages/01-warm"),
        "below": (tmp_path / "outer" / "run" / "checkpoints", "Did you mean .*outer/run"),
    }[case]
    with pytest.raises(UsageError, match=says):
        Run.open(path)


@pytest.mark.parametrize(
    ("name", "text"), [("recipe.yaml", "a: [1"), ("recipe.yaml", "- a"), ("run.json", "{"), ("run.json", "[1]")]
)
def test_damaged_headers_name_the_file(tmp_path, name, text):
    fake_header(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=name):
        Run.open(tmp_path)


def test_a_run_that_has_written_nothing_yet(tmp_path):
    fake_header(tmp_path)
    run = Run.open(tmp_path)
    assert run.metrics() == [] and run.samples.scan() == [] and run.checkpoints() == [] and run.eval_sets() == []


def test_torn_last_line_is_skipped_and_a_damaged_one_named(tmp_path):
    fake_header(tmp_path)
    run = Run.open(tmp_path)
    path = tmp_path / "metrics.jsonl"
    write_rows(path, [{"kind": "train", "step": 1, "reward/mean": 0.5}])
    whole = path.read_text()
    for cut in range(len(whole) - 1):
        path.write_text(whole + whole[:cut])
        assert len(run.metrics()) == 1
    path.write_text(whole + whole.strip())
    assert len(run.metrics()) == 2
    path.write_text(whole + whole[:10] + "\n" + whole)
    with pytest.raises(UsageError, match="row 2: not JSON"):
        run.metrics()
    path.write_text(whole + '{"step": 2}\n')
    with pytest.raises(UsageError, match="row 2: expected an object with kind, step"):
        run.metrics()


def test_series_leaves_out_what_is_no_number():
    rows = [
        {"kind": "train", "step": step, "x/y": value}
        for step, value in enumerate([1, None, float("nan"), True, 2.5, "3"])
    ]
    assert series(rows, "x/y") == [(0, 1.0), (4, 2.5)]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (fake_verdict(True), "correct"),
        (fake_verdict(False), "wrong"),
        (fake_verdict(False, status="unparsed"), "unparsed"),
        (fake_verdict(None, status="timeout"), "timeout"),
        (fake_verdict(None, status="error"), "error"),
    ],
)
def test_outcome(verdict, expected):
    row = fake_sample(verdicts={"format": fake_verdict(True), "correctness": verdict})
    assert main_verdict(row)[0] == "correctness" and outcome(row) == expected
    assert outcome(fake_sample(verdicts={"mine": verdict})) == expected
    assert outcome(fake_sample(verdicts={})) == "none"


def test_filters(run):
    def count(**wanted):
        return len(list(run.samples.rows(SampleFilter(**wanted))))

    everything = [json.loads(line) for line in (run.path / "samples.jsonl").read_text().splitlines()]
    assert count() == len(everything) == 2 * 5 * 3 + 6 * 8
    assert count(kind="eval", mode="greedy", step=6) == 5
    assert count(set="held_out") == 30 and count(set="other") == 0
    assert count(problem_id="test/3", step=0) == 3
    right = count(outcomes=frozenset({"correct"}))
    assert right == sum(row["verdicts"]["correctness"]["correct"] is True for row in everything) > 0
    assert count(text="THE ANSWER TO THIS") == sum("the answer to this" in row["response"] for row in everything)
    assert count(text="no such words") == 0


def test_eval_outcomes_tell_wrong_from_not_judged(tmp_path):
    fake_header(tmp_path)
    verdicts = [
        fake_verdict(True),
        fake_verdict(False),
        fake_verdict(False, status="unparsed"),
        fake_verdict(None, status="timeout"),
    ]
    rows = [
        fake_sample(kind="eval", set="s", mode="sampled", step=0, problem_id="p", rollout=i, verdicts={"m": v})
        for i, v in enumerate(verdicts)
    ]
    write_rows(tmp_path / "samples.jsonl", rows)
    assert Run.open(tmp_path).eval_outcomes(0, "s", "sampled") == {"p": [True, False, False, None]}


def test_index_follows_a_growing_file(tmp_path):
    path = tmp_path / "samples.jsonl"
    index = SampleIndex(path)
    assert index.scan() == []
    write_rows(path, [fake_sample(step=1)])
    assert [key.step for key in index.scan()] == [1]
    line = json.dumps(fake_sample(step=2, response="café ☕")) + "\n"
    with path.open("ab") as file:
        file.write(line.encode()[:40])
        file.flush()
        assert len(index.scan()) == 1
        file.write(line.encode()[40:])
    assert [key.step for key in index.scan()] == [1, 2]
    assert [row["response"] for row in index.rows()] == [" 12", "café ☕"]


def test_index_starts_over_when_a_resumed_run_rewrites(tmp_path):
    path = tmp_path / "samples.jsonl"
    write_rows(path, [fake_sample(step=step) for step in (1, 2, 3)])
    index = SampleIndex(path)
    assert len(index.scan()) == 3
    write_rows(path, [fake_sample(step=1)])  # truncated
    assert [key.step for key in index.scan()] == [1]
    # replaced by more
    write_rows(path, [fake_sample(step=1, response="another"), *(fake_sample(step=step) for step in (5, 6, 7, 8))])
    assert [key.step for key in index.scan()] == [1, 5, 6, 7, 8]
    assert [row["step"] for row in index.rows()] == [1, 5, 6, 7, 8]


def test_damaged_sample_names_its_row(tmp_path):
    path = tmp_path / "samples.jsonl"
    write_rows(path, [fake_sample(), {"kind": "train", "step": 1}])
    with pytest.raises(UsageError, match="row 2: it lacks 'problem_id'"):
        SampleIndex(path).scan()
    path.write_text('{"kind": \n' + json.dumps(fake_sample()) + "\n")
    with pytest.raises(UsageError, match="row 1: it is not a JSON object"):
        SampleIndex(path).scan()


def test_index_is_safe_under_threads(tmp_path):
    path = tmp_path / "samples.jsonl"
    write_rows(path, [fake_sample(step=step) for step in range(200)])
    index = SampleIndex(path)
    lengths: list[int] = []
    threads = [threading.Thread(target=lambda: lengths.append(len(index.scan()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [200] * 8
