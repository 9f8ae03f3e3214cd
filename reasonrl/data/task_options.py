"""Options that generated data have in common: numbers and shares, the tasks, and the format of critiques."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from critics.formats import load_format
from reasonrl.data.mistakes import suggestion
from reasonrl.data.values import LARGEST_SIZE

DEFAULT_TASKS = {"solve": 1.0}


def format_style(options: dict[str, Any], default: str) -> dict[str, Any]:
    """The format of the critiques with its options: a bare word is its name, as in `critic.format`."""
    chosen = options.get("format") or default
    return {"name": chosen} if isinstance(chosen, str) else dict(chosen)


def wrong_tasks(options: dict[str, Any], known: Sequence[str]) -> list[str]:
    """What is wrong with `tasks`, the shares of the tasks."""
    tasks = options.get("tasks") or DEFAULT_TASKS
    if not isinstance(tasks, dict):
        return [f"tasks must give shares to {', '.join(known)}, not be {tasks!r:.80}"]
    wrong = [
        f"tasks gives {name!r} the share {share!r}.{suggestion(name, known) if name not in known else ''} Write numbers"
        f" from 0 for {', '.join(known)}"
        for name, share in tasks.items()
        if name not in known or not is_number(share) or share < 0
    ]
    if not wrong and not 0 < sum(tasks.values()) < math.inf:
        wrong.append("the shares of tasks add up to 0 or to infinity; write numbers from 0 to 1")
    return wrong


def wrong_format(options: dict[str, Any], default: str) -> list[str]:
    """What is wrong with `format`. One of the user's own ("package.module:Class") is not loaded."""
    try:
        form = format_style(options, default)
        if ":" not in str(form["name"]):
            load_format(**form)
    except KeyError:
        return [f"the format {options['format']!r:.80} has no name"]
    except (TypeError, ValueError) as error:
        return [f"the format {options['format']!r:.80} cannot be used: {error}"]
    return []


def wrong_numbers(options: dict[str, Any], shares: Sequence[str]) -> list[str]:
    """What is wrong with `size`, `seed`, `repeat`, `split` and the shares, which are numbers from 0 to 1."""
    size = options["size"]
    wrong = []
    if not within(size, 1, LARGEST_SIZE):
        wrong.append(f"size must be a whole number from 1 to {LARGEST_SIZE:,}, not {size!r}")
    elif not within(options.get("repeat", 1), 1, LARGEST_SIZE // size):
        wrong.append(
            f"repeat must be a whole number from 1, and with size give {LARGEST_SIZE:,} at most, not"
            f" {options['repeat']!r}"
        )
    if isinstance(options["seed"], bool) or not isinstance(options["seed"], int):
        wrong.append(f"seed must be a whole number, not {options['seed']!r}")
    if options.get("split", "train") not in ("train", "test"):
        wrong.append(f"split must be train or test, not {options['split']!r}")
    for name in shares:
        share = options.get(name, 0.0)
        if not is_number(share) or not 0 <= share <= 1:
            wrong.append(f"{name} must be in [0, 1], not {share!r}")
    return wrong


def within(number: Any, least: int, most: int) -> bool:
    """A whole number from `least` to `most`, and not True or False."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def is_number(value: Any) -> bool:
    """A finite number, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
