"""Problems from Python: from a file, a generator, the hub, or a source as a recipe writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reasonrl.data import load
from reasonrl.errors import DataError
from reasonrl.recipe.data import SourceSpec
from reasonrl.words import did_you_mean
from verifiers.types import Problem


def load_problems(source: str | Path | Mapping[str, Any], **options: Any) -> list[Problem]:
    """Load problems and check each of them.

    Args:
        source: a .jsonl, .json, .csv or .parquet file; `arithmetic`, `step_arithmetic`, `programs`, `reasoning_gym`,
            `gsm8k` or `math`; a Hugging Face data set id; `package.module:function`; or a dictionary with the keys of
            `data.train` in a recipe, such as {"source": "arithmetic", "options": {"size": 100}}.
        options: `split`, `name`, `kind`, `columns`, `limit`, `seed`, `options` as in a recipe, and `offline`. They take
            precedence over the dictionary.

    Returns:
        At least one problem, in the order of the source.

    Raises:
        DataError: the source cannot be read, or a row is not a problem. The message names the file, the row and the
            field.

    Example:
        load_problems("train.csv", columns={"prompt": "question", "answer": "target"}, limit=100)
    """
    keys = {**source, **options} if isinstance(source, Mapping) else {"source": str(source), **options}
    known = (*SourceSpec.model_fields, "offline")
    for key in keys:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise DataError(f"load_problems has no option {key!r}: {hint or 'its options are ' + ', '.join(known)}")
    if "source" not in keys:
        raise DataError("load_problems: the dictionary has no key 'source'; write {'source': 'train.jsonl'}")
    return load.load_problems(**keys)
