"""What the options of the source `step_arithmetic` may be."""

from __future__ import annotations

import dataclasses
from typing import Any

from critics.sneaky import SneakyPrompt
from reasonrl.data import task_options
from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.task_options import is_number, wrong_format, wrong_tasks
from reasonrl.data.values import LARGEST_SIZE
from reasonrl.errors import DataError

TASKS = ("solve", "refine", "critique", "spoil")
OPTIONS = (
    "size",
    "repeat",
    "seed",
    "split",
    "test_share",
    "terms",
    "low",
    "high",
    "most",
    "tasks",
    "format",
    "error_rate",
    "false_critiques",
    "sneaky_prompt",
)
MOST_TERMS, LARGEST_NUMBER = 50, 999_999_999
"""A step is read with numbers of at most nine digits."""


def check_options(options: dict[str, Any]) -> None:
    """Raises DataError with all that is wrong."""
    refuse_unknown(options, OPTIONS, "step_arithmetic")
    if "size" not in options:
        raise DataError("step_arithmetic: the option size is missing; write the number of sums")
    wrong = [*_wrong_numbers(options), *wrong_tasks(options, TASKS), *_wrong_texts(options)]
    if wrong:
        raise DataError(f"step_arithmetic: {'; '.join(wrong)}")


def format_style(options: dict[str, Any]) -> dict[str, Any]:
    """The format of the critiques with its options."""
    return task_options.format_style(options, "step_sentence")


def _wrong_numbers(options: dict[str, Any]) -> list[str]:
    size, repeat, terms = options["size"], options.get("repeat", 1), options.get("terms", 4)
    low, high, most = options.get("low", 1), options.get("high", 30), options.get("most", 99)
    wrong = []
    if not isinstance(options.get("seed", 0), int):
        wrong.append(f"seed must be a whole number, not {options['seed']!r}")
    if not _within(size, 1, LARGEST_SIZE):
        wrong.append(f"size must be a whole number from 1 to {LARGEST_SIZE:,}, not {size!r}")
    elif not _within(repeat, 1, LARGEST_SIZE // size):
        wrong.append(
            f"repeat must be a whole number from 1, and with size give {LARGEST_SIZE:,} at most, not {repeat!r}"
        )
    if not (_within(terms, 2, MOST_TERMS) and _within(low, 0, LARGEST_NUMBER) and _within(high, low, LARGEST_NUMBER)):
        wrong.append(
            f"needs terms from 2 to {MOST_TERMS} and 0 <= low <= high <= {LARGEST_NUMBER:,}, not terms={terms!r},"
            f" low={low!r}, high={high!r}"
        )
    if not _within(most, 0, LARGEST_NUMBER):
        wrong.append(f"most must be a whole number from 0 to {LARGEST_NUMBER:,}, not {most!r}")
    for name in ("test_share", "error_rate", "false_critiques"):
        share = options.get(name, 0)
        if not is_number(share) or not 0 <= share <= 1:
            wrong.append(f"{name} must be a number from 0 to 1, not {share!r}")
    return wrong


def _wrong_texts(options: dict[str, Any]) -> list[str]:
    wrong = []
    if options.get("split", "train") not in ("train", "test"):
        wrong.append(f"split must be train or test, not {options['split']!r}")
    wrong += wrong_format(options, "step_sentence")
    texts = options.get("sneaky_prompt") or {}
    known = [field.name for field in dataclasses.fields(SneakyPrompt)]
    if not isinstance(texts, dict) or not set(texts) <= set(known):
        wrong.append(f"sneaky_prompt must be texts for {', '.join(known)}, not {texts!r:.80}")
    return wrong


def _within(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
