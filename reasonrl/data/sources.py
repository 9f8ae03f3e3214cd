"""Several sources as one set: no two problems of a set have the same id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from reasonrl.data.load import GENERATORS, id_stem
from reasonrl.errors import DataError
from verifiers.types import Problem


def with_new_ids(
    problems: Sequence[Problem],
    taken: set[str],
    source: str,
    *,
    split: str | None = None,
    name: str | None = None,
    options: dict[str, Any] | None = None,
) -> list[Problem]:
    """The problems of a further source of a set, with ids that the set does not have yet.

    Ids that nobody wrote, such as "train/1" of one/train.jsonl and of two/train.jsonl, or "arithmetic/1+2" of two
    generators, become "train@2/1" and "arithmetic@2/1+2" in the whole later source. Seeds of rollouts derive from ids,
    so a source whose ids are all new keeps them.

    Args:
        problems: what `load_problems` gave for this source.
        taken: ids of the sources before it. They are not changed.
        source, split, name, options: as they were given to `load_problems`.

    Raises:
        DataError: an id that the user wrote is taken.
    """
    repeated = [problem.id for problem in problems if problem.id in taken]
    if not repeated:
        return list(problems)
    stem = id_stem(source, split=split, name=name, options=options)
    written = next((id_ for id_ in repeated if not _is_automatic(id_, source, stem)), None)
    if written is not None:
        raise DataError(
            f"the id {written!r} is already used by an earlier source. Ids must be unique: change them in one of the"
            " sources, or leave the ids out of both"
        )
    number = 2
    while any(_renamed(problem.id, source, stem, number) in taken for problem in problems):
        number += 1
    return [replace(problem, id=_renamed(problem.id, source, stem, number)) for problem in problems]


def _renamed(id_: str, source: str, stem: str, number: int) -> str:
    if not _is_automatic(id_, source, stem):
        return id_
    head, _, tail = id_.partition("/") if source in GENERATORS else id_.rpartition("/")
    return f"{head}@{number}/{tail}"


def _is_automatic(id_: str, source: str, stem: str) -> bool:
    head, slash, tail = id_.rpartition("/")
    return bool(slash) if source in GENERATORS else head == stem and tail.isdecimal()
