"""A critic at an address is asked as the run that trained it says."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from reasonrl.commands.serve import ServedModels, load_cast
from reasonrl.errors import UsageError
from reasonrl.serving.play import ModelPlay
from tests.engines.fake_server import FakeServer, running
from verifiers.types import Problem

RECIPES = Path(__file__).parents[2] / "recipes"
PROBLEM = Problem("p", [{"role": "user", "content": "1 + 2"}], "math", {"answer": "3"}, "test")


def run_of(folder: Path, recipe: str) -> str:
    """Its recipe alone: the weights are on the server."""
    folder.mkdir()
    shutil.copy(RECIPES / recipe / "recipe.yaml", folder / "recipe.yaml")
    return str(folder)


def models(server: FakeServer, critic_run: str | None = None) -> ServedModels:
    address = f"http://127.0.0.1:{server.server_port}/v1"
    return ServedModels(address, critic_run, address, "critic", "actor", remote_names=("tiny", "tiny"))


def test_format_and_limits_are_those_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running() as server:
        server.models = ("tiny",)
        cast = load_cast(models(server, run_of(tmp_path / "run", "critic_demo")))
        assert "general model" not in capsys.readouterr().err

        async def judge() -> None:
            try:
                await ModelPlay(cast, PROBLEM, 1).critiques_of("It is 3.", None, 1)
            finally:
                await cast.critic.close()
                await cast.actor.close()

        asyncio.run(judge())
        (asked,) = server.asked
        prompt = asked["messages"][-1]["content"]
        assert asked["max_tokens"] == 96 and prompt.endswith("Check.") and "It is 3." in prompt
        assert cast.actor_sampling.max_new_tokens == 48, "of the actor with which the critic was trained"

        general = load_cast(models(server))
        assert "name its run with --critic-run" in capsys.readouterr().err
        assert general.critic_sampling.max_new_tokens == 2048 and general.format.name == "boxed_index"


def test_what_is_refused(tmp_path: Path) -> None:
    with running() as server:
        server.models = ("tiny",)
        with pytest.raises(UsageError, match=r"nothing is no run folder: it has no recipe\.yaml"):
            load_cast(models(server, str(tmp_path / "nothing")))
        with pytest.raises(UsageError, match="trained no critic"):
            load_cast(models(server, run_of(tmp_path / "solver", "quickstart")))
    run = run_of(tmp_path / "run", "critic_demo")
    with pytest.raises(UsageError, match=r"--critic-run is of a critic at an address; tiny-critic is none"):
        load_cast(ServedModels("tiny-critic", run))
