"""What critiques earn, and the numbers that critics are compared by. An episode is a mapping:

correct: whether the solution is right (None: not known); judgement: "correct", "incorrect" or None (not read); refined:
whether each refinement is right (None: could not be judged); first_error, named: the first wrong step, and the one that
the critique names (from 0, -1: none); steps: how many the solution has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.golden.reference.numbers import mean

Episode = dict[str, Any]


def judged_right(episode: Episode) -> bool | None:
    """None where the judgement could not be read."""
    if episode["judgement"] is None:
        return None
    return (episode["judgement"] == "correct") == episode["correct"]


def discriminability(episode: Episode, right: float, wrong: float, unread: float) -> float | None:
    if episode["correct"] is None:
        return None
    outcome = judged_right(episode)
    return unread if outcome is None else right if outcome else wrong


def helpfulness(episode: Episode, mode: str = "refine", when: str = "all") -> float | None:
    """Mean over the judged refinements; the solution itself stands where none is asked for."""
    before = episode["correct"]
    if before is None:
        return None
    asked = {
        "all": True,
        "judged_incorrect": episode["judgement"] != "correct",
        "oracle_incorrect": not before,
    }[when]
    afterwards = [after for after in episode.get("refined", []) if after is not None] if asked else [before]
    worth = {
        "refine": lambda after: 1.0 if after else 0.0,
        "delta": lambda after: float(after) - float(before),
        "correction": lambda after: 0.0 if not after else 0.2 if before else 1.0,
    }[mode]
    return mean([worth(after) for after in afterwards]) if afterwards else None


def critique_rl(
    episode: Episode, phase: int, variant: str = "paper", beta: float = 0.2, mode: str = "refine", when: str = "all"
) -> float | None:
    """Phase 1: the judgement. Phase 2: helpfulness + beta * judgement (arXiv:2510.24320). In the authors' code a wrong
    or unread judgement is -1, and throws the helpfulness away; a right one adds beta.
    """
    if variant == "paper":
        judgement = discriminability(episode, 1.0, 0.0, 0.0)
        helpful = helpfulness(episode, mode, when)
        if phase == 1 or judgement is None:
            return judgement
        return None if helpful is None else helpful + beta * judgement
    judgement = discriminability(episode, 1.0, -1.0, -1.0)
    if phase == 1 or judgement is None or judgement < 0:
        return judgement
    helpful = helpfulness(episode, mode, when)
    return None if helpful is None else helpful + beta


def refcritic(episode: Episode, refine_weight: float, when: str = "judged_incorrect") -> float | None:
    """(R_c + lambda R_r) / (1 + lambda) (arXiv:2507.15024, eq. 6)."""
    judgement = discriminability(episode, 1.0, 0.0, 0.0)
    helpful = helpfulness(episode, "refine", when) if refine_weight else 0.0
    if judgement is None or helpful is None:
        return None
    return (judgement + refine_weight * helpful) / (1 + refine_weight)


def ctrl(episode: Episode) -> float | None:
    """The refinement passes; 0 without a judgement (arXiv:2502.03492)."""
    return 0.0 if episode["judgement"] is None else helpfulness(episode)


def criticlean(episode: Episode) -> float | None:
    """min(judgement right, format read) (arXiv:2507.06181, eq. 2 to 4)."""
    judgement = discriminability(episode, 1.0, 0.0, 0.0)
    return None if judgement is None else min(judgement, 0.0 if episode["judgement"] is None else 1.0)


def crl(episode: Episode) -> float | None:
    """1 for a right judgement (arXiv:2509.22824)."""
    return discriminability(episode, 1.0, 0.0, 0.0)


def deepcritic(episode: Episode) -> float | None:
    """The first wrong step is named (arXiv:2505.00662)."""
    if episode.get("first_error") is None:
        return None
    return 1.0 if episode.get("named") == episode["first_error"] else 0.0


def spc(episode: Episode) -> float | None:
    """+1 for a right judgement of the LAST step, -1 for a wrong or unread one; None where that step follows from a
    wrong one (arXiv:2504.19162).
    """
    first_error = episode.get("first_error")
    if first_error is None or 0 <= first_error < episode["steps"] - 1:
        return None
    label = "correct" if first_error == -1 else "incorrect"
    return 1.0 if episode["judgement"] == label else -1.0


def label_weight(episode: Episode, correct_share: float, coefficient: float = 0.7) -> float | None:
    """coefficient / (2 P(label)) for a right judgement, else 0 (arXiv:2602.22765)."""
    if episode["correct"] is None:
        return None
    share = correct_share if episode["correct"] else 1 - correct_share
    return coefficient / (2 * share) if judged_right(episode) else 0.0


REWARDS = {
    "critique_rl": critique_rl,
    "refcritic": refcritic,
    "ctrl": ctrl,
    "criticlean": criticlean,
    "crl": crl,
    "deepcritic": deepcritic,
    "spc": spc,
    "label_weight": label_weight,
}


def critic_reward(reward: str, settings: dict[str, Any], episodes: list[Episode]) -> list[float | None]:
    """The reward of each episode; None could not be judged."""
    return [REWARDS[reward](episode, **settings) for episode in episodes]


def sneaky_reward(outcomes: Sequence[list[bool | None]], detected_reward: float = -1.0) -> list[float]:
    """SPC's generator, from (harmful, detected): -1 where it does no harm; `detected_reward` where it is detected, 1
    where it fools the critic, 0 where the critic could not be read (arXiv:2504.19162).
    """
    earned = {None: 0.0, True: detected_reward, False: 1.0}
    return [earned[detected] if harmful else -1.0 for harmful, detected in outcomes]


def discrimination(episodes: list[Episode]) -> dict[str, float]:
    """Accuracy with unread critiques as wrong ones, the recall of both labels, their plain and their harmonic mean
    (arXiv:2504.19162).
    """
    right = [judged_right(episode) is True for episode in episodes]
    correct = [ok for ok, episode in zip(right, episodes, strict=True) if episode["correct"]]
    incorrect = [ok for ok, episode in zip(right, episodes, strict=True) if not episode["correct"]]
    a, b = mean(correct), mean(incorrect)
    return {
        "accuracy": mean(right),
        "correct_recall": a,
        "error_recall": b,
        "balanced_accuracy": (a + b) / 2,
        "harmonic": 2 * a * b / (a + b) if a + b else 0.0,
    }


def refinement_table(episodes: list[Episode]) -> dict[str, float]:
    """Shares of all judged solutions by what they were before and after (arXiv:2510.24320, arXiv:2502.03492); a
    solution counts once, by the mean over its refinements.
    """
    cells = {"c2c": 0.0, "c2i": 0.0, "i2c": 0.0, "i2i": 0.0}
    count = 0
    for episode in episodes:
        refined = episode.get("refined", [])
        judged = [after for after in refined if after is not None]
        if episode["correct"] is None or (refined and not judged):
            continue
        count += 1
        after = mean(judged) if judged else float(episode["correct"])
        before = "c" if episode["correct"] else "i"
        cells[f"{before}2c"] += after
        cells[f"{before}2i"] += 1 - after
    return {name: share / count for name, share in cells.items()}


def process_bench(predicted: Sequence[int | None], labels: Sequence[int]) -> dict[str, float]:
    """Share of wrong solutions whose first wrong step is named, share of right ones that are passed, and their harmonic
    mean (arXiv:2412.06559).
    """
    named = [guess == label for guess, label in zip(predicted, labels, strict=True) if label != -1]
    passed = [guess == -1 for guess, label in zip(predicted, labels, strict=True) if label == -1]
    a, b = mean(named), mean(passed)
    return {"error_accuracy": a, "correct_accuracy": b, "f1": 2 * a * b / (a + b) if a + b else 0.0}
