"""From a name in a recipe to a verifier, with messages that help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import verifiers
from verifiers import load_verifier
from verifiers.errors import BadOption, UnknownVerifier
from verifiers.format import FormatVerifier
from verifiers.math import MathVerifier

MINE = """
class Mine:
    def __init__(self, *, factor: float = 1.0): self.factor = factor
    def verify(self, responses, references): return []
    def gold_response(self, reference): return ""
class Half:
    def verify(self, responses, references): return []
finished = Mine(factor=3.0)
number = 5
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_verifier.py").write_text(MINE)
    (tmp_path / "my_broken_verifier.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.delitem(sys.modules, "my_verifier", raising=False)
    return tmp_path


def test_built_in_names() -> None:
    assert isinstance(load_verifier("math", mode="whole"), MathVerifier)
    assert isinstance(load_verifier("format", pattern="boxed"), FormatVerifier)


def test_a_class_of_the_current_folder(here: Path) -> None:
    assert load_verifier("my_verifier:Mine", factor=2.0).factor == 2.0
    assert load_verifier("my_verifier:finished").factor == 3.0


@pytest.mark.parametrize(
    ("spec", "options", "error", "message"),
    [
        ("maths", {}, UnknownVerifier, "did you mean 'math'"),
        ("", {}, UnknownVerifier, "math, math_verify, code, lean, lean_statement, reasoning_gym, format"),
        (":Class", {}, UnknownVerifier, "package.module:Class"),
        ("no_such_module:Class", {}, UnknownVerifier, "no module 'no_such_module'"),
        ("my_verifier:Mime", {}, UnknownVerifier, "did you mean 'Mine'"),
        ("my_verifier:Half", {}, UnknownVerifier, "no method gold_response"),
        ("my_verifier:number", {}, UnknownVerifier, "no method verify and no gold_response"),
        ("my_verifier:finished", {"factor": 1}, BadOption, "takes no options"),
        ("my_verifier:Mine", {"faktor": 1}, BadOption, "'faktor' .did you mean 'factor'.*Its options: factor"),
        (
            "math",
            {"timeout": 1, "colour": 2},
            BadOption,
            "'timeout' .did you mean 'timeout_s'.*'colour'.*Its options: mode, timeout_s",
        ),
        ("format", {}, BadOption, "needs the option 'pattern'"),
    ],
)
def test_mistakes(here: Path, spec: str, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_verifier(spec, **options)


def test_an_import_that_fails_inside_the_users_module_keeps_its_own_message(here: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there"):
        load_verifier("my_broken_verifier:Mine")


def test_the_package_is_ours_and_light() -> None:
    assert verifiers.__dist__ == "reasonrl"
    for name in verifiers.__all__:
        assert getattr(verifiers, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        verifiers.nothing  # noqa: B018
    code = "import sys, verifiers.math, verifiers.loading, verifiers.format\n"
    code += "print(sorted({'sympy', 'math_verify', 'torch', 'numpy'} & {*sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(verifiers.__file__).parents[1]
    )
    assert done.stdout.strip() == "[]", done.stderr
