"""Critique formats of users, by dotted path."""

from __future__ import annotations

from pathlib import Path

import pytest

from critics.formats import FORMATS, load_format
from critics.types import Judgement
from reasonrl.recipe.critics import FormatSpec

HEAD = "from dataclasses import dataclass\nfrom critics.formats import CritiqueFormat\n"
MARK = "@dataclass(frozen=True, kw_only=True)\n"
BODY = "    def parse(self, text, steps=None): return text\n    def write(self, solution, comments=()): return 'x'\n"
MODULES = {
    "format_of_a_user": HEAD + MARK + "class Mine(CritiqueFormat):\n    instruction: str = 'Look.'\n" + BODY,
    "format_without_mark": HEAD + "class Mine(CritiqueFormat):\n    instruction = 'Look.'\n" + BODY,
    "format_in_part": HEAD + MARK + "class Mine(CritiqueFormat):\n    def parse(self, text, steps=None): return text\n",
    "format_of_no_kind": "class Mine: pass\n",
    "format_that_needs": "import not_installed_anywhere\n",
}


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_format_of_a_user() -> None:
    form = load_format("format_of_a_user:Mine", refine_instruction="Again.")
    assert (form.instruction, form.refine_instruction, form.parse("t")) == ("Look.", "Again.", "t")
    assert FormatSpec(name="format_of_a_user:Mine").load() == load_format("format_of_a_user:Mine")
    with pytest.raises(ValueError, match="format_of_a_user:Mine has no option 'first'; its options: instruction"):
        load_format("format_of_a_user:Mine", first=1)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("format_of_a_user:Mien", "format_of_a_user has no 'Mien'; did you mean 'Mine'"),
        ("nowhere_at_all:Mine", "there is no module 'nowhere_at_all' in the current folder or the environment"),
        ("format_of_a_user:", "is not of the form package.module:Class"),
        ("format_without_mark:Mine", r"write @dataclass\(frozen=True, kw_only=True\) above the class"),
        ("format_in_part:Mine", "format_in_part:Mine has no method write"),
        ("format_of_no_kind:Mine", "is not a subclass of critics.formats.CritiqueFormat"),
        ("format_that_needs:Mine", "needs 'not_installed_anywhere', which is not installed"),
    ],
)
def test_what_is_not_a_format(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_format(path)


def test_built_in_formats_are_known_by_their_names() -> None:
    assert list(FORMATS) == [load_format(name).name for name in FORMATS]
    assert load_format("conclusion").parse("\\conclusion{CORRECT}").judgement is Judgement.CORRECT
