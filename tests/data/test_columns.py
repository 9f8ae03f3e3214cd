"""The forms of rows that are understood, column mapping, and what is said of rows that are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasonrl.data.answers import boxed_answer, marked_answer, number_text
from reasonrl.data.columns import problems_from_rows
from reasonrl.data.files import SourceRow
from reasonrl.data.load import load_problems
from reasonrl.data.mistakes import Mistakes
from reasonrl.errors import DataError
from verifiers.types import Problem


def read(*rows: dict[str, Any], **arguments: Any) -> list[Problem]:
    places = [SourceRow(number, f"row {number}", row) for number, row in enumerate(rows, 1)]
    return problems_from_rows(places, Mistakes("rows"), stem="rows", **arguments)


def message(*rows: dict[str, Any], **arguments: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(*rows, **arguments)
    return str(caught.value)


def test_ours() -> None:
    row = {
        "id": "p1",
        "prompt": "Say it.",
        "reference": {"anything": [1]},
        "kind": "mine",
        "source": "s",
        "meta": {"a": {"b": None}},
    }
    assert read(row) == [Problem("p1", "Say it.", "mine", {"anything": [1]}, "s", {"a": {"b": None}})]
    assert read({**row, "reference": json.dumps(row["reference"]), "meta": json.dumps(row["meta"])}) == read(row)


def test_question_and_answer_with_other_columns_in_meta() -> None:
    row = {"question": "q", "answer": 1_000, "level": 3, "kind": "whatever it means there", "meta": "free text"}
    problem = read(row, source="there")[0]
    assert problem == Problem(
        "rows/1",
        "q",
        "math",
        {"answer": "1000"},
        "there",
        {"level": 3, "kind": "whatever it means there", "meta": "free text"},
    )


def test_gsm8k_and_math_solutions() -> None:
    gsm = {"question": "q", "answer": "He has 3 * 400 = <<3*400=1200>>1,200.\n#### 1,200"}
    hendrycks = {
        "problem": "q",
        "solution": "First $\\boxed{1}$, so $\\boxed{\\frac{1}{\\{2\\}}}$.",
        "level": "Level 1",
    }
    assert [p.reference["answer"] for p in read(gsm, hendrycks)] == ["1200", "\\frac{1}{\\{2\\}}"]
    both = read({"problem": "q", "solution": "so $\\boxed{7}$", "answer": "7"})[0]
    assert both.reference == {"answer": "7"} and both.meta == {"solution": "so $\\boxed{7}$"}
    assert "neither a \\boxed{...} nor a line '#### answer'" in message({"problem": "q", "solution": "It is 7."})
    assert read({"problem": "q", "solution": "7"}, columns={"answer": "solution"})[0].reference == {"answer": "7"}


def test_verl_rows_of_others() -> None:
    row = {
        "data_source": "openai/gsm8k",
        "prompt": [{"role": "user", "content": "q"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "72"},
        "extra_info": {"index": 5, "split": "train", "answer": "long #### 72", "nothing": None},
        "other": 1,
    }
    meta = {"other": 1, "index": 5, "split": "train", "answer": "long #### 72"}
    assert read(row) == [
        Problem("rows/1", [{"role": "user", "content": "q"}], "math", {"answer": "72"}, "openai/gsm8k", meta)
    ]
    code = {
        **row,
        "ability": "code",
        "reward_model": {"style": "rule", "ground_truth": '{"format": "function", "tests": ["t"]}'},
    }
    assert read(code)[0].kind == "code" and read(code)[0].reference["tests"] == ["t"]
    assert "reward_model has no ground_truth" in message({**row, "reward_model": {"style": "model"}})
    assert "reward_model must be an object" in message({**row, "reward_model": 3})
    assert "no column 'prompt'" in message({name: value for name, value in row.items() if name != "prompt"})


def test_trl_rows() -> None:
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert read({"prompt": chat, "answer": "1", "difficulty": 2}) == [
        Problem("rows/1", chat, "math", {"answer": "1"}, "", {"difficulty": 2})
    ]
    filled = [{**chat[0], "name": None}, chat[1]]  # as parquet gives it back when one message somewhere has a name
    assert read({"prompt": filled, "answer": "1"})[0].prompt == chat


def test_reasoning_gym_rows() -> None:
    entry = {"question": "1 + 1 =", "answer": "2", "metadata": {"source_dataset": "chain_sum", "source_index": 0}}
    expected = Problem(
        "rows/1", "1 + 1 =", "reasoning_gym", {"dataset": "chain_sum", "entry": entry}, "reasoning_gym/chain_sum", {}
    )
    assert read(entry) == read({**entry, "metadata": json.dumps(entry["metadata"])}) == [expected]
    assert read(entry, columns={"prompt": "question", "answer": "answer"})[0].reference == {"answer": "2"}
    other = read({"question": "q", "answer": "2", "metadata": {"topic": "sums"}})[0]
    assert other.kind == "math" and other.meta == {"metadata": {"topic": "sums"}}


def test_columns_map_ours_to_theirs() -> None:
    row = {"uid": 7, "query": "q", "target": "4", "prompt": "an unrelated column", "lang": "en"}
    problem = read(row, columns={"id": "uid", "prompt": "query", "answer": "target", "source": "lang"})[0]
    assert problem == Problem("7", "q", "math", {"answer": "4"}, "en", {"prompt": "an unrelated column"})


def test_wrong_column_names_say_what_is_there_and_what_is_near() -> None:
    row = {"qestion": "q", "anwser": "1"}
    said = message(row)
    assert (
        "no column 'prompt', 'problem' or 'question'. Did you mean 'qestion'?" in said
        and "Columns: qestion, anwser." in said
    )
    assert "no column 'answer', 'reference' or 'solution'. Did you mean 'anwser'?" in message(
        {"prompt": "q", "anwser": "1"}
    )
    said = message({"question": "q", "answer": "1"}, columns={"prompt": "qestion"})
    assert (
        "columns maps prompt to 'qestion', which is not a column here. Did you mean 'question'?"
        " Columns: question, answer." in said
    )
    assert "columns maps 'promt', which is not one of our fields. Did you mean 'prompt'?" in message(
        row, columns={"promt": "qestion"}
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"prompt": 3}, "the prompt must be a string or a list of messages, not a number"),
        ({"prompt": []}, "the prompt is empty"),
        ({"prompt": None}, "the prompt is empty"),
        ({"prompt": "\u200b \ufeff\n"}, "the prompt is empty"),
        ({"prompt": [{"role": "user", "content": " "}]}, "the prompt is empty"),
        ({"prompt": [{"role": "user"}]}, "message 1 of the prompt must have exactly the fields 'role' and 'content'"),
        (
            {"prompt": [{"role": "user", "content": ["part"]}]},
            "message 1 of the prompt: its role and its content must be strings",
        ),
        (
            {"prompt": [{"role": "user", "content": "q", "tool_calls": [1]}]},
            "not ['content', 'role', 'tool_calls']",
        ),
        ({"prompt": ["q"]}, "message 1 of the prompt must have exactly the fields"),
        ({"reference": {}}, "the reference must be a non-empty object"),
        ({"reference": "text"}, "reference must be an object {...} or the JSON text of one"),
        ({"reference": {"answer": "2"}}, "answer says '1', but the reference says '2'"),
        ({"kind": "code"}, "no column 'tests' or 'reference'. Columns: prompt, answer, kind."),
        ({"kind": "code", "answer": None, "tests": []}, "the tests of a code reference are empty; write assert"),
        ({"kind": "code", "reference": {"format": "function"}}, "a code reference needs 'tests'; write assert"),
        ({"kind": "lean"}, "a lean reference needs 'statement'"),
        ({"kind": "reasoning_gym"}, "a reasoning_gym reference needs 'dataset'"),
        ({"kind": ""}, "the kind must be a string"),
        ({"kind": ["math"]}, "the kind must be a string"),
        ({"prompt": [{"role": "usr", "content": "q"}]}, "message 1 of the prompt has the role 'usr'; write 'user'"),
        ({"id": [1]}, "the id must be a string that is not blank, not [1]"),
        ({"prompt": [{"role": "user", "content": "a"}] * 2, "prompt_form": "text"}, "needs exactly one message"),
    ],
)
def test_mistakes_in_one_row(fields: dict[str, Any], said: str) -> None:
    told = message({"prompt": "q", "answer": "1"} | fields)
    assert told.startswith("rows: 1 mistake, nothing was loaded:\n  row 1: ") and said in told


def test_two_mistakes_of_one_row_are_both_told() -> None:
    said = message({"prompt": "", "answer": [1], "id": "x"})
    assert "2 mistakes" in said and "the prompt is empty" in said and "not a list" in said


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_text_keep_their_value(number: float) -> None:
    text = number_text(number)
    assert "e" not in text and (float(text) if isinstance(number, float) else int(text)) == number


balanced = st.recursive(
    st.text("ab1 \\$.", max_size=4).map(lambda s: s.replace("\\", "\\\\")),
    lambda inner: st.lists(inner | inner.map(lambda s: "{" + s + "}") | st.just("\\{"), max_size=3).map("".join),
    max_leaves=6,
)


@given(balanced)
def test_a_box_gives_its_content(content: str) -> None:
    assert boxed_answer(f"We get \\boxed{{0}} or $\\boxed{{{content}}}$. {{ }}") == content.strip()


def test_boxes_and_marks_at_the_edge() -> None:
    assert boxed_answer("\\boxed{1} then \\boxed{2") == "1"
    assert boxed_answer("so \\boxed 2$ is it") == "2"
    assert boxed_answer("\\fbox{3}") == "3"
    assert boxed_answer("no box") is None and marked_answer("not ## 3") is None
    assert marked_answer("a\n#### 1\n#### -2,000.5 ") == "-2000.5"
    assert marked_answer("#### (1,000, 2)") == "(1,000, 2)"


def test_forms_are_found_in_files_too(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_text('{"question": "q", "answer": "1"}\n{"prompt": [{"role": "user", "content": "q"}], "answer": 2}\n')
    assert [p.reference["answer"] for p in load_problems(str(path))] == ["1", "2"]
