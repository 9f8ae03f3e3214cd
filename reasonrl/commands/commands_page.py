"""The reference of commands: docs/commands.md, generated from the signatures in `reasonrl.cli`.

To write the page again: `python -m tests.docs.test_commands_page`. (Nothing in this package may import `reasonrl.cli`.)
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

WORDS: dict[Any, str] = {str: "text", int: "int", float: "number", Path: "path", bool: "flag"}
_INTRODUCTION = """\
# Commands

`reasonrl COMMAND --help` prints the same in the terminal. Recipes have a [page of their own](recipe.md).

- `key=value` overrides a recipe key: `train.steps=50`. `run_dir=FOLDER` names the run folder; without it a run goes to
  `runs/NAME`, then `runs/NAME-2`, and so on.
- `--json` prints one JSON object on the standard output, also for an error: `{"error": "..."}`.
- Exit codes: 0 done; 1 the command failed (training, a full disk, a broken verifier); 2 wrong usage, recipe, data or
  model, so repeating it cannot help; 130 interrupted.

This page is generated from `reasonrl/cli.py` and `reasonrl/commands/groups.py`.
"""


@dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    name: str
    """As it is written: `RECIPE`, `--dry-run`, `--quiet, -q`."""
    takes: str
    default: str
    """Empty where there is none."""
    help: str
    is_argument: bool
    required: bool
    several: bool


def commands_page(app: typer.Typer) -> str:
    """The text of docs/commands.md: a section and a table for each command of `app`."""
    lines = [_INTRODUCTION.rstrip()]
    for name, callback in commands(app):
        listed = parameters(callback)
        lines += ["", f"## {name}", "", inspect.getdoc(callback) or "", "", "```", usage(name, listed), "```"]
        lines += ["", "| | takes | default | meaning |", "|---|---|---|---|", *map(_table_row, listed)]
    return "\n".join(lines) + "\n"


def commands(app: typer.Typer, group: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """(full name, function) of each command, those of groups last."""
    for command in app.registered_commands:
        if command.callback is not None:
            yield f"{group}{command.name or command.callback.__name__}", command.callback
    for inner in app.registered_groups:
        if inner.typer_instance is not None:
            yield from commands(inner.typer_instance, f"{group}{inner.name} ")


def parameters(callback: Callable[..., Any]) -> list[Parameter]:
    """Those of a command, arguments first. Raises ValueError for one that has no `typer.Option` or `typer.Argument`."""
    hints = get_type_hints(callback, include_extras=True)
    signature = inspect.signature(callback).parameters
    undescribed = [name for name in signature if not hasattr(hints[name], "__metadata__")]
    if undescribed:
        raise ValueError(f"{callback.__name__}: {', '.join(undescribed)}: annotate with typer.Option or typer.Argument")
    listed = [_parameter(name, hints[name], given.default) for name, given in signature.items()]
    return sorted(listed, key=lambda parameter: not parameter.is_argument)


def usage(name: str, listed: list[Parameter]) -> str:
    """The line that is typed, with the options that are required."""
    words = ["reasonrl", name]
    for parameter in listed:
        if parameter.is_argument:
            word = f"{parameter.name} ..." if parameter.several else parameter.name
            words.append(word if parameter.required else f"[{word}]")
        elif parameter.required:
            words.append(f"{parameter.name} {parameter.takes.upper()}")
    return " ".join([*words, "[options]"])


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    kind, info = get_args(hint)[:2]
    kind, several = _without_none(kind)
    assert isinstance(info, ArgumentInfo | OptionInfo), name
    is_argument = isinstance(info, ArgumentInfo)
    # Typer takes the first declaration for a default until it builds the command.
    declared = [word for word in (info.default, *(info.param_decls or ())) if isinstance(word, str)]
    option = ", ".join(declared or [f"--{name.replace('_', '-')}"])
    return Parameter(
        name=(info.metavar or name.upper()).strip("[]").removesuffix(" ...") if is_argument else option,
        takes=_takes(kind, info) + (", repeated" if several and not is_argument else ""),
        default="" if default is inspect.Parameter.empty or default in (None, False, "") else str(default),
        help=info.help or "",
        is_argument=is_argument,
        required=default is inspect.Parameter.empty,
        several=several,
    )


def _without_none(kind: Any) -> tuple[Any, bool]:
    """(type of one value, whether several are taken)."""
    if get_origin(kind) in (Union, types.UnionType):
        (kind,) = [choice for choice in get_args(kind) if choice is not type(None)]
    return (get_args(kind)[0], True) if get_origin(kind) is list else (kind, False)


def _takes(kind: Any, info: ArgumentInfo | OptionInfo) -> str:
    if isinstance(info, OptionInfo) and info.metavar:
        return info.metavar
    if get_origin(kind) is Literal:
        return " or ".join(get_args(kind))
    lowest = "" if info.min is None else f" >= {info.min:g}"
    return WORDS[kind] + lowest


def _table_row(parameter: Parameter) -> str:
    default = "required" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    meaning = parameter.help.replace("|", "\\|")
    name = parameter.name.replace(", ", "`, `")
    takes = parameter.takes.replace("|", "\\|")
    return f"| `{name}` | {takes} | {default} | {meaning} |"
