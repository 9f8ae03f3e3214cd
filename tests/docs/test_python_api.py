"""Every code block of docs/python_api.md is run, in the order of the page, in one empty folder. The other tests check
what the page says of the API: what it imports, what it raises, what it leaves behind.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

import reasonrl
from reasonrl import Run, compare, evaluate, load_problems, load_recipe, train
from reasonrl.cli import app
from reasonrl.errors import DataError, RecipeError, UsageError
from reasonrl.recipe.data import SourceSpec
from tests.tiny_runs import tiny

PAGE = Path(__file__).parents[2] / "docs" / "python_api.md"
TINY: dict[str, Any] = tiny(train={"steps": 2}, evaluation={"samples_per_problem": 1})


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(TINY, tmp_path_factory.mktemp("runs") / "tiny", quiet=True, offline=True)


def test_every_block_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = code_blocks(PAGE)
    assert len(blocks) >= 8
    namespace: dict[str, Any] = {}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{PAGE.name}, block {number}", "exec"), namespace)
    assert len(namespace["steps"]) == len(namespace["rewards"]) == 10
    assert len(namespace["losses"]) == 30
    assert namespace["result"].accuracy.n == 25
    assert namespace["greedy_only"].greedy.n == 20 and namespace["greedy_only"].sampled is None
    assert namespace["reward"](prompts=[""], completions=[r"\boxed{4}"], answer=["3"]) == [0.0]


def test_the_page_names_everything_that_the_package_offers() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in reasonrl.__all__ if name not in text]
    assert missing == []


def test_every_name_of_the_package_is_there() -> None:
    assert set(reasonrl.__all__) == set(reasonrl._MODULES)
    assert set(reasonrl.__all__) <= set(dir(reasonrl))
    assert all(getattr(reasonrl, name).__doc__ for name in reasonrl.__all__)
    with pytest.raises(AttributeError, match="'trainn'"):
        getattr(reasonrl, "trainn")  # noqa: B009


@pytest.mark.parametrize(
    "code",
    [
        "import reasonrl",
        "from reasonrl import load_recipe; load_recipe('quickstart', 'train.steps=5')",
        "from reasonrl import load_problems; load_problems('arithmetic', options={'size': 3})",
        "from reasonrl import Run, RecipeError",
    ],
)
def test_neither_torch_nor_transformers_is_imported_by(code: str) -> None:
    check = "import sys; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_recipe_loads_by_name_path_dictionary_and_again(tmp_path: Path) -> None:
    named = load_recipe("quickstart", "train.steps=5")
    assert named.stages[0].train.steps == 5
    assert load_recipe(named) is named
    assert load_recipe(named, "seed=3").stages[0].seed == 3
    assert load_recipe(named.raw).stages == named.stages
    (tmp_path / "mine.yaml").write_text("name: mine\ndata: {train: {source: a.jsonl}}\n")
    assert load_recipe(tmp_path / "mine.yaml") == load_recipe(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize("name", ["smoke", "critique_rl", "quickstart", "spc"])
def test_a_dictionary_is_the_same_recipe_as_the_file(name: str) -> None:
    from_file = load_recipe(name)
    assert load_recipe(from_file.raw).stages == from_file.stages
    assert load_recipe(from_file.raw).raw == from_file.raw


def test_values_of_a_dictionary_stay_what_they_are(tmp_path: Path) -> None:
    texts = {"name": "1e-5", "description": "no", "data": {"train": {"source": tmp_path / "a.jsonl"}}}
    recipe = load_recipe(texts).stages[0]
    assert (recipe.name, recipe.description) == ("1e-5", "no")
    assert recipe.data.train_sources[0].source == str(tmp_path / "a.jsonl")


def test_mistakes_in_a_file_have_lines_and_those_in_a_dictionary_none(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\ndata: {train: {source: a.jsonl}}\nseeed: 1\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml: 1 mistake\n  - seeed \(line 3\): .*did you mean 'seed'"):
        load_recipe(tmp_path / "mine.yaml")
    with pytest.raises(RecipeError) as caught:
        load_recipe(
            {"name": "mine", "data": {"train": {"source": "a.jsonl"}}, "seeed": 1, "rollout": {"temperature": -1}}
        )
    assert str(caught.value).startswith("recipe: 2 mistakes\n") and "line" not in str(caught.value)


def test_what_a_recipe_cannot_hold_is_named_with_its_place() -> None:
    with pytest.raises(RecipeError, match=r"^optim\.lr: a recipe holds .* not complex"):
        load_recipe({"name": "x", "optim": {"lr": 1j}})
    with pytest.raises(RecipeError, match=r"keys are words such as 'train', not 'train\.steps'"):
        load_recipe({"name": "x", "train.steps": 3})


def test_problems_load_from_a_file_a_generator_and_a_dictionary(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"q": "1 + 1?", "a": "2"}\n{"q": "1 + 2?", "a": "3"}\n')
    source = {"source": str(tmp_path / "a.jsonl"), "columns": {"prompt": "q", "answer": "a"}}
    problems = load_problems(source)
    assert [problem.reference["answer"] for problem in problems] == ["2", "3"]
    assert load_problems(source, limit=1) == problems[:1]
    assert load_problems(tmp_path / "a.jsonl", columns=source["columns"]) == problems
    assert len(load_problems("arithmetic", options={"size": 4})) == 4
    assert load_problems(SourceSpec(source="arithmetic", options={"size": 4}).model_dump()) == load_problems(
        "arithmetic", options={"size": 4}
    )
    with pytest.raises(DataError, match="no option 'colums': did you mean 'columns'"):
        load_problems("a.jsonl", colums={})
    with pytest.raises(DataError, match="no key 'source'"):
        load_problems({"split": "train"})


def test_a_run_has_its_model_metrics_samples_and_evaluations(run: Run) -> None:
    assert run.model_path.name == "step-000002" and (run.model_path / "config.json").is_file()
    assert run.report_path == run.path / "report.html"
    assert [row["step"] for row in run.metrics("train")] == [1, 2]
    assert [(step, evaluation.set_name) for step, evaluation in run.evaluations()] == [(0, "sums"), (2, "sums")]
    assert all(evaluation.accuracy is not None and evaluation.accuracy.n == 6 for _, evaluation in run.evaluations())
    assert len(list(run.samples("train", step=1))) == 16
    assert {row["mode"] for row in run.samples("eval", mode="greedy")} == {"greedy"}
    assert Run.open(run.path).metrics() == run.metrics()
    with pytest.raises(UsageError, match="has no stage 'tinny': did you mean 'tiny'"):
        run.metrics(stage="tinny")


def test_a_finished_run_is_resumed_and_never_overwritten(run: Run) -> None:
    before = run.metrics()
    assert train(TINY, run.path, resume=True, quiet=True, offline=True).metrics() == before
    again = train(str(run.path), resume=True, quiet=True, offline=True)
    assert (again.path, again.metrics()) == (run.path, before), "a run is resumed by its folder"
    with pytest.raises(UsageError, match="already holds a run"):
        train(TINY, run.path, quiet=True)


def test_training_prints_nothing_when_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(TINY, tmp_path / "run", quiet=True, offline=True)
    assert capsys.readouterr().out == ""


def test_training_leaves_signals_and_torch_as_they_were(tmp_path: Path) -> None:
    def handler(number: int, frame: Any) -> None: ...

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, handler) for number in numbers}
    threads = torch.get_num_threads()
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    try:
        train(tiny(train={"steps": 1}, evaluation={"before": False}), tmp_path / "a", quiet=True, offline=True)
        with pytest.raises(RecipeError):
            train(tiny(model={"path": "tiny-arithmetic"}, verifier={"name": "nothing"}), tmp_path / "b", quiet=True)
        assert [signal.getsignal(number) for number in numbers] == [handler] * 3
        assert torch.get_num_threads() == 2 and not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(threads)
        for number, old in previous.items():
            signal.signal(number, old)


def test_training_works_outside_of_the_main_thread(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(train, tiny(train={"steps": 1}), tmp_path / "run", quiet=True, offline=True).result()
    assert len(run.metrics("train")) == 1


def test_an_evaluation_equals_that_of_the_command(run: Run, tmp_path: Path) -> None:
    result = evaluate(run, n=2, output=tmp_path / "api", offline=True)
    words = ["eval", str(run.path), "--n", "2", "--output", str(tmp_path / "cli"), "--offline"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(str(result))
    written = [json.loads((tmp_path / side / "results.json").read_text()) for side in ("api", "cli")]
    for key in ("model", "weights", "seed", "metrics", "sampling", "verifier"):
        assert written[0][key] == written[1][key]
    assert set(written[0]) == set(written[1])
    lines = [(tmp_path / side / "samples.jsonl").read_text().splitlines() for side in ("api", "cli")]
    responses = [[json.loads(line)["response"] for line in side] for side in lines]
    assert responses[0] == responses[1] == [row["response"] for row in result.samples]
    for comparison in (compare(result, tmp_path / "cli"), compare(run, run)):
        assert all(paired.difference.normal.estimate == 0 for paired in comparison.results)
    with pytest.raises(UsageError, match="already holds results"):
        evaluate(run, output=tmp_path / "api")


def test_problems_in_memory_are_evaluated_as_those_of_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(f'{{"question": "{i} + 1", "answer": "{i + 1}"}}\n' for i in range(4)))
    problems = load_problems(tmp_path / "a.jsonl")
    from_file = evaluate(run, tmp_path / "a.jsonl", n=0)
    in_memory = evaluate(run, problems, n=0)
    assert list(from_file.sets) == ["a"] and list(in_memory.sets) == ["data"]
    assert [row["response"] for row in from_file.samples] == [row["response"] for row in in_memory.samples]
    assert from_file.greedy == in_memory.greedy == in_memory.accuracy
    assert evaluate(run, {"source": str(tmp_path / "a.jsonl")}, n=0, limit=2).greedy[3] == 2


def test_wrong_arguments_of_an_evaluation_are_named(run: Run) -> None:
    with pytest.raises(UsageError, match="empty list"):
        evaluate(run, [])
    with pytest.raises(UsageError, match="no problems to evaluate on"):
        evaluate("tiny-arithmetic")
    with pytest.raises(UsageError, match="not -1"):
        evaluate(run, n=-1)
    with pytest.raises(UsageError, match=r"evaluate\(\.\.\., output='FOLDER'\)"):
        compare(evaluate(run, n=0, limit=1), run)


def test_several_sets_are_asked_for_by_name(run: Run, tmp_path: Path) -> None:
    heldout = {name: TINY["data"]["heldout"]["sums"] for name in ("first", "second")}
    recipe = tmp_path / "two.yaml"
    recipe.write_text(yaml.safe_dump({**TINY, "data": {**TINY["data"], "heldout": heldout}}))
    result = evaluate(run.model_path, recipe=recipe, n=0)
    assert result.sets["second"].accuracy is not None
    with pytest.raises(UsageError, match=r"several sets were evaluated \(first, second\)"):
        _ = result.accuracy
