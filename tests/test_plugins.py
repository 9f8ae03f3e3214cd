"""Dotted paths: one loader, one clear message."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reasonrl.errors import DataError, RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.words import did_you_mean, nearest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "my_recipe_module.py").write_text("def reward(): return 1\n")
    (tmp_path / "my_needy_module.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "my_broken_module.py").write_text("def f(:\n")
    (tmp_path / "my_failing_module.py").write_text("1 / 0\n")
    return tmp_path


def test_a_dotted_path(folder: Path) -> None:
    assert import_dotted("my_recipe_module:reward", "f")() == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("my_recipe_module:rewards", "f: my_recipe_module has no 'rewards'; did you mean 'reward'?"),
        ("my_recipe_module:zzz", "f: my_recipe_module has no 'zzz'$"),
        ("my_recipe_module.sub:reward", "f: there is no module 'my_recipe_module.sub'"),
        ("nowhere_at_all:x", "f: there is no module 'nowhere_at_all'"),
        ("nowhere", "f: 'nowhere' is not of the form"),
        (":x", "not of the form"),
        ("my_needy_module:x", "the module my_needy_module needs 'not_installed_anywhere', which is not installed"),
        ("my_broken_module:f", "the module my_broken_module cannot be imported: SyntaxError: .*line 1"),
    ],
)
@pytest.mark.parametrize("error_class", [RecipeError, DataError])
def test_what_cannot_be_imported(
    folder: Path, path: str, message: str, error_class: type[RecipeError] | type[DataError]
) -> None:
    with pytest.raises(error_class, match=message):
        import_dotted(path, "f", error_class)


def test_an_error_of_the_modules_own_code_keeps_its_traceback(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        import_dotted("my_failing_module:x", "f")


def test_the_nearest_word() -> None:
    assert did_you_mean("Trian", ["train", "seed"]) == "did you mean 'train'?"
    assert did_you_mean("zzz", ["train", "seed"]) == ""
    assert nearest("GSM8", ["gsm8k", "Math"]) == "gsm8k"
    assert nearest("math", ["Math"]) == "Math"
