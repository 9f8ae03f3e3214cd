"""Data of a stage, and data that a critic is evaluated on afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.errors import DataError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.setup.data import RunData, load_data, recipe_for_data
from tests.metric_runs import critic
from tests.tiny_runs import merged


def test_a_critic_is_evaluated_on_solutions_whatever_the_last_stage_was(tmp_path: Path) -> None:
    """`reasonrl eval RUN` takes the recipe of the last stage. After a game that is still the recipe of a critic."""
    game = merged(critic(tmp_path), {"kind": "game"})
    recipe = parse_recipe(yaml.safe_dump(game), "test").stages[0]
    verifier = make_reward_parts(recipe, make_verifier(recipe))[0].verifier
    assert verifier is not None
    problem = load_data(recipe, verifier).heldout["steps"][0]
    assert problem.reference["solution"].splitlines()[0] in str(problem.prompt), "the critic sees the solution"
    of_the_game = load_data(recipe_for_data(recipe), make_verifier(recipe)).heldout["steps"][0]
    assert problem.reference["solution"].splitlines()[0] not in str(of_the_game.prompt), "the solver does not"


def offline(folder: Path, *, replay: list[dict[str, Any]], heldout: list[dict[str, Any]]) -> RunData:
    """Data of an offline stage with two files of demonstrations of one name, in two folders."""
    rows = [{"id": "row", "prompt": "2 + 2", "kind": "offline", "reference": {"response": "4", "reward": 1.0}}]
    shown = [str(file(folder / name / "shown.jsonl", replay)) for name in ("one", "two")]
    data = {
        "train": {"source": str(file(folder / "train.jsonl", rows))},
        "replay": [{"source": source} for source in shown],
        "heldout": {"test": {"source": str(file(folder / "test.jsonl", heldout))}},
    }
    text = yaml.safe_dump({"name": "n", "kind": "offline", "data": data})
    recipe = parse_recipe(text, "test").stages[0]
    return load_data(recipe, make_verifier(recipe))


def file(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


SHOWN = {"prompt": "1 + 1", "reference": {"answer": "2", "demonstration": "2"}}


def test_no_two_demonstrations_have_one_id(tmp_path: Path) -> None:
    heldout = [{"prompt": "3 + 3", "answer": "6"}]
    data = offline(tmp_path, replay=[SHOWN], heldout=heldout)
    assert [problem.id for problem in data.replay] == ["shown/1", "shown@2/1"]
    with pytest.raises(DataError, match=r"data\.replay\.1: the id 'x' is already used by an earlier source"):
        offline(tmp_path, replay=[{**SHOWN, "id": "x"}], heldout=heldout)


def test_a_held_out_problem_is_not_demonstrated(tmp_path: Path) -> None:
    heldout = [{"prompt": "3 + 3", "answer": "6"}, {"prompt": "1  + 1", "answer": "2"}]
    with pytest.raises(DataError, match=r"test: 1 of 2 problems are also in data\.replay \(first: test/2\)"):
        offline(tmp_path, replay=[SHOWN], heldout=heldout)


def test_a_source_that_is_there_twice_is_warned_of(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n} + 1", "answer": str(n + 1)} for n in range(3)]
    one, two = file(tmp_path / "one.jsonl", rows), file(tmp_path / "two.jsonl", [*rows[:1], *rows[:1]])
    other = file(tmp_path / "other.jsonl", [*rows, {"prompt": "9 + 9", "answer": "18"}])
    for second, warned in ((one, True), (two, True), (other, False)):
        data = {"train": [{"source": str(one)}, {"source": str(second)}]}
        recipe = parse_recipe(yaml.safe_dump({"name": "n", "data": data}), "test").stages[0]
        loaded = load_data(recipe, make_verifier(recipe))
        words = "data.train.1: all of its problems are in an earlier source too, so they are drawn more often"
        assert (words in loaded.warnings) is warned
        assert len({problem.id for problem in loaded.train}) == len(loaded.train)


def test_a_step_with_more_prompts_than_problems_is_warned_of(tmp_path: Path) -> None:
    rows = file(tmp_path / "few.jsonl", [{"prompt": f"{n} + 1", "answer": str(n + 1)} for n in range(10)])
    for prompts, warned in ((11, True), (10, False)):
        text = {"name": "n", "data": {"train": {"source": str(rows)}}, "train": {"prompts_per_step": prompts}}
        recipe = parse_recipe(yaml.safe_dump(text), "test").stages[0]
        words = f"train.prompts_per_step: {prompts} is more than the 10 problems of data.train"
        assert any(words in warning for warning in load_data(recipe, make_verifier(recipe)).warnings) is warned
