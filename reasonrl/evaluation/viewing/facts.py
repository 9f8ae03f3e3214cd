"""What the scores depend on, as lines of a table: one value for each folder, and whether they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reasonrl.evaluation.viewing.folder import ResultsFolder, mapping_in

_FIGURES = ("results", "metrics", "subsets", "canaries", "seconds", "benchmarks")
"""Keys of results.json that are not facts, or have sections of their own."""
_LONGEST_LIST = 6


def facts_data(folders: Sequence[ResultsFolder]) -> list[dict[str, Any]]:
    """Sections of lines {"name", "values", "differs"}. The first holds what is common to all benchmarks; each benchmark
    has one after it. None: the folder does not say it. Before an evaluation ends it does not say versions and
    contamination: that is no difference.
    """
    contents = [folder.facts() for folder in folders]
    common = [{name: value for name, value in facts.items() if name not in _FIGURES} for facts in contents]
    names = {name: None for facts in contents for name in mapping_in(facts, "benchmarks") or {}}
    sections = [_section("All benchmarks", common, [folder.is_finished for folder in folders])]
    for name in names:
        inner = [mapping_in(mapping_in(facts, "benchmarks") or {}, name) for facts in contents]
        # A folder without the benchmark says nothing of it.
        sections.append(_section(name, [one or {} for one in inner], [one is not None for one in inner]))
    return [section for section in sections if section["lines"]]


def _section(title: str, contents: Sequence[Mapping[str, Any]], speaks: Sequence[bool]) -> dict[str, Any]:
    """`speaks`: whether that a folder does not hold a fact means anything."""
    flat = [dict(_flat(content, "")) for content in contents]
    lines = []
    for name in dict.fromkeys(name for one in flat for name in one):
        stated = {repr(one.get(name)) for one, means in zip(flat, speaks, strict=True) if name in one or means}
        values = [_text(one[name]) if name in one else None for one in flat]
        lines.append({"name": name, "values": values, "differs": len(stated) > 1})
    return {"title": title, "lines": lines}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """What is no object, by its dotted name."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield name, value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:_LONGEST_LIST]))
        return shown if len(value) <= _LONGEST_LIST else f"{len(value)}: {shown}, ..."
    return str(value)
