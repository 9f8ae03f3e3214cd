"""Problems: loading, checking, converting and generating them. Nothing heavy is imported until it is used.

`load_problems("train.jsonl")` is the way in. Made-up arithmetic is in `reasonrl.data.arithmetic`.
"""

from __future__ import annotations

from reasonrl.data.checks import DataReport, RowReport, check_problems, shared_prompts
from reasonrl.data.convert import from_trl, from_verl, to_trl, to_verl, write_problems
from reasonrl.data.load import load_problems
from reasonrl.data.prompts import render_prompt

__all__ = [
    "DataReport",
    "RowReport",
    "check_problems",
    "from_trl",
    "from_verl",
    "load_problems",
    "render_prompt",
    "shared_prompts",
    "to_trl",
    "to_verl",
    "write_problems",
]
