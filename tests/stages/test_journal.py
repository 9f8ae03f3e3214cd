"""A stage that gathers is killed and resumed: what was generated before is not generated again, and the result is the
same.
"""

from __future__ import annotations

import functools
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.plain import PlainEngine
from reasonrl.models.loading import LanguageModel, load_model
from reasonrl.recipe.reading import parse_recipe
from reasonrl.stages import journal as journal_module
from reasonrl.stages.journal import JOURNAL, Journal
from reasonrl.stages.run import train
from tests.environments.fake_engines import HalfRight, Players
from tests.stages.test_game_runs import SPC

STAGES = [SPC["stages"][0], SPC["stages"][1], SPC["stages"][3]]
RECIPE = yaml.safe_dump({**SPC, "stages": STAGES})
OUTPUTS = ("02-solutions/train.jsonl", "02-solutions/collect.json", *(
    f"03-game-1/{name}" for name in ("critic.jsonl", "sneaky.jsonl", "games.jsonl", "game.json")
))  # fmt: skip


class Killed(BaseException):
    """As little caught as SIGKILL."""


def run(folder: Path, *, resume: bool = False, recipe: str = RECIPE) -> None:
    train(parse_recipe(recipe, "test"), folder, resume=resume, offline=True, quiet=True)


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "stages" / name).read_bytes() for name in OUTPUTS}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of requests of each batch that an engine computes. A first number -N kills the run after N batches."""
    numbers: list[int] = []
    monkeypatch.setattr(journal_module, "LARGE_BATCH", 6)
    for engine in (HalfRight, Players):
        monkeypatch.setattr(engine, "generate_batch", counted(engine.generate_batch, numbers))
    return numbers


def counted(generate: Callable[..., Any], numbers: list[int]) -> Callable[..., Any]:
    @functools.wraps(generate)
    def count(engine: Any, requests: Sequence[Request]) -> list[Generation]:
        if numbers and numbers[0] < 0 and len(numbers) > -numbers[0]:
            raise Killed
        numbers.append(len(requests))
        return list(generate(engine, requests))

    return count


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


def test_a_whole_run_leaves_no_journal(whole: Path) -> None:
    assert not list(whole.rglob(JOURNAL))


def test_killed_in_both_stages_and_resumed_is_the_same_run(whole: Path, tmp_path: Path, calls: list[int]) -> None:
    folder = tmp_path / "run"
    run(tmp_path / "counted")
    undisturbed = list(calls)
    computed: list[int] = []
    for batches in (2, 3, len(undisturbed) // 2):
        calls[:] = [-batches]
        with pytest.raises(Killed):
            run(folder, resume=folder.exists())
        computed += calls[1:]
        assert list(folder.rglob(JOURNAL))
    calls.clear()
    run(folder, resume=True)
    assert outputs(folder) == outputs(whole) == outputs(tmp_path / "counted")
    assert sorted([*computed, *calls]) == sorted(undisturbed), "no batch was computed twice"
    assert not list(folder.rglob(JOURNAL))


def test_without_resume_a_stage_begins_anew(whole: Path, tmp_path: Path, calls: list[int]) -> None:
    recipe = yaml.safe_dump({**SPC, "stages": [{**STAGES[1], "init_from": None}]})
    folder = tmp_path / "run"
    calls[:] = [-2]
    with pytest.raises(Killed):
        run(folder, recipe=recipe)
    calls.clear()
    run(folder, recipe=recipe)
    first = list(calls)
    shutil.rmtree(folder)
    calls.clear()
    run(folder, recipe=recipe)
    assert calls == first


def test_ctrl_c_stops_a_stage_after_its_batch(
    whole: Path, tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, generate = tmp_path / "run", HalfRight.generate_batch

    def interrupted(engine: Any, requests: Sequence[Request]) -> list[Generation]:
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return list(generate(engine, requests))

    monkeypatch.setattr(HalfRight, "generate_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    assert len(calls) == 2
    assert "never retrieved" not in capfd.readouterr().err
    monkeypatch.setattr(HalfRight, "generate_batch", generate)
    run(folder, resume=True)
    assert outputs(folder) == outputs(whole)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_model("tiny-arithmetic", seed=1, device="cpu")


def requests(model: LanguageModel) -> list[Request]:
    texts = [f"{a} + {b * 11 ** (a % 4)} =" for a in range(1, 8) for b in range(1, 4)]
    samplings = Sampling(6, stop=("\n",)), Sampling(4, temperature=0.0)
    return [Request(tuple(model.tokenizer(text)["input_ids"]), samplings[i % 2], i) for i, text in enumerate(texts)]


def recorded(model: LanguageModel, folder: Path, identity: str = "x", *, resume: bool, stop_after: int = 99) -> Any:
    """The engine and its computed batches."""
    batches: list[int] = []

    class Engine(PlainEngine):
        def generate_batch(self, requests: Sequence[Request]) -> list[Generation]:
            batches.append(len(requests))
            return super().generate_batch(requests)

    journal = Journal(folder, identity, resume=resume, stop_requested=lambda: len(batches) >= stop_after)
    return journal.engine(Engine(model, rows_per_batch=4), 4), batches


def test_batches_are_those_of_the_engine_alone(model: LanguageModel, tmp_path: Path) -> None:
    asked = requests(model)
    engine, batches = recorded(model, tmp_path, resume=False)
    assert engine.generate_batch(asked) == PlainEngine(model, rows_per_batch=4).generate_batch(asked)
    assert batches == [4, 4, 3, 4, 4, 2]


def test_a_stop_is_noticed_between_batches_and_continued(model: LanguageModel, tmp_path: Path) -> None:
    asked = requests(model)
    engine, batches = recorded(model, tmp_path, resume=False, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        engine.generate_batch(asked)
    assert len(batches) == 2
    engine, batches = recorded(model, tmp_path, resume=True)
    assert engine.generate_batch(asked) == PlainEngine(model, rows_per_batch=4).generate_batch(asked)
    assert len(batches) == 4


@pytest.mark.parametrize("damage", ["torn", "other identity", "empty", "not UTF-8", "a list"])
def test_a_torn_or_foreign_journal(model: LanguageModel, tmp_path: Path, damage: str) -> None:
    asked = requests(model)
    engine, _ = recorded(model, tmp_path, resume=False)
    expected = engine.generate_batch(asked)
    path = tmp_path / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    texts = {
        "torn": b"".join(lines[:3]) + lines[3][:40],
        "other identity": b"".join(lines),
        "empty": b"",
        "not UTF-8": lines[0] + lines[1] + b"\xff\n" + lines[2],
        "a list": b"[]\n" + b"".join(lines[1:]),
    }
    path.write_bytes(texts[damage])
    engine, batches = recorded(model, tmp_path, "y" if damage == "other identity" else "x", resume=True)
    assert engine.generate_batch(asked) == expected
    assert len(batches) == {"torn": 4, "not UTF-8": 5}.get(damage, 6)
    engine, batches = recorded(model, tmp_path, "y" if damage == "other identity" else "x", resume=True)
    assert engine.generate_batch(asked) == expected
    assert not batches
