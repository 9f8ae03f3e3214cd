"""How often a critic accepts an empty or forged solution (`critics.canaries`), kind by kind.

    false accepts   called correct / all that were judged
    unread          the critique had no judgement that could be read: counted, and not accepted

Each question is taken once where there are enough of them. Then the interval is Wilson's; where questions repeat, it is
clustered by question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from critics.canaries import KINDS, make_canaries
from critics.formats import CritiqueFormat
from critics.types import Judgement
from reasonrl.errors import DataError
from reasonrl.evaluation.critic_benchmark import Criticised
from reasonrl.stats import Interval, clustered_mean, wilson
from verifiers.types import Problem


def canary_problems(problems: Sequence[Problem], form: CritiqueFormat, *, per_kind: int, seed: int) -> list[Problem]:
    """Canaries as problems of kind "critique", with the prompts of their critic. `meta.canary` has kind and variant.

    Raises:
        DataError: the format cannot accept a solution.
    """
    try:
        canaries = make_canaries(problems, form, per_kind=per_kind, seed=seed)
    except ValueError as error:
        raise DataError(str(error)) from error
    return [
        Problem(
            f"canary/{canary.kind}/{canary.variant}/{canary.problem.id}",
            form.render(canary.problem, canary.solution),
            "critique",
            {"solution": canary.solution.text, "steps": list(canary.solution.steps), "correct": False},
            f"canary {canary.kind}",
            {
                **canary.problem.meta,
                "suite": f"canary {canary.kind}",
                "canary": {"kind": canary.kind, "variant": canary.variant, "question": canary.problem.id},
            },
        )
        for canary in canaries
    ]


def canary_figures(criticised: Sequence[Criticised]) -> dict[str, dict[str, Any]]:
    """Figures of each kind that has canaries, and of its variants. The first critique of each canary counts."""
    kinds: dict[str, list[Criticised]] = defaultdict(list)
    for canary in criticised:
        kinds[canary.problem.meta["canary"]["kind"]].append(canary)
    return {kind: _figures(kinds[kind]) for kind in KINDS if kind in kinds}


def _figures(canaries: Sequence[Criticised]) -> dict[str, Any]:
    variants: dict[str, list[Criticised]] = defaultdict(list)
    questions: dict[str, list[float]] = defaultdict(list)
    for canary in canaries:
        facts = canary.problem.meta["canary"]
        variants[facts["variant"]].append(canary)
        if canary.critiques:
            questions[facts["question"]].append(float(_is_accepted(canary)))
    figures: dict[str, Any] = _counts(canaries)
    if questions:
        figures["false accepts"] = dict(_interval(list(questions.values()))._asdict())
    return {**figures, "variants": {name: _counts(several) for name, several in variants.items()}}


def _interval(questions: Sequence[Sequence[float]]) -> Interval:
    """Of the accepted (1.0) among the judged, [questions][canaries]. `n` of the interval is the number of questions."""
    if max(map(len, questions)) == 1:
        return wilson(sum(accepted for (accepted,) in questions), len(questions))
    return clustered_mean(questions)


def _counts(canaries: Sequence[Criticised]) -> dict[str, int]:
    judged = [canary for canary in canaries if canary.critiques]
    return {
        "n": len(judged),
        "accepted": sum(map(_is_accepted, judged)),
        "unread": sum(canary.critiques[0].judgement is None for canary in judged),
        "not answered": len(canaries) - len(judged),
    }


def _is_accepted(canary: Criticised) -> bool:
    return canary.critiques[0].judgement is Judgement.CORRECT
