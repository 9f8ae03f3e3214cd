"""Answers of the page: filters against a plain search of all rows, and what comes with a page."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.errors import UsageError
from reasonrl.evaluation.compare import compare
from reasonrl.evaluation.viewing.answers import AnswerFilter
from reasonrl.evaluation.viewing.pages import ResultsPages
from tests.evaluation.viewing.fake_results import fake_results, fake_row
from tests.runs.fake_run import fake_sample, fake_verdict, write_rows

SETS = {"gsm8k": 30, "aime24": 12}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    outer = tmp_path_factory.mktemp("results")
    return [fake_results(outer / name, SETS, n=3, seed=seed, skill=0.5) for seed, name in enumerate("abc")]


@pytest.fixture(scope="module")
def pages(folders: list[Path]) -> ResultsPages:
    return ResultsPages(folders)


def asked(pages: ResultsPages, **query: str) -> dict[str, Any]:
    data: dict[str, Any] = pages.routes["/api/answers"]({"limit": "100", **query})
    return data


def names(data: dict[str, Any]) -> list[tuple[str, str]]:
    return [(group["set"], group["problem_id"]) for group in data["groups"]]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def brute_force(
    folders: list[Path], higher: int | None = None, lower: int | None = None
) -> dict[tuple[str, str], float]:
    """Problem -> how far the shares of right answers are apart, for all problems on which folders disagree."""
    shares: dict[tuple[str, str], list[float | None]] = {}
    for number, folder in enumerate(folders):
        for row in rows_of(folder):
            shares.setdefault((row["set"], row["problem_id"]), [None] * len(folders))
        for key in shares:
            verdicts = [
                row["verdicts"]["correctness"]["correct"]
                for row in rows_of(folder)
                if (row["set"], row["problem_id"]) == key
            ]
            judged = [correct for correct in verdicts if correct is not None]
            shares[key][number] = sum(judged) / len(judged) if judged else None
    gaps = {}
    for key, values in shares.items():
        for i, j in itertools.permutations(range(len(folders)), 2):
            if higher in (None, i) and lower in (None, j):
                a, b = values[i], values[j]
                if a is not None and b is not None and a > b:
                    gaps[key] = max(gaps.get(key, 0.0), a - b)
    return gaps


@pytest.mark.parametrize("disagree", ["any", "A>B", "B>A", "C>A", "B>C"])
def test_disagreement_is_that_of_a_plain_search(pages: ResultsPages, folders: list[Path], disagree: str) -> None:
    pair = [] if disagree == "any" else ["ABC".index(letter) for letter in disagree.split(">")]
    expected = brute_force(folders, *pair)
    shown = names(asked(pages, disagree=disagree))
    assert sorted(shown) == sorted(expected) and 5 < len(shown) < 42
    gaps = [expected[name] for name in shown]
    assert gaps == sorted(gaps, reverse=True), "the largest differences come first"


def test_disagreement_counts_as_compare_does(folders: list[Path]) -> None:
    pages = ResultsPages(folders[:2])
    for result in compare(*folders[:2]).results:
        assert asked(pages, set=result.set, disagree="B>A")["groups_total"] == result.wins
        assert asked(pages, set=result.set, disagree="A>B")["groups_total"] == result.losses


shares = st.lists(st.sampled_from([None, 0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=4)


@given(shares, st.data())
def test_gaps_of_every_pair(values: list[float | None], data: st.DataObject) -> None:
    i, j = data.draw(st.permutations(range(len(values))))[:2]
    a, b = values[i], values[j]
    wanted = AnswerFilter(disagree=True, order=(i, j))
    assert (wanted.gap(values) > 0) == (a is not None and b is not None and a > b)
    known = [value for value in values if value is not None]
    assert (AnswerFilter(disagree=True).gap(values) > 0) == (len(set(known)) > 1)


def test_the_answers_that_show_a_disagreement_come_with_the_page(pages: ResultsPages) -> None:
    for group in asked(pages, disagree="A>B")["groups"]:
        a, b, _ = (side["shown"]["outcome"] for side in group["sides"])
        assert a == "correct" and b in ("wrong", "unparsed")


def test_one_answer_a_problem_is_right_where_the_other_is_wrong(tmp_path: Path) -> None:
    """All nine pairs of right, wrong and not judged."""
    correct = (True, False, None)
    for number, name in enumerate("ab"):
        rows = [
            fake_sample(kind="eval", set="s", mode="greedy", problem_id=f"{pair[0]}-{pair[1]}",
                        verdicts={"correctness": fake_verdict(pair[number], status=None if pair[number] is not None
                                                              else "timeout")})
            for pair in itertools.product(correct, repeat=2)
        ]  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        (folder / "results.json").write_text("{}")
        write_rows(folder / "samples.jsonl", rows)
    pages = ResultsPages([tmp_path / "a", tmp_path / "b"])
    assert {name for _, name in names(asked(pages, disagree="any"))} == {"True-False", "False-True"}
    assert {name for _, name in names(asked(pages, disagree="A>B"))} == {"True-False"}
    assert {name for _, name in names(asked(pages, disagree="B>A"))} == {"False-True"}


@pytest.mark.parametrize("outcome", ["right", "wrong", "unread", "cut_off", "unjudged"])
@pytest.mark.parametrize("folder", ["", "B"])
def test_outcomes_are_those_of_a_plain_search(
    pages: ResultsPages, folders: list[Path], outcome: str, folder: str
) -> None:
    def passes(row: dict[str, Any]) -> bool:
        verdict = row["verdicts"]["correctness"]
        return bool(
            {
                "right": verdict["correct"] is True,
                "wrong": verdict["correct"] is False,
                "unread": verdict["status"] == "unparsed",
                "cut_off": row["finish_reason"] == "length",
                "unjudged": verdict["correct"] is None,
            }[outcome]
        )

    searched = [folders[1]] if folder else folders
    hits = [row for path in searched for row in rows_of(path) if passes(row)]
    data = asked(pages, outcome=outcome, folder=folder)
    assert data["answers_total"] == len(hits) > 0
    assert sorted(names(data)) == sorted({(row["set"], row["problem_id"]) for row in hits})
    for group in data["groups"]:
        marked = [answer for side in group["sides"] for answer in side["answers"] if answer["is_hit"]]
        assert marked and all(len(side["answers"]) == 3 for side in group["sides"]), "the others are there too"
        shown = [side["shown"]["row"] for side in group["sides"]]
        assert any(answer["row"] in shown for answer in marked), "a hit comes with its text"


def test_ids_repeat_between_benchmarks(pages: ResultsPages) -> None:
    data = asked(pages, problem="Q/7")
    assert names(data) == [("gsm8k", "q/7"), ("aime24", "q/7")]
    first, second = data["groups"]
    assert first["sides"][0]["shown"]["prompt"] != second["sides"][0]["shown"]["prompt"]
    assert names(asked(pages, problem="q/7", set="aime24")) == [("aime24", "q/7")]
    assert len(names(asked(pages, problem="q/2", set="gsm8k"))) == 11, "a part of the id is enough"


def test_search_and_outcome_are_for_one_answer(pages: ResultsPages, folders: list[Path]) -> None:
    text = "the answer is \\BOXED{19}"
    expected = {
        (row["set"], row["problem_id"])
        for path in folders
        for row in rows_of(path)
        if text.casefold() in row["response"].casefold() and row["verdicts"]["correctness"]["correct"] is False
    }
    data = asked(pages, q=text, outcome="wrong")
    assert set(names(data)) == expected and expected
    assert asked(pages, q="nowhere <b>")["groups"] == []


def test_pages_meet_without_gap_or_repeat(pages: ResultsPages) -> None:
    parts = [asked(pages, limit="5", offset=str(offset)) for offset in range(0, 45, 5)]
    assert [name for part in parts for name in names(part)] == names(asked(pages))
    assert {part["groups_total"] for part in parts} == {42} and len(parts[-1]["groups"]) == 2


def test_one_answer_with_its_text(pages: ResultsPages, folders: list[Path]) -> None:
    side = asked(pages, set="aime24", problem="q/3")["groups"][0]["sides"][1]
    for answer in side["answers"]:
        loaded = pages.routes["/api/answer"]({"folder": "B", "row": str(answer["row"])})
        row = fake_row("aime24", 3, answer["rollout"], 3, 0.5, 1)
        for name in ("prompt", "response", "reference", "finish_reason"):
            assert loaded[name] == row[name]
        verdict = row["verdicts"]["correctness"]
        assert (loaded["extracted"], loaded["reason"]) == (verdict["extracted"], verdict["reason"])
        assert (loaded["tokens"], loaded["turns"]) == (row["response_tokens"], [])


@pytest.mark.parametrize(
    "query",
    [
        "outcome=maybe",
        "disagree=A",
        "disagree=A>A",
        "disagree=A>D",
        "folder=D",
        "folder=0",
        "set=nothing",
        "limit=101",
        "limit=x",
        "offset=-1",
        "offset=%D9%A3",
        "nonsense=1",
    ],
)
def test_bad_parameters_are_one_message(pages: ResultsPages, query: str) -> None:
    name, _, value = query.partition("=")
    with pytest.raises(UsageError) as error:
        pages.routes["/api/answers"]({name: value})
    assert name in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize("query", [{"row": "1"}, {"row": "x"}, {"folder": "Z", "row": "0"}, {"path": "/etc/passwd"}])
def test_there_is_no_such_answer(pages: ResultsPages, query: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"row=|folder=|path"):
        pages.routes["/api/answer"](query)


def test_one_folder_cannot_disagree(folders: list[Path]) -> None:
    with pytest.raises(UsageError, match="disagree="):
        asked(ResultsPages(folders[:1]), disagree="A>B")
    assert asked(ResultsPages(folders[:1]), disagree="any")["groups"] == []


def test_a_problem_that_one_folder_lacks(tmp_path: Path) -> None:
    a = fake_results(tmp_path / "a", {"gsm8k": 4})
    b = fake_results(tmp_path / "b", {"gsm8k": 2}, finished=False)
    groups = asked(ResultsPages([a, b]))["groups"]
    assert [side is None for group in groups for side in group["sides"]] == [False] * 5 + [True, False, True]


def test_a_file_that_grows_and_a_torn_last_line(tmp_path: Path) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 3}, finished=False)
    pages = ResultsPages([folder])
    pages.check()
    assert asked(pages)["groups_total"] == 3
    whole = json.dumps(fake_row("gsm8k", 3, 0, 1, 0.5, 0))
    with (folder / "samples.jsonl").open("a") as file:
        file.write(whole[:200])
    assert asked(pages)["groups_total"] == 3, "half a row waits"
    with (folder / "samples.jsonl").open("a") as file:
        file.write(whole[200:] + "\n")
    data = asked(pages)
    assert data["groups_total"] == 4 and data["groups"][-1]["sides"][0]["shown"]["response"]
    fake_results(folder, {"gsm8k": 2}, seed=5, finished=False)
    assert asked(pages)["groups_total"] == 2, "begun again"


def test_an_evaluation_that_has_only_begun(tmp_path: Path) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 3}, finished=False)
    (folder / "samples.jsonl").unlink()
    pages = ResultsPages([folder])
    assert asked(pages)["groups"] == []
    assert pages.routes["/api/results"]({})["sets"][0]["figures"] == [None]


@pytest.mark.parametrize(
    "line", ["nothing\n", "[1]\n", '{"kind": "eval"}\n', '{"kind": "eval", "step": 0, "problem_id": 3}\n']
)
def test_a_damaged_row_is_named_every_time(tmp_path: Path, line: str) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 3})
    with (folder / "samples.jsonl").open("a") as file:
        file.write(line + whole_row() + "\n")
    pages = ResultsPages([folder])
    for _ in range(2):
        with pytest.raises(UsageError, match=r"samples\.jsonl, row 4"):
            pages.check()


def whole_row() -> str:
    return json.dumps(fake_row("gsm8k", 9, 0, 1, 0.5, 0))


def test_rows_without_what_the_page_shows(tmp_path: Path) -> None:
    folder = fake_results(tmp_path / "a", {"gsm8k": 1})
    write_rows(folder / "samples.jsonl", [{"kind": "eval", "step": 0, "problem_id": "bare"}])
    pages = ResultsPages([folder])
    [side] = asked(pages)["groups"][0]["sides"]
    assert (side["shown"]["outcome"], side["shown"]["tokens"], side["shown"]["response"]) == ("none", None, None)
    assert pages.routes["/api/results"]({})["sets"]
