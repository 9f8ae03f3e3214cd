"""What TEMPO and the knapsack cost, on one core: `make bench-algorithms`. Medians of several passes, largest in
brackets.

TEMPO on 1,024 responses of 16,384 tokens, in three shapes; doubling each size must double the time. The knapsack on
100,000 prompts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from reasonrl.algorithms.tempo import tempo_advantages
from reasonrl.budgets.knapsack import allocate

PASSES = 5


def responses(kind: str, rows: int, length: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Tokens, mask, rewards and groups (groups of all rows) in which responses share a beginning of the kind's
    length.
    """
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 50_000, (rows, length), generator=generator)
    shared = {"all different from the first token": 0, "branching late": length - 64, "all identical": length}[kind]
    tokens[:, :shared] = tokens[:1, :shared].clone()
    rewards = torch.randint(0, 2, (rows,), generator=generator).float()
    return tokens, torch.ones_like(tokens, dtype=torch.bool), rewards, torch.zeros(rows, dtype=torch.long)


def seconds(work: Callable[[], object]) -> list[float]:
    work()
    out = []
    for _ in range(PASSES):
        started = time.perf_counter()
        work()
        out.append(time.perf_counter() - started)
    return out


def main() -> None:
    torch.set_num_threads(1)
    table = Table(title=f"one core, median of {PASSES} passes [largest]")
    for title in ("", "size", "seconds"):
        table.add_column(title, justify="left" if not title else "right")
    for kind in ("all different from the first token", "all identical", "branching late"):
        for rows, length in ((1024, 8192), (1024, 16384)):
            given = responses(kind, rows, length)
            measured = seconds(lambda given=given: tempo_advantages(*given))  # type: ignore[misc]
            table.add_row(
                f"TEMPO, {kind}", f"{rows:,} x {length:,}", f"{statistics.median(measured):.3f} [{max(measured):.3f}]"
            )
    generator = np.random.default_rng(0)
    mixes = {
        "rates spread over (0, 1)": generator.uniform(0, 1, 100_000).tolist(),
        "a tenth each unseen, solved, hopeless": [
            None if u < 0.1 else 0.0 if u < 0.2 else 1.0 if u < 0.3 else float(r)
            for u, r in generator.uniform(0, 1, (100_000, 2))
        ],
    }
    for name, rates in mixes.items():
        measured = seconds(lambda rates=rates: allocate(rates, 800_000, low=2, high=128, default=8))  # type: ignore[misc]
        table.add_row(
            f"knapsack, {name}",
            "100,000 prompts, 800,000 rollouts",
            f"{statistics.median(measured):.3f} [{max(measured):.3f}]",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
