"""docs/commands.md is what the signatures of the command line say, and what it says holds.

To write the page again: `python -m tests.docs.test_commands_page`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from reasonrl import cli
from reasonrl.commands.commands_page import commands, commands_page, parameters, usage
from reasonrl.errors import CheckpointError, DataError, ModelError, RecipeError, TrainingError

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
NAMES = [name for name, _ in commands(cli.app)]
GROUPS = ["critic", "data", "recipes"]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == commands_page(cli.app), (
        "write docs/commands.md again: .venv/bin/python -m tests.docs.test_commands_page"
    )


def names_in_help(text: str) -> list[str]:
    """The commands that a --help lists."""
    return re.findall(r"^  (\w+)", text.partition("Commands:")[2], re.M)


def help_text(*words: str) -> str:
    shown = CliRunner().invoke(cli.app, [*words, "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"})
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_every_command_of_the_help_has_a_section() -> None:
    """--help is built by typer, without the code of the page."""
    listed = [name for name in names_in_help(help_text()) if name not in GROUPS]
    listed += [f"{group} {name}" for group in GROUPS for name in names_in_help(help_text(group))]
    assert len(listed) > 14 and sorted(listed) == sorted(NAMES)
    assert re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.M) == NAMES


@pytest.mark.parametrize(("name", "callback"), list(commands(cli.app)), ids=NAMES)
def test_a_section_has_the_options_of_the_help(name: str, callback: object) -> None:
    shown = help_text(*name.split())
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", shown, re.M)) - {"--help"}
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(--[a-z-]+)`", section, re.M))
    assert documented == options


def test_an_undescribed_or_new_option_is_noticed() -> None:
    app = typer.Typer()

    @app.command()
    def sample(number: int, often: bool = False) -> None:
        """Not annotated."""

    with pytest.raises(ValueError, match="sample: number"):
        commands_page(app)


def test_every_parameter_has_a_meaning() -> None:
    missing = [
        f"{name} {parameter.name}"
        for name, callback in commands(cli.app)
        for parameter in parameters(callback)
        if not parameter.help
    ]
    assert missing == []


def test_a_usage_line() -> None:
    listed = dict(commands(cli.app))
    assert usage("train", parameters(listed["train"])) == "reasonrl train RECIPE [key=value ...] [options]"
    assert usage("critic eval", parameters(listed["critic eval"])) == "reasonrl critic eval MODEL [options]"


def test_the_exit_codes_of_the_page() -> None:
    assert {TrainingError.exit_code, CheckpointError.exit_code} == {1}
    assert {RecipeError.exit_code, DataError.exit_code, ModelError.exit_code} == {2}
    words = [sys.executable, "-m", "reasonrl.cli", "train", "no-such-recipe", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and list(json.loads(done.stdout)) == ["error"]


if __name__ == "__main__":
    PAGE.write_text(commands_page(cli.app), encoding="utf-8")
