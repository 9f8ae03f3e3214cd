"""docs/data.md: its tables are what the code reads, and what it tells a reader to write works."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.data import load_problems
from reasonrl.data.arithmetic import arithmetic
from reasonrl.data.columns import FIELDS
from reasonrl.data.files import READERS
from reasonrl.data.hub import OPTIONS as HUB_OPTIONS
from reasonrl.data.load import GENERATORS, NAMED
from reasonrl.data.problem import KINDS, reference_mistakes
from reasonrl.data.prompts import render_prompt
from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_options import OPTIONS
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import DataError
from reasonrl.models.loading import load_model
from reasonrl.recipe.reading import find_recipe, parse_recipe
from tests.e2e.commands import reasonrl_in
from tests.tiny_runs import rows, tiny, write_recipe
from verifiers.types import Problem

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^## ", PAGE, flags=re.M)}


def blocks(section: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", SECTIONS[section], re.M | re.S)


def tables(section: str) -> list[dict[str, list[str]]]:
    """The rows of each table by their first cell."""
    found = re.findall(r"(?:^\|.*\n)+", SECTIONS[section], re.M)
    parsed = [
        [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()] for text in found
    ]
    return [{row[0]: row[1:] for row in table[2:]} for table in parsed]


def loaded(folder: Path, *fields: dict[str, Any], **arguments: Any) -> list[Problem]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in fields), encoding="utf-8")
    return load_problems(str(path), **arguments)


def test_the_rows_of_the_page(tmp_path: Path) -> None:
    (text,) = blocks("A row", "json")
    short, messages, own = loaded(tmp_path, *map(json.loads, text.splitlines()))
    assert (short.id, short.kind, short.reference, short.source, short.meta) == (
        "rows/1",
        "math",
        {"answer": "12"},
        "rows",
        {},
    )
    assert (messages.id, messages.reference, messages.meta) == ("sum-2", {"answer": "-7"}, {"topic": "negative"})
    assert (own.kind, own.reference) == ("sorting", {"sorted": [1, 2, 3]})


def test_the_table_of_fields_is_complete(tmp_path: Path) -> None:
    fields = tables("A row")[0]
    assert {name.strip("`") for name in fields} == set(FIELDS)
    assert fields["`prompt`"][2] == "`prompt`, else `problem`, else `question`"
    columns = {"question": "third", "problem": "second", "prompt": "first"}
    for name in ("first", "second", "third"):
        assert loaded(tmp_path, {**columns, "answer": "1"})[0].prompt == name
        del columns[next(column for column, value in columns.items() if value == name)]
    boxed, marked, number = loaded(
        tmp_path,
        {"prompt": "a", "solution": "so \\boxed{42}"},
        {"prompt": "b", "solution": "work\n#### 42"},
        {"prompt": "c", "reference": '{"answer": "42"}'},
    )
    assert boxed.reference == marked.reference == number.reference == {"answer": "42"}
    with pytest.raises(DataError, match="no column 'answer', 'reference' or 'solution'"):
        loaded(tmp_path, {"prompt": "a"})


def test_rows_of_other_libraries(tmp_path: Path) -> None:
    assert [name.partition(",")[0] for name in tables("A row")[1]] == [
        "verl",
        "TRL",
        "reasoning-gym",
        "ProcessBench",
        "HumanEval",
        "miniF2F",
    ]
    verl = {
        "data_source": "mine",
        "prompt": [{"role": "user", "content": "2+2"}],
        "ability": "math",
        "reward_model": {"style": "rule", "ground_truth": "4"},
        "extra_info": {"id": "v", "index": 0},
    }
    gym = {"question": "2+2", "answer": "4", "metadata": {"source_dataset": "chain_sum"}}
    bench = {"id": "p", "problem": "2+2", "steps": ["5"], "label": 0, "final_answer_correct": False}
    theorem = {"name": "t", "header": "import Mathlib\n", "formal_statement": "theorem t : 1 = 1 := by sorry"}
    first, second, third, fourth = loaded(tmp_path, verl, gym, bench, theorem)
    assert (first.id, first.kind, first.source, first.reference) == ("v", "math", "mine", {"answer": "4"})
    assert (second.kind, second.source) == ("reasoning_gym", "reasoning_gym/chain_sum")
    assert second.reference == {"dataset": "chain_sum", "entry": gym}
    assert (third.kind, third.reference["first_error"], third.reference["correct"]) == ("critique", 0, False)
    assert (fourth.id, fourth.kind, fourth.prompt) == ("t", "lean", "import Mathlib\ntheorem t : 1 = 1 := by\n")


def test_the_programs_of_the_page(tmp_path: Path) -> None:
    (text,) = blocks("Programs", "json")
    function, script = loaded(tmp_path, *map(json.loads, text.splitlines()))
    assert (function.kind, script.kind) == ("code", "code")
    assert (function.reference["tests"], script.reference["tests"]["outputs"]) == (
        ["assert double(2) == 4", "assert double(-1) == -2"],
        ["3\n", "7\n"],
    )
    assert script.reference["solution"].startswith("print(")


def test_the_table_of_kinds() -> None:
    kinds = tables("A row")[2]
    assert [name.strip("`") for name in kinds] == [
        *sorted(KINDS, key=["math", "reasoning_gym", "critique", "code", "lean"].index),
        "any other",
    ]
    values = {"answer": "4", "entry": {"answer": "4"}, "solution": "s", "correct": True}
    for name, (needed, _) in kinds.items():
        kind = name.strip("`")
        fields = re.findall(r"`(\w+)`", needed) or ["x"]
        reference = {field: values.get(field, "x") for field in fields if field not in ("steps", "first_error")}
        assert not reference_mistakes(kind, reference), kind
        for field in reference:
            assert reference_mistakes(kind, {k: v for k, v in reference.items() if k != field}), (kind, field)


def test_the_table_of_sources() -> None:
    sources = tables("Sources")[0]
    names = [word for cell in sources for word in re.findall(r"`([^`]+)`", cell)]
    assert {*NAMED, *GENERATORS} < set(names) and set(READERS) == {f".{name.rpartition('.')[2]}" for name in names[:4]}
    assert all(NAMED[name].hub_id in sources[f"`{name}`"][0] for name in NAMED)
    assert re.findall(r"`(\w+)`", sources["`ORG/NAME`"][1]) == [*HUB_OPTIONS, "prompt_form"]


def options_of(source: str) -> dict[str, Any]:
    """Option -> its default on the page; None where the page has none."""
    options: dict[str, Any] = {}
    for text in re.findall(r"`([^`]+)`", tables("Sources")[0][f"`{source}`"][1]):
        options |= yaml.safe_load(text) if ":" in text else {text: None}
    return options


def test_the_options_of_arithmetic() -> None:
    shown = options_of("arithmetic")
    parameters = inspect.signature(arithmetic).parameters
    assert set(shown) == set(parameters)
    for name, parameter in parameters.items():
        if name not in ("size", "seed"):
            default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
            assert shown[name] == default, name


def test_the_options_of_step_arithmetic() -> None:
    shown = options_of("step_arithmetic")
    assert set(shown) == set(OPTIONS)
    defaults = {name: value for name, value in shown.items() if value is not None}
    assert step_arithmetic({"size": 20, **defaults}) == step_arithmetic({"size": 20})
    for name, other in {
        "terms": 5,
        "low": 9,
        "high": 9,
        "most": 40,
        "repeat": 2,
        "split": "test",
        "test_share": 0.9,
    }.items():
        assert step_arithmetic({"size": 20, **defaults, name: other}) != step_arithmetic({"size": 20}), name


def test_a_file_in_two_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,), (keys,) = blocks("One file, two splits", "python"), blocks("One file, two splits", "yaml")
    problems = [{"prompt": f"{n}+1?", "answer": n + 1} for n in range(300)]
    Path("problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in problems), encoding="utf-8")
    exec(compile(code, "data.md", "exec"), {})
    recipe = parse_recipe(yaml.safe_dump({"name": "x", **yaml.safe_load(keys)}), "data.md").stages[0]
    train = load_problems(**recipe.data.train_sources[0].model_dump())
    test = load_problems(**recipe.data.heldout["test"].model_dump())
    assert (len(train), len(test)) == (200, 100)
    assert sorted(int(p.reference["answer"]) for p in (*train, *test)) == list(range(1, 301))


def test_a_text_prompt_may_hold_what_a_chat_template_writes() -> None:
    (keys,) = blocks("From a question to a prompt", "yaml")
    prompt = yaml.safe_load(keys)["data"]["prompt"]
    tokenizer = load_model("smollm2-135m", device="cpu", offline=True).tokenizer
    question = Problem("q", "2 + 2?", "math", {"answer": "4"})
    ids = encode_prompt(tokenizer, render_prompt(question, template=prompt["template"], style=prompt["style"]))
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "2 + 2?"}]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    expected = expected.removeprefix("<|im_start|>system\nS<|im_end|>\n") + "<think>\n\n</think>\n\n"
    assert ids == tokenizer(expected)["input_ids"]
    start, end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    assert ids.count(start) == 2 and ids.count(end) == 1, "read as special tokens"


def test_the_first_recipe_of_the_page() -> None:
    (keys,) = re.findall(r"^```yaml\n(.*?)^```", SECTIONS["# Data"], re.M | re.S)
    recipe = parse_recipe(yaml.safe_dump({"name": "x", **yaml.safe_load(keys)}), "data.md").stages[0]
    assert recipe.data.prompt is not None
    problem = render_prompt(Problem("q", "2 + 2?", "math", {"answer": "4"}), template=recipe.data.prompt.template)
    assert problem.prompt == [{"role": "user", "content": "2 + 2?\nWrite the answer in \\boxed{}."}]


def test_where_paths_begin_and_what_a_recipe_name_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (tmp_path / "here.jsonl").write_text('{"prompt": "1+1=", "answer": "2"}\n', encoding="utf-8")
    write_recipe(folder, {"name": "x", "data": {"train": {"source": "here.jsonl"}}}, "r.yaml")
    monkeypatch.chdir(tmp_path)
    assert load_problems("here.jsonl")
    assert find_recipe("smoke").parent.name == "smoke" and find_recipe("smoke").is_absolute()
    (tmp_path / "smoke").write_text("name: file", encoding="utf-8")
    assert find_recipe("smoke") == Path("smoke")
    (tmp_path / "smoke").unlink()
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "recipe.yaml").write_text("name: folder", encoding="utf-8")
    assert find_recipe("smoke") == Path("smoke/recipe.yaml")
    shown = reasonrl_in(tmp_path, "train", "recipes/r.yaml", "--dry-run", "--offline", "model.path=tiny-arithmetic")
    assert shown.code == 0, shown.out + shown.err


def test_the_fields_of_a_sample(tmp_path: Path) -> None:
    recipe = tiny(train={"steps": 1, "credit": "tempo"})
    recipe["rollout"] |= {
        "environment": {"name": "tests.environments.scripted_partner:ScriptedPartner"},
        "max_response_tokens": 60,
    }
    ended = reasonrl_in(tmp_path, "train", write_recipe(tmp_path, recipe), f"run_dir={tmp_path / 'run'}", "-q")
    assert ended.code == 0, ended.out + ended.err
    written = {field for row in rows(tmp_path / "run" / "samples.jsonl") for field in row}
    listed = tables("What a run writes of each response")[0]
    assert {field for cell in listed for field in re.findall(r"`(\w+)`", cell)} == written
