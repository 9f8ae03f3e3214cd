"""Comparing two evaluations problem by problem."""

from __future__ import annotations

import io
import json

import pytest

from reasonrl import stats
from reasonrl.errors import UsageError
from reasonrl.evaluation.compare import compare, print_comparison
from tests.runs.fake_run import fake_run, fake_sample, fake_verdict, write_rows


def fake_result(folder, outcomes: dict[str, list[bool | None]], *, mode="greedy", set_name="test", answer="12"):
    """A result folder as `reasonrl eval` writes it; None is a time-out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text("{}")
    rows = [
        fake_sample(
            kind="eval",
            step=0,
            set=set_name,
            mode=mode,
            problem_id=problem,
            rollout=rollout,
            reference={"answer": answer},
            verdicts={"correctness": fake_verdict(right, status="timeout" if right is None else None)},
        )
        for problem, answers in outcomes.items()
        for rollout, right in enumerate(answers)
    ]
    write_rows(folder / "samples.jsonl", rows)
    return folder


def test_greedy_counts_intervals_and_flips(tmp_path):
    a = fake_result(tmp_path / "a", {f"p{i}": [i < 40] for i in range(100)})
    b = fake_result(tmp_path / "b", {f"p{i}": [5 <= i < 75] for i in reversed(range(100))})  # another order
    [result] = compare(a, b / "results.json").results
    assert (result.set, result.mode, result.wins, result.losses, result.ties) == ("test", "greedy", 35, 5, 60)
    assert result.a == stats.wilson(40, 100) and result.b == stats.wilson(70, 100)
    assert result.difference.normal.estimate == pytest.approx(0.3)
    assert result.difference.p_value == stats.mcnemar_exact(35, 5)
    assert result.verdict == "better"
    assert {flip.problem_id for flip in result.flips if flip.b < flip.a} == {f"p{i}" for i in range(5)}
    assert len(result.flips) == 40
    [back] = compare(b, a).results
    assert back.verdict == "worse" and back.difference.normal.low == pytest.approx(-result.difference.normal.high)


def test_sampled_is_kept_apart(tmp_path):
    a = fake_result(tmp_path / "a", {f"p{i}": [i % 3 == 0, False] for i in range(30)}, mode="sampled")
    b = fake_result(tmp_path / "b", {f"p{i}": [True, True, False, False] for i in range(30)}, mode="sampled")
    [result] = compare(a, b).results
    assert result.mode == "sampled" and not result.difference.is_mcnemar
    assert result.a.estimate == pytest.approx(1 / 6) and result.b.estimate == pytest.approx(0.5)
    assert (result.wins, result.losses, result.ties) == (20, 0, 10)


def test_overlap_is_used_and_named(tmp_path):
    a = fake_result(tmp_path / "a", {f"p{i}": [True] for i in range(8)})
    b = fake_result(tmp_path / "b", {f"p{i}": [i != 5] for i in range(4, 10)})
    [result] = compare(a, b).results
    assert result.a.n == 4 and result.only_a == ("p0", "p1", "p2", "p3") and result.only_b == ("p8", "p9")
    text = printed(compare(a, b))
    assert "4 problems that only A holds (p0, p1, p2, p3)" in text and "2 problems that only B holds (p8, p9)" in text


def test_unjudged_answers_are_left_out_not_wrong(tmp_path):
    a = fake_result(tmp_path / "a", {"p": [True], "q": [None], "r": [False]})
    b = fake_result(tmp_path / "b", {"p": [True], "q": [True], "r": [True]})
    [result] = compare(a, b).results
    assert result.unjudged == ("q",) and result.a == stats.wilson(1, 2) and result.b == stats.wilson(2, 2)
    assert (result.all_a.unjudged, result.all_a.answers, result.all_a.if_unjudged_wrong) == (1, 3, 1 / 3)
    assert (result.all_b.unjudged, result.all_b.if_unjudged_wrong) == (0, 1.0)
    assert result.difference_bounds == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    text = " ".join(printed(compare(a, b)).split())
    assert "1 problems without a judged answer" in text
    assert (
        "could not be judged: 1 of 3 of A and 0 of 3 of B. If all of them were wrong, A has 33.3% and B 100.0%" in text
    )
    assert "B - A is between +33.3 and +66.7 points" in text
    data = json.loads(json.dumps(compare(a, b).to_dict()))["results"][0]
    assert data["all_a"]["unjudged"] == 1 and data["all_a"]["interval"]["n"] == 2


def test_bounds_reach_over_everything_that_the_unjudged_may_be(tmp_path):
    """Every way in which the unjudged could have come out lies inside; with nothing unjudged there is no bound to
    show.
    """
    ways = ([False, False], [False, True], [True, False], [True, True])
    a = fake_result(tmp_path / "a", {"p": [True, None], "q": [False, None]}, mode="sampled")
    b = fake_result(tmp_path / "b", {"p": [True, True], "q": [None, False]}, mode="sampled")
    [result] = compare(a, b).results
    low, high = result.difference_bounds
    differences = []
    for number, (p, q) in enumerate(ways):
        settled_a = fake_result(tmp_path / f"a{number}", {"p": [True, p], "q": [False, q]}, mode="sampled")
        for right in (False, True):
            outcomes = {"p": [True, True], "q": [right, False]}
            settled_b = fake_result(tmp_path / f"b{number}{right}", outcomes, mode="sampled")
            [settled] = compare(settled_a, settled_b).results
            differences.append(settled.difference.normal.estimate)
            assert settled.difference_bounds == (pytest.approx(differences[-1]),) * 2
            assert "could not be judged" not in printed(compare(settled_a, settled_b))
    assert low == pytest.approx(min(differences)) and high == pytest.approx(max(differences))


def test_run_folders_use_their_last_evaluation(tmp_path):
    run = fake_run(tmp_path / "run", steps=8, problems=30, eval_every=4)
    other = fake_run(tmp_path / "other", steps=2, problems=30, seed=5)
    results = compare(other, run).results
    assert [result.mode for result in results] == ["greedy", "sampled"]
    last = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][-1]
    assert last["kind"] == "eval" and last["step"] == 8
    for result in results:
        assert result.b.estimate == pytest.approx(last[f"eval/held_out/{result.mode}"])
        assert result.a.n == 30


def test_a_run_in_stages_means_its_last_one(tmp_path):
    fake_run(tmp_path / "run" / "stages" / "01-warm", steps=1, problems=6, seed=1)
    last = fake_run(tmp_path / "run" / "stages" / "02-learn", steps=2, problems=6, seed=2)
    assert compare(tmp_path / "run", last).results[0].difference.normal.estimate == 0


def test_sets_of_other_names_pair_when_there_is_one_each(tmp_path):
    a = fake_result(tmp_path / "a", {"p": [True]}, set_name="test")
    b = fake_result(tmp_path / "b", {"p": [False]}, set_name="gsm8k")
    assert compare(a, b).results[0].set == "test | gsm8k"


def test_json_form(tmp_path):
    a = fake_result(tmp_path / "a", {"p": [True], "q": [False]})
    data = json.loads(json.dumps(compare(a, a).to_dict()))
    assert data["results"][0]["verdict"] == "no measurable difference"
    assert data["results"][0]["difference"]["normal"]["n"] == 2


def test_refusals(tmp_path):
    a = fake_result(tmp_path / "a", {"p": [True], "q": [True]})
    (tmp_path / "empty").mkdir()
    cases = [
        (tmp_path / "absent", "no such file or folder"),
        (tmp_path / "empty", "has no samples.jsonl"),
        (fake_result(tmp_path / "train_only", {}), "has no evaluation"),
        (fake_result(tmp_path / "strange", {"x": [True]}), "share no problem on test .* one holds p, q, the other x"),
        (
            fake_result(tmp_path / "sampled", {"p": [True, True]}, mode="sampled"),
            "nothing to compare: .* test greedy .* test sampled",
        ),
        (
            fake_result(tmp_path / "renamed", {"p": [True], "q": [True]}, answer="13"),
            "2 of the 2 problem ids .* different references",
        ),
        (fake_result(tmp_path / "broken", {"p": [None]}), "could be judged"),
    ]
    for b, says in cases:
        with pytest.raises(UsageError, match=says):
            compare(a, b)


def test_print(tmp_path):
    a = fake_result(tmp_path / "a", {f"p{i}[red]": [i < 10] for i in range(40)})
    b = fake_result(tmp_path / "b", {f"p{i}[red]": [i < 30] for i in range(40)})
    text = printed(compare(a, b))
    assert "B is better: higher on 20 problems, lower on 0, the same on 20." in text
    assert "+50.0" in text and "40 problems" in text and "p10[red]: 0% -> 100%" in text and "and 10 more" in text


def printed(comparison) -> str:
    from rich.console import Console

    stream = io.StringIO()
    print_comparison(comparison, Console(file=stream, width=100))
    return stream.getvalue()
