"""`load_problems`: which source is what, the user's own functions, and the hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonrl.data import load_problems
from reasonrl.data.arithmetic import arithmetic
from reasonrl.errors import DataError


def message(source: str, **arguments: Any) -> str:
    with pytest.raises(DataError) as caught:
        load_problems(source, **arguments)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("torch", "datasets", "pyarrow", "pandas", "numpy", "reasoning_gym", "huggingface_hub", "httpx")
    code = f"import sys, reasonrl.data; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_source_says_what_is_possible() -> None:
    said = message("gsm8")
    assert "'gsm8' is not known. Did you mean 'gsm8k'?" in said
    assert ".jsonl" in said and "arithmetic" in said and "package.module:function" in said


def test_arithmetic() -> None:
    assert load_problems("arithmetic", options={"size": 20}, seed=4, split="test") == arithmetic(
        size=20, seed=4, split="test"
    )
    assert load_problems("arithmetic", options={"size": 20, "seed": 4}, seed=9) == arithmetic(size=20, seed=4)
    assert (
        load_problems("arithmetic", options={"size": 20}, limit=5)
        == load_problems("arithmetic", limit=5)
        == arithmetic(size=5)
    )
    assert "split='test' was asked for, but the options say 'train'" in message(
        "arithmetic", split="test", options={"split": "train"}
    )
    assert "Leave columns out" in message("arithmetic", columns={"prompt": "x"})
    assert "has no effect here" in message("arithmetic", name="main")


def test_gsm8k_and_math_from_local_files(folder: Path) -> None:
    (folder / "g.jsonl").write_text(json.dumps({"question": "q", "answer": "so\n#### 1,234"}) + "\n")
    problem = load_problems("gsm8k", options={"path": "g.jsonl"})[0]
    assert (problem.id, problem.kind, problem.reference, problem.source) == ("g/1", "math", {"answer": "1234"}, "gsm8k")
    (folder / "m.json").write_text(
        json.dumps([{"problem": "q", "solution": "$\\boxed{\\frac12}$", "level": "Level 5", "type": "Algebra"}])
    )
    problem = load_problems("math", options={"path": "m.json"})[0]
    assert (problem.reference, problem.meta) == ({"answer": "\\frac12"}, {"level": "Level 5", "type": "Algebra"})
    assert "unknown option 'pth'. Did you mean 'path'?" in message("math", options={"pth": "m.json"})
    assert "none.jsonl does not exist" in message("gsm8k", options={"path": "none.jsonl"})
    assert "unknown option 'size'" in message("g.jsonl", options={"size": 3})


def test_a_hub_data_set_that_cannot_be_reached() -> None:
    said = message("gsm8k", offline=True)
    assert "'openai/gsm8k' cannot be reached" in said and "offline was asked for" in said and "{path: FILE}" in said
    said = message("some-org/some-data", offline=True)
    assert "cannot be reached" in said and "name the local file" in said and "\n" not in said
    import datasets.config
    import huggingface_hub.constants

    assert not datasets.config.HF_HUB_OFFLINE and not huggingface_hub.constants.HF_HUB_OFFLINE


def test_a_network_that_fails_is_one_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    from huggingface_hub.errors import HTTPError

    for error in (
        HTTPError("no route"),
        ConnectionError("no route"),
        datasets.exceptions.DatasetNotFoundError("no route\nlong"),
    ):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(datasets, "load_dataset", fail)
        said = message("org/data")
        assert (
            said.startswith("the data set 'org/data' cannot be reached: ")
            and "no route. Check the name and the network. Or download" in said
        )


def test_a_hub_data_set_through_datasets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` reads a folder of that name like a repository: the same code path, without a network."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    (folder / "org" / "sums").mkdir(parents=True)
    rows = [{"question": f"{n} + 1", "target": n + 1, "extra": {"n": n}} for n in range(5)]
    for split, part in (("train", rows[:3]), ("test", rows[3:])):
        (folder / "org" / "sums" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    found = load_problems("org/sums", columns={"answer": "target"})
    assert [(p.id, p.prompt, p.reference, p.source, p.meta) for p in found] == [
        (f"sums-train/{n + 1}", f"{n} + 1", {"answer": str(n + 1)}, "org/sums", {"extra": {"n": n}}) for n in range(3)
    ]
    assert [p.id for p in load_problems("org/sums", split="test", columns={"answer": "target"}, limit=1)] == [
        "sums-test/1"
    ]
    assert "has no split 'dev'" in message("org/sums", split="dev") and "train" in message("org/sums", split="dev")
    said = message("org/sums")
    assert "org/sums: 3 mistakes" in said and "row 1 and 2 more: no column 'answer'" in said


def test_a_function_of_the_users_own(folder: Path) -> None:
    (folder / "own_data_module.py").write_text(
        "from verifiers.types import Problem\n"
        "def rows(size, seed=0):\n    return ({'question': f'q{i}', 'answer': seed} for i in range(size))\n"
        "def problems(split='train'):\n    return [Problem('p', split, 'math', {'answer': '1'})]\n"
        "def bad():\n    return [{'question': '', 'answer': 1}, 3]\n"
        "def empty_prompt():\n    return [Problem('p', '', 'math', {'answer': '1'})]\n"
        "def breaks():\n    return {}['x']\n"
        "def text():\n    return 'text'\n"
    )
    found = load_problems("own_data_module:rows", options={"size": 3}, seed=7, limit=2)
    assert [(p.id, p.prompt, p.reference) for p in found] == [
        ("rows/1", "q0", {"answer": "7"}),
        ("rows/2", "q1", {"answer": "7"}),
    ]
    assert load_problems("own_data_module:problems", split="test")[0].prompt == "test"
    assert "missing a required argument: 'size'. Its parameters: size, seed" in message("own_data_module:rows")
    assert "unexpected keyword argument 'sze'" in message("own_data_module:rows", options={"size": 1, "sze": 1})
    assert "unexpected keyword argument 'split'" in message("own_data_module:rows", options={"size": 1}, split="test")
    assert "row 2: all rows must be dicts" in message("own_data_module:bad")
    assert "row 1: the prompt is empty" in message("own_data_module:empty_prompt")
    assert "own_data_module:breaks: KeyError: 'x' (own_data_module.py, line 11)" in message("own_data_module:breaks")
    assert "must return a list of problems (Problem or dict), not str" in message("own_data_module:text")
    assert "own_data_module has no 'row'; did you mean 'rows'?" in message("own_data_module:row")
    assert "there is no module 'no_such_module'" in message("no_such_module:f")
    assert "there is no module 'reasonrl.nothing'" in message("reasonrl.nothing:f")


def test_a_module_that_cannot_be_imported(folder: Path) -> None:
    (folder / "own_broken_module.py").write_text("def f(:\n")
    (folder / "own_needy_module.py").write_text("import surely_not_installed\n")
    assert "cannot be imported: SyntaxError" in message("own_broken_module:f")
    assert "own_needy_module needs 'surely_not_installed'" in message("own_needy_module:f")
