"""The reward of a critique: terms, their combinations, and schedules over a run. All are pure functions of a
CriticEpisode.

A term gives a number, or None when it could not be judged (a refinement whose verifier timed out, a label that is
missing): the episode is then masked, it does not score 0. An unparsed critique is something else: the critic's own
fault, with a reward that the term states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from critics.leak import leaks
from critics.types import CriticEpisode, Judgement

Term = Callable[[CriticEpisode], float | None]
Target = Literal["answer", "last_step"]
RefineMode = Literal["refine", "delta", "correction"]
RefineWhen = Literal["all", "judged_incorrect", "oracle_incorrect"]


def is_right(episode: CriticEpisode, target: Target = "answer") -> bool | None:
    """Whether the judgement agrees with the label; None where either is missing.

    `answer`: the label is `solution.correct`. `last_step`: it is whether the last step is the first wrong one (SPC).
    """
    label = label_of(episode, target)
    judgement = episode.critique.judgement
    return None if label is None or judgement is None else (judgement is Judgement.CORRECT) == label


def label_of(episode: CriticEpisode, target: Target = "answer") -> bool | None:
    """True where the thing that is judged is correct."""
    return episode.solution.correct if target == "answer" else episode.solution.last_step_correct


@dataclass(frozen=True)
class Discriminability:
    """Is the judgement right? Paper of Critique-RL: (1, 0, 0); its code: (1, -1, -1)."""

    right: float = 1.0
    wrong: float = 0.0
    unparsed: float = 0.0
    target: Target = "answer"

    def __call__(self, episode: CriticEpisode) -> float | None:
        if label_of(episode, self.target) is None:
            return None
        right = is_right(episode, self.target)
        return self.unparsed if right is None else (self.right if right else self.wrong)


@dataclass(frozen=True)
class LabelWeight:
    """Discriminability, weighed so that both labels earn the same in all: 1 / (2 P(label)) for a right judgement.

    GC-RL (arXiv:2602.22765) has 0.7 in front, which makes 0.35/p and 0.35/(1-p): `coefficient`. `correct_share` is p,
    the share of correct solutions; without the weight "always incorrect" is the best constant answer wherever p < 1/2.
    """

    correct_share: float
    coefficient: float = 0.7

    def __post_init__(self) -> None:
        if not 0 < self.correct_share < 1:
            raise ValueError(
                f"correct_share must be between 0 and 1, not {self.correct_share}: with one class there is nothing"
                " to balance"
            )

    def __call__(self, episode: CriticEpisode) -> float | None:
        label, right = label_of(episode), is_right(episode)
        if label is None:
            return None
        return self.coefficient / 2 / (self.correct_share if label else 1 - self.correct_share) if right else 0.0


@dataclass(frozen=True)
class Helpfulness:
    """What became of the solution after the critique, as the mean over its refinements.

    refine: 1 where the refinement is right. delta: right now less right before (1, 0 or -1). correction: 1 for wrong to
    right, `right_to_right` for right to right, else 0 (Critique-RL has 0.2). Where no refinement was made (`when`), the
    solution stands for it.
    """

    mode: RefineMode = "refine"
    when: RefineWhen = "all"
    right_to_right: float = 0.2

    def __post_init__(self) -> None:
        for name, value, known in (
            ("mode", self.mode, get_args(RefineMode)),
            ("when", self.when, get_args(RefineWhen)),
        ):
            if value not in known:
                raise ValueError(f"{name} of Helpfulness must be one of {', '.join(known)}, not {value!r}")

    def __call__(self, episode: CriticEpisode) -> float | None:
        before = episode.solution.correct
        if before is None:
            return None
        if not wants_refinement(episode, self.when):
            return self._worth(before, before)
        judged = [refinement.correct for refinement in episode.refinements if refinement.correct is not None]
        return sum(self._worth(before, after) for after in judged) / len(judged) if judged else None

    def _worth(self, before: bool, after: bool) -> float:
        if self.mode == "delta":
            return float(after) - float(before)
        if self.mode == "correction":
            return (self.right_to_right if before else 1.0) if after else 0.0
        return float(after)


def wants_refinement(episode: CriticEpisode, when: RefineWhen) -> bool:
    """Whether the actor is asked again. An unparsed critique has not said "correct": it is refined on like
    "incorrect".
    """
    if when == "judged_incorrect":
        return episode.critique.judgement is not Judgement.CORRECT
    return True if when == "all" else episode.solution.correct is False


@dataclass(frozen=True)
class FormatRead:
    """Was a judgement read?"""

    ok: float = 1.0
    failed: float = 0.0

    def __call__(self, episode: CriticEpisode) -> float | None:
        return self.ok if episode.critique.parse_status == "ok" else self.failed


@dataclass(frozen=True)
class IndexMatch:
    """Is the first wrong step named (-1: none)? DeepCritic (arXiv:2505.00662), ProcessBench."""

    unparsed: float = 0.0

    def __call__(self, episode: CriticEpisode) -> float | None:
        if episode.solution.first_error is None:
            return None
        named = episode.critique.first_error
        return self.unparsed if named is None else float(named == episode.solution.first_error)


@dataclass(frozen=True)
class LeakPenalty:
    """-weight for a critique that states the reference answer where the solution did not."""

    weight: float = 1.0

    def __call__(self, episode: CriticEpisode) -> float | None:
        gold = episode.problem.reference.get("answer")
        return (
            0.0
            if gold is None or not leaks(episode.critique.feedback, str(gold), episode.solution.text)
            else -self.weight
        )


# ---------------------------------------------------------------------------------------------------- how terms combine


@dataclass(frozen=True)
class WeightedSum:
    """Sum of weight x term; None as soon as one of them is. `normalise` divides by the sum of the weights."""

    terms: Sequence[tuple[float, Term]]
    normalise: bool = False

    def __call__(self, episode: CriticEpisode) -> float | None:
        total = 0.0
        for weight, term in self.terms:
            value = term(episode) if weight else 0.0
            if value is None:
                return None
            total += weight * value
        return total / sum(weight for weight, _ in self.terms) if self.normalise else total


@dataclass(frozen=True)
class Gate:
    """`failed` unless the judgement is right, else `then`: what follows is thrown away for a wrong judgement."""

    then: Term
    failed: float = -1.0

    def __call__(self, episode: CriticEpisode) -> float | None:
        if episode.solution.correct is None:
            return None
        return self.then(episode) if is_right(episode) else self.failed


@dataclass(frozen=True)
class FormatGate:
    """`failed` for a critique without a judgement, else `then`."""

    then: Term
    failed: float = 0.0

    def __call__(self, episode: CriticEpisode) -> float | None:
        return self.then(episode) if episode.critique.judgement is not None else self.failed


@dataclass(frozen=True)
class Minimum:
    """The minimum of the terms: one failure is enough."""

    terms: Sequence[Term]

    def __call__(self, episode: CriticEpisode) -> float | None:
        values = [term(episode) for term in self.terms]
        return None if None in values else min(value for value in values if value is not None)


@dataclass(frozen=True)
class Piecewise:
    """A value that changes at given steps: [(0, a), (100, b)] is a up to step 100 (counted from 1) and b from step 101
    on.
    """

    points: Sequence[tuple[int, float]]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.points]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"the steps of a schedule must begin at 0 and increase, not {starts}")

    def at(self, step: int) -> float:
        return [value for start, value in self.points if step > start or start == 0][-1]


# ------------------------------------------------------------------------------------------------ rewards of the papers


def critique_rl(
    phase: int, *, variant: str = "paper", beta: float = 0.2, mode: RefineMode = "refine", when: RefineWhen = "all"
) -> Term:
    """Critique-RL (arXiv:2510.24320). Phase 1: the judgement. Phase 2: helpfulness + beta x judgement. (The paper calls
    them stages.)

    The code differs: a wrong or unread judgement is -1 in both phases, and in phase 2 that throws the helpfulness away.
    """
    if variant not in ("paper", "code"):
        raise ValueError(f"variant must be paper or code, not {variant!r}")
    if phase not in (1, 2):
        raise ValueError(f"phase must be 1 or 2, not {phase!r}")
    helpful = Helpfulness(mode, when)
    if variant == "paper":
        return Discriminability() if phase == 1 else WeightedSum([(1.0, helpful), (beta, Discriminability())])
    return (
        Discriminability(1.0, -1.0, -1.0) if phase == 1 else Gate(WeightedSum([(1.0, helpful), (1.0, _Constant(beta))]))
    )


@dataclass(frozen=True)
class _Constant:
    value: float

    def __call__(self, episode: CriticEpisode) -> float | None:
        return self.value


def refcritic(refine_weight: float, *, when: RefineWhen = "judged_incorrect") -> Term:
    """RefCritic (arXiv:2507.15024, equation 6): (R_c + lambda R_r) / (1 + lambda), lambda 0 first and 1 later.

    Whether R_r is also computed for solutions that the critic calls correct is not in the paper: `when`.
    """
    return WeightedSum([(1.0, Discriminability()), (refine_weight, Helpfulness(when=when))], normalise=True)


def ctrl(*, missing: float = 0.0) -> Term:
    """CTRL (arXiv:2502.03492): the refinement passes; `missing` without a judgement (the second version of the code has
    -1).
    """
    return FormatGate(Helpfulness(), failed=missing)


def criticlean() -> Term:
    """CriticLean (arXiv:2507.06181, equations 2 to 4): min(judgement right, format read)."""
    return Minimum([Discriminability(), FormatRead()])


def critique_coder(*, factor: float = 1.0) -> Term:
    """The critique rows of CRL (arXiv:2509.22824): 1 for a right judgement, times 0.8 in the phase of short contexts
    (paper only).
    """
    return Discriminability(right=factor)


def llava_critic(accuracy: float, formatted: float) -> float:
    """LLaVA-Critic-R1 (arXiv:2509.00676): 0.9 accuracy + 0.1 format."""
    return 0.9 * accuracy + 0.1 * formatted


def deepcritic() -> Term:
    """DeepCritic (arXiv:2505.00662): the first wrong step is named."""
    return IndexMatch()


# ------------------------------------------------------------------------------------------------------ the game of SPC


@dataclass(frozen=True)
class Validation:
    """When a corrupted step counts as harmful: the solver gets through with the right step and never with the spoilt
    one (SPC: 75% and 0%).
    """

    least_before: float = 0.75
    most_after: float = 0.0

    def accepts(self, before: float, after: float) -> bool:
        """`before` and `after` are success rates of the solver. Raises ValueError for rates outside [0, 1]."""
        for rate in (before, after):
            if not (math.isfinite(rate) and 0 <= rate <= 1):
                raise ValueError(f"a success rate must be in [0, 1], not {rate}")
        return before >= self.least_before and after <= self.most_after


def sneaky_reward(validated: bool, detected: bool | None, *, detected_reward: float = -1.0) -> float:
    """SPC's generator (arXiv:2504.19162): +1 for a harmful step that fools the critic; -1 where it does no harm or is
    detected.

    `detected` None: the critic said nothing that could be read; it was not fooled, and did not detect: 0.
    `detected_reward` -1 or 0: sources differ.
    """
    if not validated:
        return -1.0
    return 0.0 if detected is None else (detected_reward if detected else 1.0)


def spc_critic() -> Term:
    """SPC's critic: +1 right, -1 deceived, on harmful steps and on the right steps that they were made of. Unread
    critiques lose too.
    """
    return Discriminability(1.0, -1.0, -1.0, target="last_step")
