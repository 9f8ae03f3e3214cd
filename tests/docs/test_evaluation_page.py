"""docs/evaluation.md: its tables are those of the program."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import yaml

from reasonrl import cli
from reasonrl.evaluation.benchmarks import BENCHMARKS, find_benchmark
from reasonrl.recipe.data import DataSpec

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:] if not line.startswith("|---")]


def test_every_benchmark_stands_in_the_table_with_its_number_of_rows() -> None:
    named: dict[str, str] = {}
    for names, _, counts, kind in rows_of("Benchmarks"):
        found, numbers = re.findall(r"`(\w+)`", names), [part.strip() for part in counts.split(";")]
        assert len(found) == len(numbers)
        for name, number in zip(found, numbers, strict=True):
            benchmark = find_benchmark(name)
            named[name] = number
            assert benchmark.kind == kind
            if benchmark.hub is not None and benchmark.hub.rows is not None:
                assert int(number.replace(",", "")) == benchmark.hub.rows
    assert set(named) == set(BENCHMARKS)


def test_the_options_of_the_page_are_those_of_the_command() -> None:
    parameters = inspect.signature(cli.evaluate).parameters
    options = re.findall(r"--([a-z][a-z-]*)", PAGE)
    assert options and all(option.replace("-", "_") in parameters or f"{option}_" in parameters for option in options)


def test_the_limits_and_prompts_that_it_names() -> None:
    assert find_benchmark("gsm8k").max_new_tokens == 1024 and find_benchmark("math500").max_new_tokens == 2048
    assert find_benchmark("aime24").max_new_tokens == 32_768
    assert list(find_benchmark("gsm8k").prompts) == ["boxed", "4shot"]
    assert list(find_benchmark("humaneval").prompts) == ["chat", "completion"]


def test_the_recipe_of_the_page_is_read() -> None:
    text = PAGE.partition("```yaml\n")[2].partition("```")[0]
    heldout = DataSpec(**yaml.safe_load(text)["data"]).heldout
    assert {name: source.source for name, source in heldout.items()} == {
        "math500": "benchmark:math500",
        "gsm8k": "benchmark:gsm8k",
    }
