"""The report: what it says, that it stands alone, and that a model's text cannot break out of it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from reasonrl import stats
from reasonrl.errors import UsageError
from reasonrl.runs import headline, plots
from reasonrl.runs.accuracy import accuracy_of
from reasonrl.runs.reading import Run
from reasonrl.runs.report import write_report
from tests.runs.fake_run import (
    fake_header,
    fake_run,
    fake_sample,
    fake_sft_run,
    fake_turns_sample,
    fake_verdict,
    write_rows,
)

VOID = {"meta", "br", "link", "path", "use", "rect", "img", "circle", "line"}
OPTIONAL_END = {"td", "th", "tr"}


class Page(HTMLParser):
    """Collects tags, ids and text, and checks that tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.ids, self.text, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in VOID | OPTIONAL_END:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        if tag not in VOID | OPTIONAL_END:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


@pytest.fixture(scope="module")
def run_path(tmp_path_factory):
    return fake_run(tmp_path_factory.mktemp("fake") / "run", steps=12, problems=40, kl=True)


def test_report_of_a_run(run_path):
    path = write_report(run_path)
    assert path == run_path / "report.html"
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    text = " ".join(page.text)
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("svg") == 10 and "script" not in page.tags
    for title in (
        "Accuracy",
        "Reward",
        "Groups of answers",
        "Response length",
        "Entropy",
        "Distance from the reference",
        "Rollout gap",
        "Answers cut off or not judged",
        "Where the time goes",
        "Before and after",
        "The recipe",
        "What each metric means",
    ):
        assert title in text
    rows = Run.open(run_path).metrics("eval")
    for row in (rows[0], rows[-1]):
        for key in ("greedy", "greedy_low", "greedy_high", "sampled"):
            assert f"{100 * row[f'eval/held_out/{key}']:.1f}" in text
    assert "n = 40" in text and "95% CI" in text and "not registered" not in text
    assert [name.name for name in run_path.iterdir() if name.name.startswith(".report-")] == []


def test_report_stands_alone(run_path):
    html = write_report(run_path).read_text(encoding="utf-8")
    links = re.findall(r"(?:src|href)\s*=\s*[\"']([^\"']*)", html) + re.findall(r"url\(([^)]*)\)", html)
    assert links and all(link.strip("'\"").startswith("#") for link in links)
    assert "@import" not in html and "doctype html" in html[:20]


def test_report_is_the_same_when_written_again(run_path):
    assert write_report(run_path).read_bytes() == write_report(run_path).read_bytes()


def test_report_of_a_supervised_run(tmp_path):
    page = Page(write_report(fake_sft_run(tmp_path / "sft")).read_text(encoding="utf-8"))
    text = " ".join(page.text)
    assert "The supervised loss went from" in text and "No held-out evaluation was run" in text
    assert "Supervised loss" in text and "Reward" not in text.split("What each metric means")[0]


def test_report_of_an_empty_run(tmp_path):
    fake_header(tmp_path)
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "no result yet" in " ".join(page.text) and "svg" not in page.tags


def test_without_a_second_evaluation_the_last_training_answers_are_shown(tmp_path):
    fake_header(tmp_path)
    rows = [
        fake_sample(step=step, problem_id=f"p{p}", prompt=f"P{p}?", response=f"r{step}-{p}-{i}", rollout=i)
        for step in (1, 2)
        for p in (1, 2)
        for i in (0, 1)
    ]
    write_rows(tmp_path / "samples.jsonl", rows)
    text = " ".join(Page(write_report(tmp_path).read_text(encoding="utf-8")).text)
    assert "Answers of the last step" in text
    assert re.findall(r"r\d-\d-\d", text) == ["r2-1-0", "r2-2-0"]


def answers(folder, rows):
    """The section of the answers in the report of a run with these rows."""
    fake_header(folder)
    write_rows(folder / "samples.jsonl", rows)
    html = write_report(folder).read_text(encoding="utf-8")
    Page(html)
    return html.partition("Answers of the last step")[2].partition("The recipe")[0]


def test_an_episode_of_several_turns_is_a_transcript(tmp_path):
    html = answers(tmp_path, [fake_turns_sample()])
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    assert "policy, turn 1 9 tokens Is it 9?" in words
    assert "user (environment) 8 tokens, not trained Too low." in words
    assert "policy, turn 2 2 tokens the verifier read this turn 12" in words
    assert re.findall(r"class='turn ([a-z ]*)'", html) == ["policy", "partner", "policy judged"]
    assert "class='turn" not in answers(tmp_path / "single", [fake_sample()])


def test_of_a_long_episode_the_middle_is_left_out(tmp_path):
    turns = [{"role": ("policy", "user")[i % 2], "text": f"t{i}." + "x" * 600, "tokens": 9} for i in range(21)]
    html = answers(tmp_path, [fake_turns_sample(turns=turns, response=turns[-1]["text"])])
    assert re.findall(r"t(\d+)\.", html) == ["0", "1", "2", "3", "17", "18", "19", "20"]
    assert "13 turns left out" in html
    assert html.count("x" * 490 + "…") == 7 and "x" * 600 in html, "what was judged is shown in more length"


def test_what_was_judged_is_shown_where_it_is_not_a_turn(tmp_path):
    html = answers(tmp_path, [fake_turns_sample(response="all of it")])
    assert "what the verifier read</b></p><pre>all of it</pre>" in html and "read this turn" not in html


def test_turns_are_drawn_only_where_an_episode_has_several():
    def drawn(turns, environment):
        row = {"kind": "train", "response/tokens_mean": 9.0, "response/turns": turns}
        rows = [row | {"step": step, "response/environment_tokens": environment} for step in (1, 2)]
        return {chart.name: chart.svg for chart in plots.charts(rows)}

    assert set(drawn(1.0, 0.0)) == {"length"} and "environment" not in drawn(1.0, 0.0)["length"]
    assert set(drawn(2.5, 8.0)) == {"length", "turns"} and "environment" in drawn(2.5, 8.0)["length"]


def test_report_needs_a_run(tmp_path):
    with pytest.raises(UsageError):
        write_report(tmp_path)


def test_model_text_stays_text(tmp_path):
    hostile = "</pre></main><script>alert(1)</script><img src=x onerror=alert(2)>&lt;"
    fake_header(tmp_path)
    (tmp_path / "recipe.yaml").write_text(f"name: '{hostile}'\nmodel: '{hostile}'\n")
    write_rows(
        tmp_path / "metrics.jsonl",
        [{"kind": "eval", "step": step, f"eval/{hostile.replace('/', '')}/greedy": 0.5} for step in (0, 5)],
    )
    sample = {
        "kind": "eval",
        "mode": "greedy",
        "set": hostile.replace("/", ""),
        "problem_id": hostile,
        "prompt": hostile,
        "response": hostile,
    }
    verdict = fake_verdict(False) | {"reason": hostile}
    write_rows(
        tmp_path / "samples.jsonl", [fake_sample(**sample, step=step, verdicts={"m": verdict}) for step in (0, 5)]
    )
    page = Page(write_report(tmp_path).read_text(encoding="utf-8"))
    assert "script" not in page.tags and "img" not in page.tags
    assert "".join(page.text).count("<script>alert(1)</script>") >= 4


def test_missing_series_leave_their_chart_out():
    rows = [{"kind": "train", "step": step, "reward/mean": step / 10} for step in range(3)]
    assert [chart.name for chart in plots.charts(rows)] == ["reward"]
    assert plots.charts([]) == []
    assert [chart.name for chart in plots.charts([{"kind": "train", "step": 1, "policy/entropy": float("nan")}])] == []


def test_one_step_and_many_steps_can_be_drawn():
    row = {
        "kind": "train",
        "reward/mean": 0.5,
        "groups/mixed": 3,
        "groups/all_correct": 0,
        "groups/all_wrong": 1,
        "time/rollout_s": 2.0,
    }
    for steps in (1, 400):
        drawn = {
            chart.name: chart.svg for chart in plots.charts([row | {"step": step} for step in range(1, steps + 1)])
        }
        assert set(drawn) == {"reward", "groups", "time"}
        assert drawn["groups"].count("<path") < 400  # bars are binned


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ((40, 100), (90, 100), "rose"),
        ((90, 100), (40, 100), "fell"),
        ((50, 100), (52, 100), "did not measurably change"),
    ],
)
def test_headline_without_samples_compares_intervals(tmp_path, before, after, says):
    fake_header(tmp_path)
    rows = [
        {"kind": "eval", "step": step, "eval/t/greedy": right / n, "eval/t/problems": n}
        for step, (right, n) in ((0, before), (9, after))
    ]
    write_rows(tmp_path / "metrics.jsonl", rows)
    [change] = headline.changes(Run.open(tmp_path))
    assert change.direction == says and says in change.sentence() and "n = 100" in change.sentence()
    assert change.difference is None
    assert change.before.low < before[0] / 100 < change.before.high  # Wilson's, since the row holds none


def unjudged_run(folder, answers_by_step):
    """Greedy answers by step: True, False, or None for a time-out."""
    fake_header(folder)
    rows, samples = [], []
    for step, answers in answers_by_step.items():
        metrics = accuracy_of([[answer] for answer in answers]).metrics("eval/t/greedy")
        rows.append({"kind": "eval", "step": step, "eval/t/problems": len(answers), **metrics})
        samples += [
            fake_sample(
                kind="eval",
                set="t",
                mode="greedy",
                step=step,
                problem_id=f"p{number}",
                verdicts={"correctness": fake_verdict(answer, status="timeout" if answer is None else None)},
            )
            for number, answer in enumerate(answers)
        ]
    write_rows(folder / "metrics.jsonl", rows)
    write_rows(folder / "samples.jsonl", samples)
    return folder


def test_answers_that_could_not_be_judged_are_left_out_and_named(tmp_path):
    run = unjudged_run(tmp_path, {0: [False, False, False, None], 5: [True, True, None, None]})
    [change] = headline.changes(Run.open(run))
    assert change.before == stats.wilson(0, 3) and change.after == stats.wilson(2, 2)
    assert change.points.n == 2 and change.points.estimate == 1.0, "the two problems that were judged both times"
    assert "step 5: 2 of 4 answers not judged, 50.0% if all of these were wrong" in change.sentence()
    page = Page(write_report(run).read_text(encoding="utf-8"))
    text = " ".join(page.text)
    assert "step 0: 1 of 4 answers not judged" in text and "Dotted: the share if all unjudged answers" in text
    pairs = text.partition("Before and after")[2].partition("The recipe")[0]
    assert pairs.count("before (step 0)") == 2 and "timeout" not in pairs, "what was not judged is no wrong answer"


def test_an_evaluation_without_any_judged_answer_is_no_result(tmp_path):
    run = unjudged_run(tmp_path / "some", {0: [False, True], 5: [True, True], 9: [None, None]})
    [change] = headline.changes(Run.open(run))
    assert (change.last_step, change.after) == (5, stats.wilson(2, 2))
    assert "step 9: no answer could be judged" in change.sentence()
    none = unjudged_run(tmp_path / "none", {0: [None, None]})
    assert headline.changes(Run.open(none)) == []
    assert "No held-out answer could be judged" in write_report(none).read_text(encoding="utf-8")


def test_the_training_curve_has_the_same_bound():
    rows = [
        {"kind": "train", "step": 1, "accuracy/train": 0.5, "rollouts/unjudged_share": 0.0},
        {"kind": "train", "step": 2, "accuracy/train": 0.8, "rollouts/unjudged_share": 0.25},
    ]
    assert plots.train_bound(rows) == [(1, 0.5), (2, pytest.approx(0.6))]
    assert "Dotted" in plots.accuracy(rows).caption and "Dotted" not in plots.accuracy(rows[:1]).caption


def test_headline_with_one_evaluation(tmp_path):
    fake_header(tmp_path)
    write_rows(tmp_path / "metrics.jsonl", [{"kind": "eval", "step": 0, "eval/t/greedy": 0.5, "eval/t/problems": 10}])
    [change] = headline.changes(Run.open(tmp_path))
    assert change.before is None and "was 50.0%" in change.sentence()


def test_headline_pairs_the_problems(run_path):
    greedy, sampled = headline.changes(Run.open(run_path))
    assert (greedy.mode, sampled.mode, sampled.samples_per_problem) == ("greedy", "sampled", 4)
    for change in (greedy, sampled):
        assert change.points.estimate == pytest.approx(change.after.estimate - change.before.estimate)
        assert change.points.n == 40


def test_methods_have_charts_of_their_own() -> None:
    from reasonrl.runs import method_plots

    row = {
        "kind": "train",
        "rollouts/effective_share": 0.5,
        "budget/rollouts_max": 9,
        "value/bias": 0.1,
        "credit/moved_share": 0.2,
    }
    drawn = method_plots.charts([row | {"step": step} for step in (1, 2, 3)])
    assert [chart.name for chart in drawn] == ["effective", "budget", "value", "credit"]
    assert all("<svg" in chart.svg for chart in drawn)
    assert method_plots.charts([{"kind": "train", "step": 1, "reward/mean": 0.5}]) == []
