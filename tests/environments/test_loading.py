"""What a class of the user's must be to be taken for an environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.loading import environment_factory
from reasonrl.errors import RecipeError

EPISODE = "    async def episode(self, problem, rollout, seed, engine): ...\n"
ODD_CLASS = "class Odd(type):\n    def {name}: 1 / 0\n"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        (
            "gives_nothing",
            f"class Mine:\n    def __new__(cls, *a): ...\n{EPISODE}",
            "made None, which is not an environment: write a class with a method",
        ),
        (
            "few_arguments",
            "class Mine:\n    def __init__(self, t, s): ...\n    async def episode(self, problem): ...\n",
            r"episode cannot be called with \(problem, rollout, seed, engine\): too many positional arguments",
        ),
        (
            "signature_raises",
            ODD_CLASS.format(name="__call__(cls): ...\n    @property\n    def __signature__(cls)")
            + f"class Mine(metaclass=Odd):\n{EPISODE}",
            r"the parameters of .* cannot be read: ZeroDivisionError: division by zero \(.*line 4\)",
        ),
        (
            "attribute_raises",
            ODD_CLASS.format(name="__getattr__(cls, name)") + "class Mine(metaclass=Odd): ...\n",
            r"episode cannot be read: ZeroDivisionError: division by zero \(.*line 2\)",
        ),
    ],
)
def test_what_is_not_an_environment_is_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / f"environment_{name}.py").write_text(code)
    with pytest.raises(RecipeError, match=rf"^rollout\.environment: .*{words}"):
        environment_factory(f"environment_{name}:Mine", None, {})(Sampling(temperature=1.0, max_new_tokens=4))
