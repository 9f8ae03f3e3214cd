"""`load_problems` reads every kind of data: it returns a complete, checked list of problems, or raises one message."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from reasonrl.data.columns import problems_from_rows
from reasonrl.data.dotted import dotted_rows
from reasonrl.data.files import READERS, existing_file, read_rows
from reasonrl.data.hub import INSTEAD, hub_rows
from reasonrl.data.json_text import json_mistake
from reasonrl.data.mistakes import Mistakes, printable, refuse_unknown, suggestion
from reasonrl.data.problem import checked_list
from reasonrl.data.rows import SourceRow
from reasonrl.errors import DataError
from verifiers.types import Problem


class Named(NamedTuple):
    """A data set with a short name."""

    hub_id: str
    config: str | None
    split: str = "train"
    """Unless the recipe names another."""
    kind: str = "math"


NAMED = {
    "gsm8k": Named("openai/gsm8k", "main"),
    "math": Named("DigitalLearningGmbH/MATH-lighteval", None),
    "humaneval": Named("openai/openai_humaneval", None, "test", "code"),
    "mbpp": Named("google-research-datasets/mbpp", "full", kind="code"),
    "livecodebench": Named("lighteval/code_generation_lite", "release_v6", "test", "code"),
    "code_contests": Named("deepmind/code_contests", None, kind="code"),
}
GENERATORS = {
    "arithmetic": "arithmetic:generate",
    "step_arithmetic": "step_arithmetic:generate",
    "programs": "programs:generate",
    "term_proofs": "term_proofs:generate",
    "tool_arithmetic": "tool_arithmetic:generate",
    "tool_loops": "tool_loops:generate",
    "reasoning_gym": "gym:generate",
}
"""Sources that generate their problems: module:function in `reasonrl.data`, called with the recipe's options and
`seed`, `split` and `limit`.
"""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_DOTTED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def load_problems(
    source: str,
    *,
    split: str | None = None,
    name: str | None = None,
    kind: str = "math",
    columns: dict[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    options: dict[str, Any] | None = None,
    offline: bool = False,
) -> list[Problem]:
    """Loads problems from wherever they are.

    Args:
        source: a .jsonl, .json, .parquet or .csv file; a name of `NAMED`, such as "gsm8k" (from the hub, or options
            {"path": file}); a name of `GENERATORS` (made by rule from the options); a hub id "org/name"; or
            "package.module:function" of your own, called with the options, that returns Problems or dicts. Forms of
            rows: see `reasonrl.data.columns`.
        split: of a hub data set (default "train") or a generator; in a file, keeps the rows with this value in the
        column `split`. name: configuration of a hub data set. kind: of rows that do not name their own; it decides what
        the reference must hold. columns: ours -> theirs, such as {"prompt": "question", "answer": "target"}. limit:
        take only this many of the first rows. Later rows are neither read nor checked. seed: for generators whose
        options give none. Loading never shuffles. options: see source; for a hub data set revision, data_dir,
        data_files. offline: never touch the network; the hub's local cache still serves.

    Returns:
        At least one problem, in the order of the source. Ids that were missing are "<stem>/<row number>", counted from
        1.

    Raises:
        DataError: every mistake of the data, with file and row number, or a source that cannot be read.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise DataError(f"limit must be a whole number from 1, not {limit!r}")
    source = str(source)
    if json_mistake(source):
        raise DataError(f"the data source {printable(source)!r} is not valid Unicode. Rename the file")
    if address := _ADDRESS.match(source):
        raise DataError(
            f"data source {source!r} is an address. Download the file and name it, or write a hub id 'org/name'"
            f" without {address.group()}"
        )
    options = dict(options or {})
    prompt_form = None if _makes_problems(source) else options.pop("prompt_form", None)
    suffix = Path(source).suffix.lower()
    reads_from_hub = (source in NAMED and "path" not in options) or bool(
        _HUB_ID.fullmatch(source) and suffix not in READERS
    )
    if name is not None and not reads_from_hub:
        raise DataError(f"{source}: name={name!r} is for hub data sets and has no effect here. Leave it out")
    if source in GENERATORS:
        if columns:
            raise DataError(f"{source}: this source generates its problems and has no columns. Leave columns out")
        return _generated(source, options, split, seed, limit)
    if source in NAMED:
        return _named(source, split, name, columns, limit, options, offline, prompt_form)
    if _is_file(source):
        refuse_unknown(options, (), f"{source}: a file", shown=("prompt_form",))
        return _file(source, source, split, kind, columns, limit, prompt_form)
    if _DOTTED.fullmatch(source):
        return _dotted(source, options, split, seed, kind, columns, limit)
    if reads_from_hub:
        mistakes = Mistakes(source)
        rows = hub_rows(source, name=name, split=split or "train", offline=offline, options=options)
        return problems_from_rows(
            islice(rows, limit),
            mistakes,
            stem=id_stem(source, split=split, name=name),
            source=source,
            kind=kind,
            columns=columns,
            prompt_form=prompt_form,
        )
    hint = _what_it_is(source) or suggestion(source, (*NAMED, *GENERATORS))
    raise DataError(
        f"data source {source!r} is not known.{hint} Write a file ({', '.join(READERS)}), a name"
        f" ({', '.join((*NAMED, *GENERATORS))}), a hub id 'org/name', or 'package.module:function'"
    )


def id_stem(
    source: str, *, split: str | None = None, name: str | None = None, options: dict[str, Any] | None = None
) -> str:
    """What the ids of rows without an id begin with, before "/" and the number of the row."""
    if source in GENERATORS or _is_file(source):
        return Path(source).stem
    if source in NAMED:
        copy = (options or {}).get("path")
        return Path(str(copy)).stem if copy is not None else f"{source}-{split or NAMED[source].split}"
    if _DOTTED.fullmatch(source):
        return source.rpartition(":")[2]
    return "-".join(filter(None, (source.rpartition("/")[2], name, split or "train")))


def _is_file(source: str) -> bool:
    return Path(source).suffix.lower() in READERS or existing_file(source)


def _what_it_is(source: str) -> str:
    try:
        path = Path(source).expanduser()
        if path.is_dir():
            return " It is a folder; name a file in it."
        return " It is a pipe or a device; write its content to a file and name that." if path.exists() else ""
    except (OSError, RuntimeError, ValueError):
        return ""


def _makes_problems(source: str) -> bool:
    """Whether the options of a source go to a generator, or to a function of the user's own."""
    return source in GENERATORS or (bool(_DOTTED.fullmatch(source)) and not _is_file(source))


def _generated(source: str, options: dict[str, Any], split: str | None, seed: int, limit: int | None) -> list[Problem]:
    module, _, function = GENERATORS[source].partition(":")
    generate = getattr(importlib.import_module(f"reasonrl.data.{module}"), function)
    problems = generate(options, seed=seed, split=split, limit=limit)
    return checked_list(
        ((f"problem {number}", problem) for number, problem in enumerate(problems, 1)), Mistakes(source)
    )


def _named(
    source: str,
    split: str | None,
    name: str | None,
    columns: dict[str, str] | None,
    limit: int | None,
    options: dict[str, Any],
    offline: bool,
    prompt_form: str | None,
) -> list[Problem]:
    refuse_unknown(options, ("path", "revision"), source, shown=("prompt_form",))
    if "path" in options:
        if json_mistake(str(options["path"])):
            raise DataError(f"{source}: options.path {str(options['path'])!r} is not valid Unicode. Rename the file")
        return _file(str(options["path"]), source, split, NAMED[source].kind, columns, limit, prompt_form)
    known = NAMED[source]
    instead = f"Or name a local copy with options: {{path: FILE}} ({', '.join(READERS)})"
    rows = hub_rows(
        known.hub_id,
        name=name or known.config,
        split=split or known.split,
        offline=offline,
        options=options,
        instead=f"{instead}. {INSTEAD}",
    )
    mistakes = Mistakes(f"{source} ({known.hub_id})")
    return problems_from_rows(
        islice(rows, limit),
        mistakes,
        stem=id_stem(source, split=split),
        source=source,
        kind=known.kind,
        columns=columns,
        prompt_form=prompt_form,
    )


def _file(
    name: str,
    source: str,
    split: str | None,
    kind: str,
    columns: dict[str, str] | None,
    limit: int | None,
    prompt_form: str | None,
) -> list[Problem]:
    try:
        path = Path(name).expanduser()
    except RuntimeError as error:  # ~nobody
        raise DataError(f"{name}: {error} Write the whole path") from error
    mistakes = Mistakes(str(path))
    rows: Iterable[SourceRow] = read_rows(path, mistakes)
    if split is not None:
        rows = _rows_in_split(rows, split, path)
    label = source if source in NAMED else path.stem
    return problems_from_rows(
        islice(rows, limit),
        mistakes,
        stem=path.stem,
        source=label,
        kind=kind,
        columns=columns,
        prompt_form=prompt_form,
    )


def _rows_in_split(rows: Iterable[SourceRow], split: str, path: Path) -> Iterator[SourceRow]:
    seen: set[str] = set()
    for row in rows:
        extra = row.fields.get("extra_info")
        value = row.fields.get("split", extra.get("split") if isinstance(extra, dict) else None)
        if value is not None:
            seen.add(str(value))
        if value == split:
            yield row
    if split not in seen:
        splits = sorted(seen)
        what = (
            f"its splits are {', '.join(splits)}"
            if splits
            else "no row has a column 'split'. Leave split out to take the whole file"
        )
        raise DataError(f"{path}: no row of the split {split!r}: {what}")


def _dotted(
    spec: str,
    options: dict[str, Any],
    split: str | None,
    seed: int,
    kind: str,
    columns: dict[str, str] | None,
    limit: int | None,
) -> list[Problem]:
    mistakes = Mistakes(spec)
    rows = dotted_rows(spec, options, seed=seed, split=split)[:limit]
    if all(isinstance(row, Problem) for row in rows):
        return checked_list(((f"row {number}", row) for number, row in enumerate(rows, 1)), mistakes)
    wrong = [number for number, row in enumerate(rows, 1) if not isinstance(row, dict)]
    for number in wrong:
        mistakes.add(f"row {number}", "all rows must be dicts or all must be Problems")
    mistakes.raise_if_any()
    places = (SourceRow(number, f"row {number}", row) for number, row in enumerate(rows, 1))
    return problems_from_rows(places, mistakes, stem=id_stem(spec), source=spec, kind=kind, columns=columns)
