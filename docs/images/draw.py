"""Draws the pictures of docs/methods from the methods themselves: `.venv/bin/python docs/images/draw.py`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from reasonrl.algorithms.batch import length_mask, pad_rows
from reasonrl.algorithms.tempo import tempo_advantages
from reasonrl.budgets.knapsack import allocate, task_value

HERE = Path(__file__).parent
BLUE, ORANGE, GREY, GREEN, RED = "#2b63d9", "#d97a0b", "#8a94a6", "#2e9e6b", "#cf4a3f"
ANSWERS = [
    ["2", "+", "3", "=", "5"],
    ["2", "+", "3", "=", "6"],
    ["2", "*", "3", "=", "6"],
    ["2", "*", "3", "=", "6", "!"],
]
REWARDS = [1.0, 0.0, 0.0, 0.0]


def tempo_tree() -> None:
    """Four answers, the value of every prefix, and what TEMPO credits each token with."""
    vocabulary = sorted({sign for answer in ANSWERS for sign in answer})
    tokens = pad_rows([[vocabulary.index(sign) for sign in answer] for answer in ANSWERS], torch.long)
    mask, group = length_mask([len(answer) for answer in ANSWERS]), torch.zeros(4, dtype=torch.long)
    made = tempo_advantages(tokens, mask, torch.tensor(REWARDS), group, norm_by_std=False)
    figure, axes = plt.subplots(figsize=(10.5, 4.0), dpi=110)
    heights = {0: 3.0, 1: 2.0, 2: 1.0, 3: 0.0}

    def value(prefix: tuple[str, ...]) -> float:
        return float(
            np.mean([r for answer, r in zip(ANSWERS, REWARDS, strict=True) if tuple(answer[: len(prefix)]) == prefix])
        )

    def height(prefix: tuple[str, ...]) -> float:
        return float(
            np.mean([heights[i] for i, answer in enumerate(ANSWERS) if tuple(answer[: len(prefix)]) == prefix])
        )

    prefixes = sorted(
        {tuple(answer[:t]) for answer in ANSWERS for t in range(len(answer) + 1)}, key=lambda p: (len(p), p)
    )
    for prefix in prefixes:
        x, y = len(prefix) * 1.6, height(prefix)
        if prefix:
            parent = prefix[:-1]
            axes.plot([x - 1.6, x], [height(parent), y], color=GREY, linewidth=1.4, zorder=1)
            row = next(i for i, answer in enumerate(ANSWERS) if tuple(answer[: len(prefix)]) == prefix)
            difference = value(prefix) - value(parent)
            colour = GREEN if difference > 0 else RED if difference < 0 else GREY
            words = f"'{prefix[-1]}'" + (f"  {difference:+.2f}" if difference else "")
            style = {"color": colour, "fontweight": "bold" if difference else "normal", "fontsize": 9, "ha": "center"}
            axes.text(
                x - 0.8,
                (y + height(parent)) / 2 + (0.34 if difference > 0 else -0.42 if difference < 0 else 0.14),
                words,
                **style,
            )
            assert np.isclose(
                float(made[row, len(prefix) - 1]), REWARDS[row] - np.mean(REWARDS) + difference, atol=1e-6
            )
        axes.scatter([x], [y], s=470, color="white", edgecolor=BLUE, linewidth=1.6, zorder=2)
        axes.text(x, y, f"{value(prefix):.2f}", ha="center", va="center", fontsize=7.5, color=BLUE, zorder=3)
    for i, (answer, reward) in enumerate(zip(ANSWERS, REWARDS, strict=True)):
        axes.text(
            len(ANSWERS[3]) * 1.6 + 1.0,
            heights[i],
            f"{''.join(answer)}   reward {reward:.0f}",
            va="center",
            fontsize=9.5,
        )
        end = len(answer) * 1.6
        if end < len(ANSWERS[3]) * 1.6:
            axes.plot(
                [end + 0.35, len(ANSWERS[3]) * 1.6 + 0.8],
                [heights[i]] * 2,
                color="#dde2ea",
                linewidth=1,
                linestyle=":",
                zorder=0,
            )
    axes.set_title("value of each prefix (in the nodes), and what each token changed", fontsize=10, loc="left")
    axes.set_xlim(-0.6, 13.2)
    axes.set_ylim(-0.6, 3.6)
    axes.axis("off")
    figure.savefig(HERE / "tempo.png", bbox_inches="tight", facecolor="white")
    plt.close(figure)


def knapsack_allocation() -> None:
    """Rollouts by success rate when 128 prompts share 1,024 rollouts, half of them nearly solved or nearly hopeless."""
    rates = np.sort(np.random.default_rng(0).beta(0.35, 0.35, 128).clip(0.004, 0.996))
    counts = np.array(allocate(rates.tolist(), 1024, low=2, high=64))
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.0), dpi=110)
    axes[0].plot(rates, counts, ".-", color=ORANGE, linewidth=1, markersize=4, label="knapsack")
    axes[0].axhline(8, color=GREY, label="uniform")
    axes[0].set_ylabel("rollouts of a prompt")
    chance = [1 - p**n - (1 - p) ** n for p, n in zip(rates, counts, strict=True)]
    axes[1].plot(rates, chance, ".-", color=ORANGE, linewidth=1, markersize=4, label="knapsack")
    axes[1].plot(rates, 1 - rates**8 - (1 - rates) ** 8, color=GREY, label="uniform")
    axes[1].set_ylabel("chance of a mixed group")
    worth = [
        sum(task_value(int(n), float(p)) for n, p in zip(given, rates, strict=True)) for given in (counts, [8] * 128)
    ]
    axes[0].set_title(
        f"128 prompts, 1,024 rollouts: value {worth[0] / worth[1] - 1:+.0%} over uniform", fontsize=10, loc="left"
    )
    for one in axes:
        one.set_xlabel("success rate of the prompt")
        one.spines[["top", "right"]].set_visible(False)
        one.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(HERE / "knapsack.png", facecolor="white")
    plt.close(figure)


if __name__ == "__main__":
    tempo_tree()
    knapsack_allocation()
