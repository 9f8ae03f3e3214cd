"""The table of scores and the facts: against results.json, `compare` and the rows themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reasonrl import stats
from reasonrl.evaluation.compare import compare
from reasonrl.evaluation.viewing.facts import facts_data
from reasonrl.evaluation.viewing.folder import open_folders, set_names
from reasonrl.evaluation.viewing.pages import ResultsPages
from reasonrl.evaluation.viewing.scores import table_data
from tests.evaluation.viewing.fake_results import fake_results, write_json
from tests.runs.fake_run import fake_sample, fake_verdict, write_rows

SETS = {"gsm8k": 40, "aime24": 12}


def table(*paths: Path) -> list[dict[str, Any]]:
    folders = open_folders(paths)
    return table_data(folders, set_names(folders))


def changed(folder: Path, **facts: Any) -> Path:
    """The folder with other facts of gsm8k."""
    for name in ("results.json", "settings.json"):
        content = json.loads((folder / name).read_text())
        content["benchmarks"]["gsm8k"] |= facts
        write_json(folder / name, content)
    return folder


def test_figures_are_those_of_results_json(tmp_path: Path) -> None:
    folder = fake_results(tmp_path / "a", SETS, n=4)
    written = json.loads((folder / "results.json").read_text())["results"]
    rows = table(folder)
    assert [row["label"] for row in rows] == ["gsm8k", "aime24"], "in the order of the evaluation"
    for row in rows:
        [figures], entry = row["figures"], written[row["set"]]
        for name in ("accuracy", "majority", "truncated", "unparsed", "unjudged", "missing", "mean_tokens", "problems"):
            assert figures[name] == entry[name], name
        k = max(map(int, entry["pass_at"]))
        assert figures["pass_at"] == entry["pass_at"][str(k)] | {"k": k}
        assert (figures["mode"], figures["is_complete"], row["differences"]) == ("sampled", True, [])


@pytest.mark.parametrize("n", [1, 4])
def test_a_folder_that_is_still_drawn_is_computed_from_its_answers(tmp_path: Path, n: int) -> None:
    done, going = (fake_results(tmp_path / name, SETS, n=n, finished=name == "a") for name in "ab")
    for finished, drawn in zip(table(done), table(going), strict=True):
        [a], [b] = finished["figures"], drawn["figures"]
        assert (b["is_complete"], b["missing"], b["majority"]) == (False, None, None), "only the end knows these"
        for name in set(a) - {"is_complete", "missing", "majority"}:
            assert a[name] == b[name], name


def test_differences_are_those_of_compare(tmp_path: Path) -> None:
    a, b = (fake_results(tmp_path / name, SETS, n=4, seed=seed) for name, seed in (("a", 1), ("b", 2)))
    expected = {result.set: result for result in compare(a, b).results}
    for row in table(a, b):
        [shown], result = row["differences"], expected[row["set"]]
        assert (shown["estimate"], shown["low"], shown["high"], shown["n"]) == tuple(result.difference.normal)
        assert (shown["p_value"], shown["is_holm"]) == (result.difference.p_value, False)
        assert (shown["wins"], shown["losses"], shown["ties"]) == (result.wins, result.losses, result.ties)
        assert shown["verdict"] == result.verdict and tuple(shown["bounds"]) == result.difference_bounds


def test_several_folders_have_p_values_of_holm(tmp_path: Path) -> None:
    a, b, c = (fake_results(tmp_path / name, SETS, n=2, seed=seed) for seed, name in enumerate("abc"))
    shown = [one for row in table(a, b, c) for one in row["differences"]]
    plain = [compare(a, other).results[place].difference.p_value for place in (1, 0) for other in (b, c)]
    assert [one["p_value"] for one in shown] == stats.holm(plain) and all(one["is_holm"] for one in shown)


@pytest.mark.parametrize(
    ("facts", "words"),
    [({"prompt": "4shot"}, "A has the prompt 'boxed', but B has '4shot'"), ({"verifier": {}}, "the verifier")],
)
def test_what_does_not_compare_has_a_message_in_its_place(tmp_path: Path, facts: dict[str, Any], words: str) -> None:
    a, b = (fake_results(tmp_path / name, SETS) for name in "ab")
    refused, other = table(a, changed(b, **facts))
    assert words in refused["differences"][0]["refused"] and refused["figures"][1]["accuracy"]
    assert other["differences"][0]["estimate"] == 0, "the other benchmark is compared"


def test_other_data_other_modes_and_other_sets(tmp_path: Path) -> None:
    a = fake_results(tmp_path / "a", {"gsm8k": 9, "only_a": 3})
    b = fake_results(tmp_path / "b", {"gsm8k": 9, "only_b": 3}, n=2)
    c = fake_results(tmp_path / "c", {"gsm8k": 9})
    rows = [json.loads(line) | {"reference": {"answer": "x"}} for line in (c / "samples.jsonl").open()]
    write_rows(c / "samples.jsonl", rows)
    gsm8k, only_a, only_b = table(a, b, c)
    modes, data = gsm8k["differences"]
    assert "A has greedy answers, but B has sampled ones" in modes["refused"]
    assert "different references" in data["refused"]
    assert only_a["figures"][1:] == [None, None] and only_a["differences"] == [None, None]
    assert only_b["figures"][0] is None and only_b["label"] == "only_b"


def test_an_evaluation_on_problems_of_ones_own(tmp_path: Path) -> None:
    """`reasonrl eval --data --output` writes other facts, and greedy and sampled answers to one set."""
    rows = [
        fake_sample(kind="eval", set="test", mode=mode, problem_id=str(i), rollout=j,
                    verdicts={"correctness": fake_verdict(i % 2 == 0)})
        for mode, n in (("greedy", 1), ("sampled", 3)) for i in range(6) for j in range(n)
    ]  # fmt: skip
    write_rows(tmp_path / "samples.jsonl", rows)
    write_json(tmp_path / "results.json", {"model": "m", "seed": 0, "metrics": {"eval/test/greedy": 0.5}})
    greedy, sampled = table(tmp_path)
    assert (greedy["label"], sampled["label"]) == ("test, greedy", "test, sampled")
    assert greedy["figures"][0]["answers"] == 6 and sampled["figures"][0]["answers"] == 18
    assert sampled["figures"][0]["accuracy"]["estimate"] == 0.5 and greedy["figures"][0]["is_complete"]


def test_numbers_that_are_none_in_a_changed_file(tmp_path: Path) -> None:
    folder = fake_results(tmp_path, {"gsm8k": 5})
    content = json.loads((folder / "results.json").read_text())
    content["results"]["gsm8k"] = {"accuracy": {"estimate": "high"}, "pass_at": {"x": 1}, "problems": True}
    content["results"]["more"] = ["not an object"]
    write_json(folder / "results.json", content)
    [row] = table(folder)
    assert {row["figures"][0][name] for name in ("accuracy", "pass_at", "problems", "mean_tokens")} == {None}


def lines(*paths: Path) -> dict[str, dict[str, dict[str, Any]]]:
    sections = facts_data(open_folders(paths))
    return {section["title"]: {line["name"]: line for line in section["lines"]} for section in sections}


def test_facts_say_where_folders_differ(tmp_path: Path) -> None:
    a = fake_results(tmp_path / "a", SETS, model="one")
    b = fake_results(tmp_path / "b", {"gsm8k": 40}, model="two")
    changed(b, verifier={"name": "math", "mode": "strict"})
    facts = lines(a, b)
    assert list(facts) == ["All benchmarks", "gsm8k", "aime24"]
    assert facts["All benchmarks"]["model"] == {"name": "model", "values": ["one", "two"], "differs": True}
    differing = {name for section in facts.values() for name, line in section.items() if line["differs"]}
    assert differing == {"model", "verifier.mode"}, "a benchmark that one side lacks is no difference"
    assert facts["aime24"]["data_hash"]["values"][1] is None
    assert facts["gsm8k"]["sampling.max_new_tokens"]["values"] == ["512", "512"]
    assert facts["All benchmarks"]["versions.vllm"]["values"] == ["none", "none"]


def test_what_is_not_written_yet_is_no_difference(tmp_path: Path) -> None:
    a, b = (fake_results(tmp_path / name, SETS, finished=name == "a") for name in "ab")
    facts = lines(a, b)["All benchmarks"]
    assert facts["versions.torch"] == {"name": "versions.torch", "values": ["2.9.0", None], "differs": False}
    changed(a, left_out=["q/1", "q/2"])
    assert lines(a, b)["gsm8k"]["left_out"] == {
        "name": "left_out",
        "values": ["q/1, q/2", "none"],
        "differs": True,
    }


def test_a_long_list_that_differs_at_its_end_differs(tmp_path: Path) -> None:
    a, b = (fake_results(tmp_path / name, SETS) for name in "ab")
    changed(a, left_out=list("abcdefgh"))
    changed(b, left_out=list("abcdefgi"))
    line = lines(a, b)["gsm8k"]["left_out"]
    assert line["differs"] and line["values"] == ["8: a, b, c, d, e, f, ..."] * 2


def test_the_page_asks_again_and_gets_news_only(tmp_path: Path) -> None:
    folder = fake_results(tmp_path, {"gsm8k": 5}, finished=False)
    results = ResultsPages([folder]).routes["/api/results"]
    first = results({})
    assert results({"have": str(first["version"])}) == {"version": first["version"], "unchanged": True}
    assert "sets" in results({"have": "x"}) and first["folders"][0]["is_finished"] is False
    more = fake_sample(kind="eval", set="gsm8k", mode="greedy", problem_id="new")
    write_rows(folder / "samples.jsonl", [more], mode="a")
    second = results({"have": str(first["version"])})
    assert second["sets"][0]["figures"][0]["answers"] == 6
    fake_results(tmp_path, {"gsm8k": 6})
    third = results({"have": str(second["version"])})
    assert third["folders"][0]["is_finished"] and third["sets"][0]["figures"][0]["majority"] is None
