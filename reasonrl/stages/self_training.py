"""`collect: {make: responses}`: a policy's own right responses, to be taught again; with a critic, its wrong ones are
refined first.

    response (policy)  right -> kept
                       wrong -> critique (critic) -> refinement (policy), kept when it is right and no shortcut

Without a critic that is rejection sampling (STaR, RFT); with one it is the self-training of AutoMathCritique
(arXiv:2411.16579), where problems that the policy never solves alone come into its own training set. Each round teaches
the base anew (`init_from`), as there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from reasonrl.engines.base import BatchEngine
from reasonrl.environments.base import Episode
from reasonrl.environments.refined import Refiner
from verifiers.types import Problem, Verdict, Verifier

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def is_shortcut(refined: str, response: str, gold: str | None, margin: int) -> bool:
    """Whether a right refinement has left its reasoning out: it holds more than `margin` fewer numbers than the
    response that it mends, or than the reference solution where that is shorter (the `shortcut_barrier` of the official
    code, margin 2).
    """
    expected = min(len(_NUMBER.findall(text)) for text in (response, gold) if text is not None)
    return len(_NUMBER.findall(refined)) < expected - margin


def right_responses(
    sampled: Sequence[tuple[Episode, Verdict]],
    refiner: Refiner | None,
    engine: BatchEngine,
    others: Mapping[str, BatchEngine],
    verifier: Verifier,
    counts: Counter[str],
    *,
    margin: int,
    seed: tuple[Any, ...],
) -> list[Problem]:
    """Problems of the kind they were, with the response to learn in reference["demonstration"]; different ones, in the
    order drawn.

    `counts` says what became of every sample.
    """
    found: dict[tuple[str, str], Problem] = {}
    for episode, verdict in sampled:
        if verdict.correct:
            _keep(found, episode.problem, episode.text, counts, "right", refined=False)
    wrong = [episode for episode, verdict in sampled if verdict.correct is False]
    counts["wrong"] = len(wrong)
    if refiner is not None:
        refined = refiner.refine(wrong, engine, others, seed=seed)
        answered = [(before, after) for before, after in zip(wrong, refined, strict=True) if after is not None]
        counts["not refined: the critic did not answer"] = len(wrong) - len(answered)
        verdicts = verifier.verify(
            [after.text for _, after in answered], [after.problem.reference for _, after in answered]
        )
        for (before, after), verdict in zip(answered, verdicts, strict=True):
            if verdict.correct is None:
                counts["refinement not judged"] += 1
            elif after.own.finish_reason == "length":
                counts["refinement cut off"] += 1
            elif verdict.correct and is_shortcut(
                after.text, before.text, before.problem.reference.get("demonstration"), margin
            ):
                counts["refined by a shortcut"] += 1
            elif verdict.correct:
                _keep(found, before.problem, after.text, counts, "refined to right", refined=True)
    counts["problems with a right response"] = len({problem for problem, _ in found})
    return list(found.values())


def _keep(
    found: dict[tuple[str, str], Problem],
    problem: Problem,
    text: str,
    counts: Counter[str],
    what: str,
    *,
    refined: bool,
) -> None:
    text = text.strip()
    if not text:
        counts["empty"] += 1
        return
    counts[what] += 1
    if (problem.id, text) in found:
        counts["said before"] += 1
        return
    reference = {**problem.reference, "demonstration": text}
    identity = f"{problem.id}/{len(found) + 1}"
    found[problem.id, text] = Problem(
        identity, problem.prompt, problem.kind, reference, problem.source, {**problem.meta, "refined": refined}
    )
