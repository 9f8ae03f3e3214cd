"""Prompts that are the JSON text of messages: read as messages, refused, or left as text by the row's own word."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reasonrl.data import load_problems, write_problems
from reasonrl.errors import DataError
from verifiers.types import Problem

MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": '1 + "2"'}]
TEXT = json.dumps(MESSAGES)


def rows(path: Path, *prompts: Any, **fields: Any) -> str:
    path.write_text("".join(json.dumps({"prompt": prompt, "answer": "3", **fields}) + "\n" for prompt in prompts))
    return str(path)


def test_json_text_of_messages_is_messages_in_every_file(tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["prompt", "answer"], [TEXT, "3"]])
    pq.write_table(pa.table({"prompt": [TEXT], "answer": ["3"]}), tmp_path / "rows.parquet")
    verl = pa.table({"data_source": ["s"], "prompt": [TEXT], "reward_model": [{"ground_truth": "3"}]})
    pq.write_table(verl, tmp_path / "verl.parquet")
    indented = json.dumps(MESSAGES, indent=1)
    for source in (
        rows(tmp_path / "rows.jsonl", TEXT, " " + indented),
        *(str(tmp_path / name) for name in ("rows.csv", "rows.parquet", "verl.parquet")),
    ):
        assert all(problem.prompt == MESSAGES for problem in load_problems(source))


@pytest.mark.parametrize(
    "prompt",
    [
        repr(MESSAGES),
        TEXT[:-2],
        json.dumps(TEXT),
        json.dumps(MESSAGES[1]),
        json.dumps({"messages": MESSAGES}),
        '[{"from": "human", "value": "q"}]',
        '[{"content": "q"}]',
        "[{'role': 'user', 'content': 'q'}\n {'role': 'assistant', 'content': 'a'}]",
    ],
)
def test_what_begins_like_messages_and_is_not_is_refused(tmp_path: Path, prompt: str) -> None:
    with pytest.raises(DataError) as caught:
        load_problems(rows(tmp_path / "rows.jsonl", "fine", prompt))
    said = str(caught.value)
    assert "1 mistake" in said and "line 2: the prompt " in said
    assert 'Write [{"role": "user", "content": "..."}]' in said and "prompt_form: text" in said


@pytest.mark.parametrize("before", ["\ufeff", "\u200b", " \ufeff\n"])
def test_characters_without_width_before_messages_do_not_make_them_a_question(tmp_path: Path, before: str) -> None:
    assert load_problems(rows(tmp_path / "rows.jsonl", before + TEXT))[0].prompt == MESSAGES
    assert load_problems(rows(tmp_path / "text.jsonl", before + "1 + 2"))[0].prompt == before + "1 + 2"


@pytest.mark.parametrize("prompt", ["[1, 2]", '{"a": 1}', '[{"name": 1}]', f"{TEXT} How many roles?", "[]", '"role"'])
def test_questions_with_json_in_them_stay_questions(tmp_path: Path, prompt: str) -> None:
    assert load_problems(rows(tmp_path / "rows.jsonl", prompt))[0].prompt == prompt


@pytest.mark.parametrize("prompt", [TEXT, repr(MESSAGES), TEXT[:-2]])
def test_a_question_that_looks_like_messages_stays_text_by_prompt_form(tmp_path: Path, prompt: str) -> None:
    by_row = rows(tmp_path / "row.jsonl", prompt, prompt_form="text")
    by_source = rows(tmp_path / "source.jsonl", prompt)
    assert load_problems(by_row)[0].prompt == prompt and load_problems(by_row)[0].meta == {}
    assert load_problems(by_source, options={"prompt_form": "text"})[0].prompt == prompt
    both = rows(tmp_path / "both.jsonl", MESSAGES)  # what is a list of messages stays one
    assert load_problems(both, options={"prompt_form": "text"})[0].prompt == MESSAGES
    with pytest.raises(DataError, match="prompt_form must be text or chat, not 'txt'"):
        load_problems(by_source, options={"prompt_form": "txt"})


@pytest.mark.parametrize(("name", "form"), [("x.jsonl", "plain"), ("x.jsonl", "verl"), ("x.parquet", "trl")])
def test_a_text_that_looks_like_messages_survives_a_file(tmp_path: Path, name: str, form: str) -> None:
    problem = Problem("p", TEXT, "math", {"answer": "3"}, "s")
    assert load_problems(str(write_problems([problem], tmp_path / name, form=form))) == [problem]
