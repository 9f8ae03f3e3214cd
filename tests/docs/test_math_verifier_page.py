"""docs/verifiers.md: the tables of "Where the answer is looked for" are what the verifiers say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reasonrl.errors import DataError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.data import load_data
from verifiers import load_verifier
from verifiers.format import NAMED

PAGE = (Path(__file__).parents[2] / "docs" / "verifiers.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Where the answer is looked for\n")[2].partition("\n## ")[0]


def tables() -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n)+", SECTION, re.M)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


MODES, PATTERNS = tables()
CELLS = [
    (row[0].strip("`").replace("\\n", "\n"), mode.strip("`"), cell)
    for row in MODES[2:]
    for mode, cell in zip(MODES[0][1:], row[1:], strict=True)
]


@pytest.mark.parametrize(("response", "mode", "cell"), CELLS)
def test_a_response_in_a_mode(response: str, mode: str, cell: str) -> None:
    (verdict,) = load_verifier("math", mode=mode).verify([response], [{"answer": "42"}])
    word = {"correct": "correct", "wrong": "wrong", "wrong (unparsed)": "unparsed"}[verdict.summary]
    assert cell.split(" ")[0] == word
    reads = re.search(r"\(reads (\w+)\)", cell)
    assert reads is None or verdict.extracted == reads.group(1)


def test_all_modes_are_in_the_table() -> None:
    assert {mode for _, mode, _ in CELLS} == {"strict", "lenient", "whole"} and len(CELLS) == 30


FITS = {
    "boxed": (["\\boxed{42}", "a \\boxed{} b \\boxed{4}"], ["42", "\\boxed{}", "\\boxed{42"]),
    "answer_tag": (["so <answer>4</answer>."], ["<answer></answer>", "<answer>4</answer><answer>4</answer>"]),
    "think_answer": (
        ["<think>a</think> <answer>4</answer>"],
        ["<answer>4</answer>", "<think>a</think><answer>4</answer>."],
    ),
    "integer": ([" -42\n"], ["4.5", "It is 42"]),
    "a.b": ([" a\nb "], ["xa\nb"]),
}


def test_the_patterns() -> None:
    names = [row[0].strip("`") for row in PATTERNS[2:]]
    assert names == [*NAMED, "a regular expression"]
    for pattern, (good, bad) in FITS.items():
        verifier = load_verifier("format", pattern=pattern)
        verdicts = verifier.verify([*good, *bad], [{}] * (len(good) + len(bad)))
        assert [verdict.correct for verdict in verdicts] == [True] * len(good) + [False] * len(bad), pattern


def test_a_regular_expression_cannot_be_the_verifier() -> None:
    text = "name: x\ndata: {train: {source: arithmetic, options: {size: 3}}}\nverifier: {name: format, pattern: a.b}\n"
    recipe = parse_recipe(text, "test").stages[0]
    with pytest.raises(DataError, match=r"a\.b"):
        load_data(recipe, load_verifier("format", pattern="a.b"))
