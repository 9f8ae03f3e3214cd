"""The reference of recipe keys: docs/recipe.md, and what `reasonrl recipes keys` prints.

Both come from `reasonrl.recipe.reference`. To update the page: `python -m reasonrl.commands.recipe_page`.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from critics.formats import FORMATS, load_format
from reasonrl.environments.loading import BUILT_IN as ENVIRONMENTS
from reasonrl.recipe.backends import VerlSpec
from reasonrl.recipe.critics import CriticSpec, FormatSpec
from reasonrl.recipe.data import SourceSpec
from reasonrl.recipe.monitoring import EvalSpec
from reasonrl.recipe.reference import NAME, Key, Section, as_yaml, sections
from reasonrl.recipe.rewards import RewardSpec, VerifierSpec
from reasonrl.recipe.rollout import EnvironmentSpec, RolloutSpec, VllmSpec
from reasonrl.recipe.training import TrainSpec
from verifiers.loading import BUILT_IN as VERIFIERS

WIDTH = 100
LONGEST_DEFAULT = 40
"""Longer strings among the options of a name, such as instructions, are not written out."""
SEE_ALSO: dict[type[BaseModel], str] = {
    SourceSpec: "Rows, the kinds of problems, and the options of each source are explained in [data](data.md).",
    VerifierSpec: (
        "`mode`, `answer_mode` and `pattern` are explained in"
        " [where the answer is looked for](verifiers.md#where-the-answer-is-looked-for), `policy` in"
        " [policies](verifiers.md#policies). A verifier of your own: [extending](extending.md#verifier)."
    ),
    RewardSpec: "A reward function has an example in [extending](extending.md#reward-function).",
    CriticSpec: "Formats and rewards are explained in [critics](critics.md).",
    RolloutSpec: "An environment of your own is a class of about 15 lines: [extending](extending.md#environment).",
    TrainSpec: "Every advantage and loss is listed with its formula in [advantages](methods/advantages.md).",
    VerlSpec: "What runs where is in [verl](verl.md).",
    VllmSpec: "See [vllm](vllm.md).",
    EvalSpec: "The numbers are explained in [metrics](metrics.md#eval).",
}
GROUPS: dict[type[BaseModel], dict[str, tuple[str, ...]]] = {
    TrainSpec: {
        "Size of a step": ("steps", "prompts_per_step", "updates_per_step", "epochs_per_step"),
        "Which rollouts take part": ("drop_silent_groups", "refill", "mask_truncated", "on_timeout"),
        "Shaped rewards": ("unlikeliness", "overlong"),
        "Advantage": ("advantage", "credit", "clip_advantages", "d3s"),
        "Loss": ("loss", "loss_aggregation", "clip_low", "clip_high", "dual_clip", "mirror_beta", "mismatch"),
        "Reference and exploration": ("kl", "entropy_coefficient"),
        "Memory and speed": ("positions_per_micro_batch", "packing", "skip_silent_groups"),
    }
}
"""Long sections are shown in these groups. A key that no group names is an error."""
_INTRODUCTION = """\
# The recipe, key by key

A recipe is a YAML file of nested sections. Only `name` and `data.train` are required. A key that does
not exist is an error, and so are settings that do not fit together. All mistakes of a file are reported at once, each
with its line and with what to write instead.

- On the command line a key is written with dots: `reasonrl train RECIPE train.kl.coefficient=0.01`.
- `run_dir=FOLDER` is written on the command line only. Without it a run goes into `runs/NAME`; where that
  exists, into `runs/NAME-2`, and so on.
- `stages:` is a list of stages that run one after the other. Each stage has the keys of this page; what the file says
  outside the list holds for all of them, and a stage's own keys come on top.
- `section or its name` means that one word will do: `budget: knapsack` is `budget: {name: knapsack}`.
- `null`, or an empty value, means that the key is not set. Its description says what happens then ("Empty: ...").
- `NAME` in a path is a name that you choose. Counts and times carry their unit in the key: `prompts_per_step`,
  `timeout_s`.
- Relative paths begin in the folder in which you call `reasonrl`, not in the recipe's ([data](data.md)).
- `package.module:name` is code of your own, which is imported from the current folder or the environment
  ([extending](extending.md)).

`reasonrl recipes keys train.kl` prints the same in the terminal. This page is generated from the descriptions in
`reasonrl/recipe/`.
"""


def recipe_page() -> str:
    """The text of docs/recipe.md: a table for each section, in the order of a recipe."""
    lines = [_INTRODUCTION.rstrip()]
    first_path: dict[type[BaseModel], Section] = {}
    for section in sections():
        lines += ["", f"{'##' if '.' not in section.path else '###'} {section.path or 'Top level'}", ""]
        earlier = first_path.setdefault(section.spec, section)
        if earlier is not section:
            lines.append(_as_before(section, earlier))
            continue
        lines += [section.description, *_tables(section)]
        if options := name_options(section.spec):
            lines += ["", "| name | options and their defaults |", "|---|---|"]
            lines += [
                f"| `{name}` | {', '.join(f'`{option}`' for option in listed) or 'none'} |" for name, listed in options
            ]
        if section.spec in SEE_ALSO:
            lines += ["", SEE_ALSO[section.spec]]
    return "\n".join(lines) + "\n"


def _tables(section: Section) -> list[str]:
    """One table, or one for each group of keys. Raises KeyError where the groups do not fit the section."""
    rows = {key.name: _table_row(key) for key in section.keys}
    lines: list[str] = []
    for title, names in GROUPS.get(section.spec, {"": tuple(rows)}).items():
        lines += [
            "",
            *([f"**{title}**", ""] if title else []),
            "| key | takes | default | meaning |",
            "|---|---|---|---|",
        ]
        lines += [rows.pop(name) for name in names]
    if rows:
        raise KeyError(f"no group of {section.path} has {', '.join(rows)}")
    return lines


def _as_before(section: Section, earlier: Section) -> str:
    """A section whose keys are in an earlier table."""
    pairs = zip(section.keys, earlier.keys, strict=True)
    different = [f"`{key.name}: {key.default}`" for key, other in pairs if key.default and key.default != other.default]
    defaults = f", with the default {' and '.join(different)}" if different else ""
    return f"The keys are those of [`{earlier.path}`](#{anchor(earlier.path)}){defaults}."


def anchor(heading: str) -> str:
    """The fragment that GitHub makes of a heading."""
    return "".join(c for c in heading.lower() if c.isalnum() or c in "-_ ").replace(" ", "-")


def _table_row(key: Key) -> str:
    takes = key.takes.replace("|", "\\|")
    if key.section is not None:
        takes = takes.replace("section", f"[section](#{anchor(_path_of_section(key))})", 1)
    default = "required" if key.required else f"`{key.default}`" if key.default else ""
    description = key.description.replace("|", "\\|")
    return f"| `{key.name}` | {takes} | {default} | {description} |"


def _path_of_section(key: Key) -> str:
    return f"{key.path}.{NAME}" if key.takes.startswith("mapping") else key.path


def name_options(spec: type[BaseModel]) -> list[tuple[str, list[str]]]:
    """(name, its options with their defaults) for each built-in name of a section that passes its keys on."""
    if issubclass(spec, FormatSpec):
        return [(name, list(_format_options(name))) for name in FORMATS]
    if issubclass(spec, VerifierSpec):
        return [(name, list(_constructor_options(path))) for name, path in VERIFIERS.items()]
    if issubclass(spec, EnvironmentSpec):
        return [(name, list(_constructor_options(path, given=2))) for name, path in ENVIRONMENTS.items()]
    return []


def _format_options(name: str) -> Iterator[str]:
    for field in dataclasses.fields(load_format(name)):
        yield _option(field.name, field.default)


def _constructor_options(path: str, given: int = 0) -> Iterator[str]:
    """`given`: the first arguments that are not options."""
    module, _, attribute = path.partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters.values()
    for parameter in list(parameters)[given:]:
        yield _option(parameter.name, parameter.default)


def _option(name: str, default: object) -> str:
    if default is inspect.Parameter.empty:
        return f"{name} (required)"
    text = as_yaml(default)
    return name if len(text) > LONGEST_DEFAULT else f"{name}: {text}"


def section_text(section: Section) -> str:
    """A section for the terminal."""
    parts = [textwrap.fill(section.description, WIDTH), *(key_text(key) for key in section.keys)]
    for name, options in name_options(section.spec):
        text = f"options of {name}: {', '.join(options) or 'none'}"
        parts.append(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="      "))
    return "\n\n".join(parts)


def key_text(key: Key) -> str:
    """A key for the terminal."""
    default = "required" if key.required else f"default {key.default}" if key.default else ""
    head = f"{key.path}  ({'; '.join(filter(None, (key.takes, default)))})"
    return f"{head}\n{textwrap.fill(key.description, WIDTH, initial_indent='    ', subsequent_indent='    ')}"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/recipe.md")
    target.write_text(recipe_page(), encoding="utf-8")
