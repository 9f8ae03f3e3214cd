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


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0\n", r"ZeroDivisionError: division by zero \(my_raising_module\.py, line 1\)"),
        ("import sys\n\nsys.exit(0)\n", r"sys\.exit\(0\) was called \(my_raising_module\.py, line 3\)"),
        ("import json\njson.loads('{')\n", r"JSONDecodeError: .* \(my_raising_module\.py, line 2\)"),
        (
            "import my_broken_module\n",
            r"SyntaxError: .*my_broken_module\.py, line 1\) \(my_raising_module\.py, line 1\)",
        ),
        ("from math import no_such\n", r"ImportError: .*no_such.* \(my_raising_module\.py, line 1\)"),
        ("raise OSError('no disk\\nat all')\n", r"OSError: no disk at all \(my_raising_module\.py, line 1\)"),
        ("def f(): assert False\n\nf()\n", r"AssertionError \(my_raising_module\.py, line 1\)"),
        ("def __getattr__(name): return {}[name]\n", r"KeyError: 'x' \(my_raising_module\.py, line 1\)"),
    ],
)
@pytest.mark.parametrize("error_class", [RecipeError, DataError])
def test_what_a_module_raises_is_one_message_with_its_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
    error_class: type[RecipeError] | type[DataError],
) -> None:
    monkeypatch.delitem(sys.modules, "my_raising_module", raising=False)
    (folder / "my_raising_module.py").write_text(code)
    with pytest.raises(error_class, match=r"^f: the module my_raising_module cannot be imported: " + message) as caught:
        import_dotted("my_raising_module:x", "f", error_class)
    assert caught.value.exit_code == 2
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


def test_a_missing_import_names_the_line_that_asks_for_it(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"which is not installed \(my_needy_module\.py, line 1\)$"):
        import_dotted("my_needy_module:x", "f")


def test_an_interrupt_during_an_import_stays_an_interrupt(folder: Path) -> None:
    (folder / "my_interrupted_module.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        import_dotted("my_interrupted_module:x", "f")


def test_the_nearest_word() -> None:
    assert did_you_mean("Trian", ["train", "seed"]) == "did you mean 'train'?"
    assert did_you_mean("zzz", ["train", "seed"]) == ""
    assert nearest("GSM8", ["gsm8k", "Math"]) == "gsm8k"
    assert nearest("math", ["Math"]) == "Math"
