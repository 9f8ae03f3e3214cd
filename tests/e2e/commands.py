"""Runs the command line in this process, as a user sees it: exit code, stdout, stderr."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from reasonrl.cli import main
from tests.tiny_runs import environment, tiny, write_recipe


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The message of a request that was refused. Raises AssertionError for anything else."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.err.count("error: ") == 1 and "Traceback" not in self.err, self.err
        return self.err.partition("error: ")[2].strip()


def reasonrl(*arguments: str | Path) -> Result:
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        mock.patch.object(sys, "argv", ["reasonrl", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
    return Result(int(code), out.getvalue(), err.getvalue())


def reasonrl_in(folder: Path, *arguments: str | Path) -> Result:
    """The command as started in `folder`, in this process: another one costs about 4 s of imports. What depends
    on the process (signals, streams, imports of the user's code) takes tests.tiny_runs.run.
    """
    with mock.patch.dict(os.environ, environment()), contextlib.chdir(folder):
        return reasonrl(*arguments)


def recipe_for(folder: Path, model: Path, rows: Path, heldout: Path | None = None, /, **changes: Any) -> Path:
    """A recipe of one step with two prompts of `rows`, as a file; sections of `changes` are laid over it."""
    recipe = tiny(model={"path": str(model)}, evaluation={"samples_per_problem": 0})
    recipe["data"] = {"train": {"source": str(rows)}, "heldout": {}}
    if heldout is not None:
        recipe["data"]["heldout"] = {"test": {"source": str(heldout)}}
    recipe["data"] |= changes.pop("data", {})
    recipe["rollout"] = {"rollouts_per_prompt": 2, "max_new_tokens": 4}
    recipe["train"] = {"steps": 1, "prompts_per_step": 2}
    for section, value in changes.items():
        recipe[section] = {**recipe.get(section, {}), **value}
    return write_recipe(folder, recipe)
