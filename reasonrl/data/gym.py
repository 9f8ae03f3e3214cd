"""Problems made by the `reasoning-gym` package, which also judges them. Importing it takes about 2 s, so it happens
here only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any

from reasonrl.data.mistakes import suggestion
from reasonrl.data.rows import jsonable
from reasonrl.data.values import LARGEST_SIZE
from reasonrl.errors import DataError
from verifiers.types import Problem

SPLITS = ("train", "test")


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `reasoning_gym` of a recipe. Raises DataError."""
    return reasoning_gym_problems(options, seed=seed, split=split)[:limit]


def reasoning_gym_problems(options: dict[str, Any], *, seed: int = 0, split: str | None = None) -> list[Problem]:
    """Generates problems of one reasoning-gym data set.

    Without a split these are the rows 0 to size - 1, as the package itself gives them; two seeds may then share
    questions. With a split, a hash of the question decides its side (a fifth is "test"), so that train and test never
    share a question, whatever their seeds. That guards against equal text only: "1 + 2" and "2 + 1" may fall on
    different sides.

    Some data sets keep tuples in their entries. The entry is passed through JSON here, as it is in every file; measured
    with version 0.1.25, the gold answers of `arc_agi` and `rearc` then no longer score 1, which `check_problems` shows.
    Five data sets (boxnet, graph_color, propositional_logic, rubiks_cube, rush_hour) give no gold answer.

    Args:
        options: {"dataset": name, "size": rows, "seed": int (default `seed`), and any field of that data set's
            configuration}.
        split: None, "train" or "test".

    Raises:
        DataError: the package is missing, or a name or a value in the options is wrong.
    """
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise DataError(f"source 'reasoning_gym' needs the package: `pip install reasoning-gym` ({error})") from error
    names = [name for name in DATASETS if name != "composite"]  # a composite is scored by its parts: name those instead
    name = options.get("dataset")
    if name not in names:
        raise DataError(
            f"reasoning_gym: options need the name of a data set, not dataset={name!r}.{suggestion(str(name), names)}"
            f" For example: chain_sum, basic_arithmetic, gcd, countdown. All {len(names)} are in the package's"
            " GALLERY.md"
        )
    if split not in (None, *SPLITS):
        raise DataError(f"reasoning_gym: split must be train or test, not {split!r}")
    size = options.get("size", 500)
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST_SIZE:
        raise DataError(f"reasoning_gym: size must be a whole number from 1 to {LARGEST_SIZE:,}, not {size!r}")
    config = {"seed": seed} | {key: value for key, value in options.items() if key not in ("dataset", "size")}
    known = [field.name for field in dataclasses.fields(DATASETS[name][1])]
    wrong = [f"unknown option {key!r}.{suggestion(key, known)}" for key in config if key not in known]
    if wrong:
        raise DataError(f"reasoning_gym data set {name!r}: {' '.join(wrong)} Options: dataset, {', '.join(known)}")
    rows = size if split is None else math.ceil(1.5 * size / (TEST_SHARE if split == "test" else 1 - TEST_SHARE)) + 50
    try:
        dataset = reasoning_gym.create_dataset(name, size=rows, **config)
        entries = list(_entries(dataset, rows, split, size))
    except (AssertionError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise DataError(
            f"reasoning_gym data set {name!r} with {config}: {str(error) or type(error).__name__}"
        ) from error
    if len(entries) < size:
        raise DataError(
            f"reasoning_gym data set {name!r}: only {len(entries)} problems in the split {split!r}; write a smaller"
            " size"
        )
    label = f"reasoning_gym-{name}" + (f"-{split}" if split else "")
    return [
        Problem(
            id=f"{label}/{config['seed']}/{number}",
            prompt=entry["question"],
            kind="reasoning_gym",
            reference={"dataset": name, "entry": entry},
            source=f"reasoning_gym/{name}",
        )
        for number, entry in enumerate(entries, 1)
    ]


TEST_SHARE = 0.2


def _entries(dataset: Any, rows: int, split: str | None, size: int) -> Iterator[dict[str, Any]]:
    count = 0
    for index in range(rows):
        entry = json.loads(json.dumps(dataset[index], default=jsonable))
        digest = hashlib.blake2b(entry["question"].encode(), digest_size=8).digest()
        side = "test" if int.from_bytes(digest) < TEST_SHARE * 2**64 else "train"
        if split is None or side == split:
            count += 1
            yield entry
            if count == size:
                return
