"""What a stage depends on: its recipe, the rows of its data, the weights that it starts from, the user's code.

A recipe names the others by path, and what is behind a path can change; recipe.yaml of a run can be edited.
`inputs.json` in the folder of a stage records them when the stage starts; a resumed stage compares. Of data, weights
and code only digests are kept, and references where they are short.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from reasonrl.errors import RecipeError, UsageError
from reasonrl.host.files import replace_text
from reasonrl.recipe.differences import recipe_differences
from reasonrl.recipe.reading import read_mapping
from verifiers.types import Problem

INPUTS = "inputs.json"
LONGEST_REFERENCE = 120
"""Characters of a reference that is kept as it is, so that a message can show what it was."""
_LONGEST_SHOWN = 100


class RowDigest(NamedTuple):
    """One row of a data set. All fields but `id` are digests; a short reference is kept as JSON."""

    id: str
    prompt: str
    reference: str
    more: str
    """Kind and meta."""


_PARTS = {"prompt": "prompt", "reference": "reference", "more": "kind or meta"}


def digest_rows(problems: Sequence[Problem]) -> list[RowDigest]:
    return [_digest_row(problem) for problem in problems]


def _digest_row(problem: Problem) -> RowDigest:
    reference = _json(problem.reference)
    if len(reference) > LONGEST_REFERENCE:
        reference = _digest(reference)
    return RowDigest(
        problem.id, _digest(_json(problem.prompt)), reference, _digest(_json([problem.kind, problem.meta]))
    )


def digest_files(paths: Mapping[str, Path], known: Mapping[str, Any]) -> dict[str, Any]:
    """By name: size, digest and times of each file. A file whose size and times are those in `known`, an earlier
    result, is not read again.
    """

    def facts(name: str) -> dict[str, Any]:
        stat = paths[name].stat()
        now = {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "ctime_ns": stat.st_ctime_ns}
        earlier = known.get(name)
        if isinstance(earlier, dict) and all(earlier.get(key) == value for key, value in now.items()):
            return earlier
        with paths[name].open("rb") as stream:
            return {**now, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}

    with ThreadPoolExecutor(4) as threads:  # hashing releases the interpreter
        return dict(zip(paths, threads.map(facts, paths), strict=True))


def read_inputs(folder: Path) -> dict[str, Any] | None:
    """The record of a stage; None for a stage that has not started, or was started by a version without records.

    Raises:
        UsageError: the file is damaged.
    """
    path = folder / INPUTS
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        _sections(record)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, RecipeError) as error:
        raise UsageError(
            f"{path} is damaged ({error}), so what this run began with cannot be compared with what is there now."
            " Remove the file to resume without the comparison"
        ) from error
    return dict(record)


def _sections(record: Any) -> tuple[dict[str, list[RowDigest]], dict[str, dict[str, Any]], dict[str, Any]]:
    """Data, models and code of a record."""
    data = {name: [RowDigest(*row) for row in rows] for name, rows in record["data"].items()}
    models = {role: {"name": model["name"], **model} for role, model in record["models"].items()}
    if "recipe" in record:
        read_mapping(record["recipe"], "recipe")
    for change in record.get("changes", []):
        if not (isinstance(change["step"], int) and isinstance(change["differences"], list)):
            raise TypeError("changes: expected a step and a list of differences")
    return data, models, {name: dict(facts) for name, facts in record["code"].items()}


def write_inputs(folder: Path, record: Mapping[str, Any]) -> None:
    """One row of data a line, so that two records can be compared by `diff`."""
    plain = json.dumps({key: value for key, value in record.items() if key != "data"}, indent=1)
    sets = [
        f"  {json.dumps(name)}: [" + ",".join(f"\n   {json.dumps(row)}" for row in rows) + "\n  ]"
        for name, rows in record["data"].items()
    ]
    replace_text(folder / INPUTS, plain.removesuffix("\n}") + ',\n "data": {\n' + ",\n".join(sets) + "\n }\n}\n")


def changes_allowed(folder: Path) -> list[dict[str, Any]]:
    """The times at which this stage was resumed over changed inputs: {"time", "step", "differences"}."""
    try:
        record = read_inputs(folder)
    except (UsageError, OSError):
        return []
    return list((record or {}).get("changes", []))


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One sentence for each key of the recipe, data set, model and file of code that is not what it was. A record of an
    earlier version has no recipe.
    """
    old_data, old_models, old_code = _sections(before)
    new_data, new_models, new_code = _sections(now)
    sentences = recipe_differences(before["recipe"], now["recipe"]) if "recipe" in before and "recipe" in now else []
    for name in dict.fromkeys([*old_data, *new_data]):
        sentences += _set_difference(name, old_data.get(name), new_data.get(name))
    for role in dict.fromkeys([*old_models, *new_models]):
        if role in old_models and role in new_models:
            sentences += _model_difference(role, old_models[role], new_models[role])
    for name in dict.fromkeys([*old_code, *new_code]):
        old, new = (code.get(name, {}).get("sha256") for code in (old_code, new_code))
        if old != new:
            sentences.append(f"{name}: the code {'was changed' if old and new else 'is gone' if old else 'is new'}")
    return sentences


def _set_difference(name: str, old: list[RowDigest] | None, new: list[RowDigest] | None) -> list[str]:
    if old is None or new is None:
        return [f"{name}: the set is {'new' if old is None else 'gone'}"]
    if old == new:
        return []
    counts = f"{len(old):,} rows, now {len(new):,}" if len(old) != len(new) else f"{len(old):,} rows"
    old_ids, new_ids = [row.id for row in old], [row.id for row in new]
    if old_ids != new_ids:
        index = next((i for i, (a, b) in enumerate(zip(old_ids, new_ids, strict=False)) if a != b), None)
        if index is None:
            index = min(len(old), len(new))
        was, now = (repr(ids[index]) if index < len(ids) else "nothing" for ids in (old_ids, new_ids))
        order = ", in another order" if sorted(old_ids) == sorted(new_ids) else ""
        return [f"{name}: {counts}{order}; the first difference is row {index + 1}, which was {was} and is now {now}"]
    changed = [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    first = changed[0]
    parts = [part for part in _PARTS if getattr(old[first], part) != getattr(new[first], part)]
    what = " and ".join(_PARTS[part] for part in parts)
    text = f"{name}: {len(changed):,} of {counts} differ; the first is row {first + 1} ({old[first].id}), whose {what}"
    was, now = old[first].reference, new[first].reference
    if parts == ["reference"] and was.startswith("{") and now.startswith("{"):
        return [f"{text} was {_cut(was)} and is now {_cut(now)}"]
    return [f"{text} {'was' if len(parts) == 1 else 'were'} changed"]


def _model_difference(role: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    title = f"{role} ({new['name']})"
    if old.get("files") is None or new.get("files") is None:
        keys = ("built_in", "commit")
        was, now = (next((model[key] for key in keys if model.get(key)), model["name"]) for model in (old, new))
        return [f"{title}: was {was}, is now {now}"] if was != now else []
    changed = []
    for file in dict.fromkeys([*old["files"], *new["files"]]):
        was, now = (model["files"].get(file) for model in (old, new))
        if was is None or now is None:
            changed.append(f"{file} is {'new' if was is None else 'gone'}")
        elif was["sha256"] != now["sha256"]:
            changed.append(f"{file} was {was['sha256'][:12]}, is now {now['sha256'][:12]}")
    return [f"{title}: {'; '.join(changed)}"] if changed else []


def clock() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_text)


def _text(value: Any) -> str:
    """A value that JSON lacks. The default text of an object shows its address, which differs in every process."""
    text = repr(value)
    return type(value).__qualname__ if " at 0x" in text else text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
