"""A folder of `reasonrl eval --output`, also while its answers are still being drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from reasonrl.environments.served_turn import TOKENS
from reasonrl.errors import UsageError
from reasonrl.runs.reading import json_object
from reasonrl.runs.samples import SampleIndex, SampleKey

RESULTS, SETTINGS, SAMPLES = "results.json", "settings.json", "samples.jsonl"
LETTERS = "ABCDEFGH"
"""The names of the folders on the page, as `reasonrl compare` writes A and B."""


class AnswerDetail(NamedTuple):
    """What the page needs of every answer besides its `SampleKey`."""

    rollout: int
    tokens: int | None
    """None where the row does not say it."""
    is_cut_off: bool
    reference: bytes
    """A digest: references may be long, and are only compared."""


class SetName(NamedTuple):
    """What one row of the table is about: a benchmark, or one way of answering it where a folder holds both."""

    set: str
    mode: str | None
    """None: every answer to the set."""

    @property
    def label(self) -> str:
        return f"{self.set}, {self.mode}" if self.mode else self.set


@dataclass
class ResultsFolder:
    """One side of the page. Files are read again when they have changed."""

    path: Path
    index: SampleIndex = field(init=False)
    _facts: dict[str, Any] = field(init=False, default_factory=dict)
    _read: tuple[Hashable, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.index = SampleIndex(self.path / SAMPLES, _detail)

    @property
    def is_finished(self) -> bool:
        return (self.path / RESULTS).is_file()

    @property
    def version(self) -> Hashable:
        """Other content, another version."""
        self.answers()
        return self.index.version, self._signature()

    def answers(self) -> list[SampleKey]:
        """All answers in the order of the file. Raises UsageError for a damaged row."""
        return [key for key in self.index.scan() if key.kind == "eval"]

    def facts(self) -> Mapping[str, Any]:
        """The content of results.json, or of settings.json before that is written; {} without either.

        Raises:
            UsageError: the file is damaged.
        """
        signature = self._signature()
        if signature != self._read:
            names = [name for name in (RESULTS, SETTINGS) if (self.path / name).is_file()]
            self._facts = json_object(self.path / names[0]) if names else {}
            self._read = signature
        return self._facts

    def benchmark_facts(self, name: str) -> Mapping[str, Any] | None:
        """What the folder says of a benchmark; None where it says nothing."""
        return mapping_in(mapping_in(self.facts(), "benchmarks") or {}, name)

    def _signature(self) -> tuple[Hashable, ...]:
        files = [self.path / name for name in (RESULTS, SETTINGS)]
        stats = [file.stat() for file in files if file.is_file()]
        return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


def is_results(path: Path) -> bool:
    """Whether a folder holds results, or an evaluation on benchmarks has begun in it."""
    if (path / "recipe.yaml").exists():
        return False
    return (path / RESULTS).is_file() or (path / SETTINGS).is_file()


def results_below(folder: Path) -> list[Path]:
    """The folders of results in a folder."""
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and is_results(inner))


def open_folders(paths: Sequence[str | Path]) -> list[ResultsFolder]:
    """Raises UsageError for too many folders, one that holds no results, and facts that cannot be read."""
    if len(paths) > len(LETTERS):
        raise UsageError(f"view shows up to {len(LETTERS)} folders side by side, not {len(paths)}")
    folders = [ResultsFolder(Path(path)) for path in paths]
    for folder in folders:
        if not is_results(folder.path):
            raise UsageError(f"{folder.path} holds no {RESULTS}. Name folders of `reasonrl eval --output`.")
        folder.facts()
    return folders


def set_names(folders: Iterable[ResultsFolder]) -> list[SetName]:
    """The rows of the table: benchmarks in the order of the facts, then other sets in the order of the answers."""
    modes: dict[str, dict[str, None]] = {}
    has_both: set[str] = set()
    for folder in folders:
        for name in mapping_in(folder.facts(), "benchmarks") or {}:
            modes.setdefault(name, {})
        present: dict[str, dict[str, None]] = {}
        for key in folder.answers():
            present.setdefault(key.set or "", {})[key.mode] = None
        for name, names in present.items():
            modes.setdefault(name, {}).update(names)
            if len(names) > 1:
                has_both.add(name)
    rows = []
    for name, names in modes.items():
        rows += [SetName(name, mode) for mode in sorted(names)] if name in has_both else [SetName(name, None)]
    return rows


def answers_by_name(keys: Iterable[SampleKey], names: Iterable[SetName]) -> dict[SetName, list[SampleKey]]:
    """The answers of one folder to each set, in their order. Those to other sets are left out."""
    answers: dict[SetName, list[SampleKey]] = {name: [] for name in names}
    for key in keys:
        for mode in (None, key.mode):
            if (same := answers.get(SetName(key.set or "", mode))) is not None:
                same.append(key)
    return answers


def mapping_in(value: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The object of this name; None where there is none, or something else."""
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else None


def _detail(row: dict[str, Any]) -> AnswerDetail:
    tokens, rollout = row.get(TOKENS, row.get("response_tokens")), row.get("rollout")
    return AnswerDetail(
        rollout if type(rollout) is int else 0,
        tokens if type(tokens) is int else None,
        row.get("finish_reason") == "length",
        hashlib.blake2b(repr(row.get("reference")).encode("utf-8", "surrogatepass"), digest_size=8).digest(),
    )
